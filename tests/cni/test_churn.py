"""Containers that come and go at random while agent and plugin are killed: nothing leaks.

TORTIE_CNI_CYCLES is how many containers come and go, TORTIE_SEED where chance begins.
"""

import os
import random
import time
from pathlib import Path

import pytest

from cni.chain import reference_plugins_lacking
from cni.kube_node import kube_node
from cni.look import findings, inside, nothing_left, put_pod, result, spoke
from cni.node import until
from cni.traffic import reaches, udp_socket
from servers.place import REFERENCE_PLUGINS
from tortie.api import IPPool, IPPoolSpec, ObjectMeta
from tortie.linux.links import Links
from tortie.linux.namespaces import in_namespace
from tortie.linux.netlink.sockets import NetlinkSocket

CYCLES = int(os.environ.get("TORTIE_CNI_CYCLES", "60"))
SEED = int(os.environ.get("TORTIE_SEED", "7"))
_SLOWEST = 5  # seconds a cycle, on a busy machine

pytestmark = [pytest.mark.root, pytest.mark.timeout(max(300, _SLOWEST * CYCLES))]

BOTH = {"type": "calico-ipam", "assign_ipv4": True, "assign_ipv6": True}


class Slot:
    """A place where one container after another is: a pod, or a container of its own.

    `calls` are the interfaces that each gets: (name, configuration).
    """

    def __init__(self, node, name, *calls, pod=""):
        self.node, self.name, self.pod, self.calls = node, name, pod, calls
        self.netns = node.namespace(name)
        self.container = ""

    def start(self, command, number, chance):
        """Start its next calls; the processes."""
        if command == "ADD":
            self.container = f"{self.name}-{number}"
        # Of a namespace that it is not told of, no plugin can remove a further interface's rules.
        choice = [self.netns] if len(self.calls) > 1 else [self.netns, ""]
        netns = self.netns if command == "ADD" else chance.choice(choice)
        return [
            self.node.cni_start(command, self.container, netns, self.pod, ifname, **config)
            for ifname, config in self.calls
        ]


def slots(node, local):
    """Pods of all sorts, containers with two interfaces, and pods of host-local."""
    twins = [
        Slot(node, f"c{number}", ("eth0", {"name": "blue"}), ("eth1", {"name": "green"}))
        for number in range(3)
    ]
    return [*pods(node), *twins, *(pods_of_others(node, local) if local else ())]


def pods(node):
    """Pods with an interface, of both families, and with three interfaces at once."""
    node.put(
        IPPool(
            metadata=ObjectMeta(name="six"), spec=IPPoolSpec(cidr="fd00:77::/112", block_size=122)
        )
    )
    for number in range(13):
        put_pod(node, f"p{number}", app=f"a{number % 3}")
    single = [Slot(node, f"p{number}", ("eth0", {}), pod=f"p{number}") for number in range(4)]
    dual = [
        Slot(node, f"p{number}", ("eth0", {"ipam": BOTH}), pod=f"p{number}") for number in (4, 5, 6)
    ]
    further = (("net1", {"name": "green"}), ("net2", {"name": "green"}))
    triple = [
        Slot(node, f"p{number}", ("eth0", {}), *further, pod=f"p{number}")
        for number in (10, 11, 12)
    ]
    return [*single, *dual, *triple]


def pods_of_others(node, local):
    """Pods whose addresses another IPAM plugin gives."""
    return [
        Slot(node, f"p{number}", ("eth0", {"ipam": local}), pod=f"p{number}")
        for number in (7, 8, 9)
    ]


class Churn:
    """What a runtime does, and what befalls it: each ADD gets its DEL, whatever became of it."""

    def __init__(self, node, places, chance):
        self.node, self.places, self.chance = node, places, chance
        self.cycles = self.agents_killed = self.plugins_killed = self.started = 0

    def round(self):
        """Several containers at once, perhaps with something killed in the middle."""
        some = self.chance.sample(self.places, self.chance.randrange(1, len(self.places)))
        calls = [(one, *self._start(one)) for one in some]
        blow = self.chance.choice(["", "", "", "agent", "plugin", "both"])
        self._strike(blow, [process for _, _, processes in calls for process in processes])
        for slot, command, processes in calls:
            outputs = [process.communicate(timeout=90)[0] for process in processes]
            done = all(process.returncode == 0 for process in processes)
            assert done or blow, outputs
            if done and command == "DEL":
                slot.container = ""
                self.cycles += 1
        if self.node.agent is None:
            self.node.start_ready()
        self._send()

    def _start(self, slot):
        """ADD where nothing is; DEL of what is there, or may be."""
        command = "DEL" if slot.container else "ADD"
        self.started += 1
        return command, slot.start(command, self.started, self.chance)

    def _strike(self, blow, processes):
        if not blow:
            return
        time.sleep(self.chance.random() * 0.08)  # another moment of their work each time
        if blow in ("plugin", "both"):
            for process in self.chance.sample(processes, (len(processes) + 1) // 2):
                process.kill()
                self.plugins_killed += 1
        if blow in ("agent", "both"):
            self.node.kill()
            self.agents_killed += 1

    def _send(self):
        """A packet from somewhere to anywhere: connections are there that nobody may inherit."""
        slot = self.chance.choice(self.places)
        if "eth0" in inside(slot.netns)[0]:
            with udp_socket(slot.netns) as sock:
                try:
                    sock.sendto(b"x", (f"10.77.0.{self.chance.randrange(256)}", 9))
                except OSError:  # it has no address yet, or no more
                    return

    def finish(self):
        """A runtime deletes all that it ever began."""
        for slot in self.places:
            if slot.container:
                for process in slot.start("DEL", 0, self.chance):
                    output = process.communicate(timeout=90)[0]
                    assert process.returncode == 0, output


def test_nothing_leaks_through_kills_at_random_points(ready_node, tmp_path):
    node, local = ready_node, None
    if not reference_plugins_lacking():
        (node.plugin.parent / "host-local").symlink_to(REFERENCE_PLUGINS / "host-local")
        local = {"type": "host-local", "subnet": "10.88.0.0/24", "dataDir": str(tmp_path / "kept")}
    churn = Churn(node, slots(node, local), random.Random(SEED))
    churned(churn, CYCLES)
    assert churn.agents_killed > 0
    assert churn.plugins_killed > 0
    kept = [one.name for one in tmp_path.glob("kept/*/10.*")]
    assert kept == []


def test_nothing_leaks_on_kubernetes_either(tmp_path, kube):
    with kube_node(tmp_path, kube) as node:
        node.start_ready()
        churn = Churn(node, pods(node), random.Random(SEED))
        churned(churn, CYCLES // 5)
        assert churn.agents_killed + churn.plugins_killed > 0


def churned(churn, cycles):
    """Have containers come and go, and all go in the end: nothing is left."""
    node = churn.node
    remember(node)
    while churn.cycles < cycles:
        churn.round()
    churn.finish()
    print(f"{churn.cycles} cycles, {churn.agents_killed} agents and {churn.plugins_killed} killed")
    nothing_left(node)
    assert findings(node) == []
    nobody_inherits(node)
    for slot in churn.places:
        links, routes, rules = inside(slot.netns)
        assert (set(links), routes, rules) == ({"lo"}, set(), set()), slot.name
    assert node.ask("status")["failures"] == []


def remember(node):
    """Have the node's kernel track a connection until somebody ends it."""
    with in_namespace(node.netns):
        for name in ("udp_timeout", "udp_timeout_stream"):
            Path(f"/proc/sys/net/netfilter/nf_conntrack_{name}").write_text("3600")


def nobody_inherits(node):
    """Who left while no agent ran may leave connections; who has the address next has none."""
    for number, network in enumerate(sorted(spoke(node, "10.77.0.0/24"))):
        netns, address = node.namespace(f"heir{number}"), network.partition("/")[0]
        done = node.cni("ADD", f"heir{number}", netns, runtimeConfig={"ips": [address]})
        assert [one["address"] for one in result(done)["ips"]] == [network]
        assert spoke(node, network) == set()
        assert node.cni("DEL", f"heir{number}", netns).returncode == 0
    nothing_left(node)


def test_connections_end_with_their_container(ready_node):
    node = ready_node
    remember(node)
    client, server = node.attach("client"), node.attach("server")
    assert reaches(client, server, 5000)
    assert spoke(node, "10.77.0.0/24") == {client[1], server[1]}
    assert node.cni("DEL", "id-server", server[0], "server").returncode == 0
    until(lambda: not spoke(node, "10.77.0.0/24"), "the end of its connections")


def test_110_workloads_and_a_burst_of_thirty(ready_node):
    node = ready_node
    names = [f"w{number}" for number in range(110)]
    for name in names:
        put_pod(node, name)
    spaces = {name: node.namespace(name) for name in names}

    def at_once(command, some):
        running = [node.cni_start(command, f"id-{one}", spaces[one], one) for one in some]
        outputs = [process.communicate(timeout=120)[0] for process in running]
        assert [process.returncode for process in running] == [0] * len(some), outputs
        return outputs

    for begin in range(0, 110, 30):
        at_once("ADD", names[begin : begin + 30])
    with in_namespace(node.netns), NetlinkSocket() as sock:
        assert sum(link.name.startswith("cali") for link in Links(sock).list()) == 110
    assert findings(node) == []
    assert all(
        node.cni("CHECK", f"id-{one}", spaces[one], one).returncode == 0 for one in names[:5]
    )
    for begin in range(0, 110, 30):
        at_once("DEL", names[begin : begin + 30])
    nothing_left(node)
    assert findings(node) == []
