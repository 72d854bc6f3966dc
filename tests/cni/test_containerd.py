"""A real containerd: `ctr run --cni` with our plugin, and what becomes of its containers."""

import json
import os
import random
import re
import signal
import subprocess
import time
from contextlib import contextmanager

import pytest

from cni.look import NETWORK, endpoint, findings, left_over, nothing_left
from cni.node import BOUND, until
from servers.containerd import containerd, lacking_containerd
from tortie.api import EntityRule, GlobalNetworkPolicy, GlobalNetworkPolicySpec, ObjectMeta, Rule

RUNS = max(4, int(os.environ.get("TORTIE_CNI_CYCLES", "0")) // 10)

pytestmark = [
    pytest.mark.root,
    pytest.mark.timeout(max(300, 15 * RUNS)),  # seconds each, on a busy machine
    pytest.mark.skipif(bool(lacking_containerd()), reason=lacking_containerd()),
]

SEED = int(os.environ.get("TORTIE_SEED", "7"))


@pytest.fixture
def runtime(ready_node, tmp_path_factory):
    """A containerd on a node whose agent is ready."""
    node = ready_node
    folder = tmp_path_factory.mktemp("c")  # its sockets' paths have to be short
    with containerd(folder / "containerd", node.netns, node.plugin.parent) as found:
        network = {"cniVersion": "1.0.0", "name": NETWORK, "plugins": [node.config()]}
        target = found.place.configurations / "10-calico.conflist"
        target.write_text(json.dumps(network))
        yield found


def ran(runtime, name, script):
    """What a container said."""
    done = subprocess.run(
        runtime.run_command(name, "sh", "-c", script),
        capture_output=True,
        text=True,
        timeout=2 * BOUND,
        stdin=subprocess.DEVNULL,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@contextmanager
def going_on(runtime, name):
    """A container for as long as the body; its address."""
    command = runtime.run_command(name, "sh", "-c", "ip address show eth0; sleep 1000")
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True
    ) as process:
        try:
            line = next(line for line in process.stdout if "inet " in line)
            yield line.split()[1].partition("/")[0]
        finally:
            runtime.ctr("task", "kill", "--signal", "SIGKILL", name)
            process.communicate(timeout=BOUND)


def received(said):
    """How many of ping's packets came back, of how many."""
    sent, back = re.search(r"(\d+) packets transmitted, (\d+) packets received", said).groups()
    return int(back), int(sent)


def removed(runtime, name):
    """Have the runtime forget a container, as far as it knows of it."""
    runtime.ctr("task", "kill", "--signal", "SIGKILL", name)
    until(lambda: name not in listed(runtime, "task"), f"the end of {name}'s processes")
    runtime.ctr("container", "delete", name)


def listed(runtime, what):
    """The names of containers or of those whose task is left."""
    if what == "task":
        runtime.ctr("task", "delete", *runtime.ctr("task", "ls", "-q").stdout.split())
    return runtime.ctr(what, "ls", "-q").stdout.split()


PING = "ping -c 3 -i 0.1 -W 1 {}; true"


def test_a_container_is_connected_from_its_first_packet_and_leaves_nothing(ready_node, runtime):
    with going_on(runtime, "server") as server:
        said = ran(runtime, "client", f"{PING.format(server)}; ip route")
        assert received(said) == (3, 3)
        assert "default via 169.254.1.1 dev eth0" in said
        found = endpoint(ready_node, f"n1-cni-{stored(runtime, 'server')}-eth0")
        assert found.spec.ip_networks == (f"{server}/32",)
        assert left_over(ready_node)["handles"] == [f"{NETWORK}.{runtime.id_of('server')}"]
    nothing_left(ready_node)


def stored(runtime, name):
    return runtime.id_of(name).replace("-", "--")


def test_no_packet_passes_before_policy_from_the_first_instruction_on(ready_node, runtime):
    node = ready_node
    selector = f"projectcalico.org/network == '{NETWORK}'"
    closed = GlobalNetworkPolicySpec(
        selector=selector,
        types=("Egress",),
        egress=(Rule(action="Deny", protocol="ICMP", destination=EntityRule(selector="all()")),),
    )
    with going_on(runtime, "server") as server:
        policy = GlobalNetworkPolicy(metadata=ObjectMeta(name="closed"), spec=closed)
        node.applied(node.put(policy))
        for number in range(3):
            assert received(ran(runtime, f"client{number}", PING.format(server))) == (0, 3)


def test_many_at_once_get_addresses_of_their_own(ready_node, runtime):
    commands = [runtime.run_command(f"c{n}", "ip", "address", "show", "eth0") for n in range(6)]
    running = [
        subprocess.Popen(one, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True)
        for one in commands
    ]
    said = [process.communicate(timeout=3 * BOUND)[0] for process in running]
    assert [process.returncode for process in running] == [0] * 6
    assert len({re.search(r"inet (\S+)", one).group(1) for one in said}) == 6
    nothing_left(ready_node)


def test_a_container_does_not_start_without_the_agent(ready_node, runtime):
    ready_node.kill()
    done = subprocess.run(
        runtime.run_command("c1", "echo", "started"),
        capture_output=True,
        text=True,
        timeout=2 * BOUND,
        stdin=subprocess.DEVNULL,
    )
    assert done.returncode != 0
    assert "started" not in done.stdout
    assert "is it running?" in done.stderr
    ready_node.start_ready()
    nothing_left(ready_node)


def test_kills_of_runtime_client_and_agent_at_random_points_leave_nothing(ready_node, runtime):
    chance = random.Random(SEED)
    for number in range(RUNS):
        name = f"c{number}"
        client = subprocess.Popen(
            runtime.run_command(name, "sleep", "0.3"),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            stdin=subprocess.DEVNULL,
        )
        time.sleep(chance.random() * 0.6)  # another moment of its life each time
        blow = chance.choice(["client", "runtime", "agent", "all"])
        if blow in ("client", "all"):
            client.kill()
        if blow in ("runtime", "all"):
            runtime.kill()
        if blow in ("agent", "all"):
            ready_node.kill()
        if blow in ("agent", "all"):
            ready_node.start_ready()
        if blow in ("runtime", "all"):
            runtime.start()
        client.kill()
        client.wait(BOUND)
        removed(runtime, name)
        assert ready_node.cni("DEL", runtime.id_of(name), "").returncode == 0
    nothing_left(ready_node)
    assert findings(ready_node) == []
    assert listed(runtime, "container") == []


def test_what_a_killed_runtime_left_goes_with_a_delete_by_its_id(ready_node, runtime):
    command = runtime.run_command("c1", "sh", "-c", "echo up; sleep 1000")
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True
    ) as process:
        assert process.stdout.readline() == "up\n"
        process.send_signal(signal.SIGKILL)
    runtime.ctr("task", "kill", "--signal", "SIGKILL", "c1")
    until(lambda: "STOPPED" in runtime.ctr("task", "ls").stdout, "the container's end")
    assert left_over(ready_node)
    for _ in range(2):
        assert ready_node.cni("DEL", runtime.id_of("c1"), "").returncode == 0
    nothing_left(ready_node)
