"""Nodes that speak with each other: real daemons, real BIRDs, the kernel's routes."""

import json
import os
import signal
import subprocess
import sys

import pytest

from bgp.network import Machine, Network, Node, same_moment, until
from bgp.pictures import POOLS

pytestmark = pytest.mark.root


def mesh(network: Network, count: int = 3) -> list[Node]:
    """So many nodes with a block of each family, started."""
    network.apply(POOLS)
    nodes = [network.node(f"n{number}", number) for number in range(1, count + 1)]
    for number, node in enumerate(nodes, 1):
        network.block(node.name, f"10.65.{number}.0/26")
        network.block(node.name, f"fd65::{number}:0/122")
        node.start()
    return nodes


def test_each_node_of_a_mesh_has_the_others_blocks_in_its_kernel(network: Network) -> None:
    nodes = mesh(network)
    nodes[0].workload("10.65.1.7")  # in its block: that is told already
    nodes[0].workload("10.65.200.7")  # borrowed: of no block of its own
    for other in nodes[1:]:
        until(lambda other=other: "10.65.200.7" in other.routes(), said="the borrowed address")
    nodes[0].workload("10.65.201.7")  # later than both
    for other in nodes[1:]:
        until(lambda other=other: "10.65.201.7" in other.routes())
    for number, node in enumerate(nodes, 1):
        others = {other for other in (1, 2, 3) if other != number}
        until(lambda node=node: len(node.routes(6)) == 2)
        wanted = {f"10.65.{other}.0/26" for other in others}
        until(lambda node=node, wanted=wanted: wanted <= node.routes(4).keys())
        four, six = node.routes(4), node.routes(6)
        for other in others:
            route = four[f"10.65.{other}.0/26"]
            assert (route["gateway"], route["metric"]) == (f"172.16.0.{other}", 1024)
            assert six[f"fd65::{other}:0/122"]["gateway"] == f"fd16::{other}"
        assert "10.65.1.7" not in four
    until(lambda: set(nodes[0].routes()) == {"10.65.2.0/26", "10.65.3.0/26"})


def test_a_reload_drops_no_session(network: Network) -> None:
    first, second = mesh(network, 2)
    names = ("Mesh_172_16_0_2", "Mesh_fd16__2")
    before = first.wait_up(*names)
    process = until(first.bird_process)
    network.block("n1", "10.65.9.0/26")
    network.apply(
        """
        apiVersion: projectcalico.org/v3
        kind: BGPConfiguration
        metadata: {name: default}
        spec: {serviceClusterIPs: [{cidr: 10.96.0.0/12}], logSeverityScreen: Warning}
        """
    )
    until(lambda: "10.65.9.0/26" in second.routes())
    network.delete("BlockAffinity", "n1-10-65-9-0-26")
    until(lambda: "10.65.9.0/26" not in second.routes())
    after = first.sessions()
    for name in names:
        assert same_moment(after[name]["since"], before[name]["since"])
    assert first.bird_process() == process


def test_a_killed_bird_is_back_and_its_routes_stood_meanwhile(network: Network) -> None:
    first, second = mesh(network, 2)
    first.owns("10.65.1.1/32")
    second.owns("10.65.2.1/32")
    until(lambda: "10.65.1.0/26" in second.routes() and "10.65.2.0/26" in first.routes())
    process = until(second.bird_process)
    pings = first.command("ping", "-n", "-i", "0.02", "-w", "4", "-I", "10.65.1.1", "10.65.2.1")
    with subprocess.Popen(pings, stdout=subprocess.PIPE, text=True) as running:
        until(lambda: second.wait_up("Mesh_172_16_0_1"))
        os.kill(process, signal.SIGKILL)
        until(lambda: second.bird_process() not in (0, process), said="another BIRD")
        second.wait_up("Mesh_172_16_0_1")
        output, _ = running.communicate()
    assert " 0% packet loss" in output, output
    assert "graceful restart" in second.log.lower()


def test_a_killed_daemon_leaves_bird_and_the_next_one_finds_it(network: Network) -> None:
    first, second = mesh(network, 2)
    since = first.wait_up("Mesh_172_16_0_2")["Mesh_172_16_0_2"]["since"]
    process = until(first.bird_process)
    first.stop(signal.SIGKILL)
    network.block("n1", "10.65.9.0/26")
    first.start()
    until(lambda: "10.65.9.0/26" in second.routes(), said="the next daemon told BIRD")
    assert first.bird_process() == process
    status = first.asks()
    assert status is not None
    assert status["bird"]["found_running"]
    assert same_moment(first.sessions()["Mesh_172_16_0_2"]["since"], since)


def test_a_stopped_daemon_ends_bird_and_the_routes_stay(network: Network) -> None:
    first, second = mesh(network, 2)
    until(lambda: "10.65.1.0/26" in second.routes() and "10.65.2.0/26" in first.routes())
    first.stop()
    assert first.bird_process() == 0
    until(lambda: second.sessions()["Mesh_172_16_0_1"]["state"] != "Established")
    network.block("n2", "10.65.9.0/26")
    until(lambda: "10.65.9.0/26" in str(second.bird("show route protocol blocks4").lines))
    assert "10.65.2.0/26" in first.routes()
    assert "10.65.1.0/26" in second.routes()


def test_a_fanout_server_may_follow_the_datastore_for_the_daemon(network: Network) -> None:
    network.apply(POOLS)
    first, second = network.node("n1", 1), network.node("n2", 2)
    network.block("n2", "10.65.2.0/26")
    server = [sys.executable, "-m", "tortie.cli", "fanout"]
    environment = {**os.environ, "TYPHA_HEALTHENABLED": "false", "TYPHA_SERVERHOST": "127.0.0.1"}
    command = first.command(*server, "--datastore", f"sqlite:{network.store}")
    with subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL) as fanout:
        try:
            first.start(FELIX_TYPHAADDR="127.0.0.1:5473")
            second.start()
            first.wait_up("Mesh_172_16_0_2")
            until(lambda: "10.65.2.0/26" in first.routes())
        finally:
            fanout.kill()
    network.block("n1", "10.65.1.0/26")  # unheard, now that the server is gone
    first.wait_up("Mesh_172_16_0_2")
    assert "10.65.2.0/26" in first.routes()


PEERING = """
apiVersion: projectcalico.org/v3
kind: BGPConfiguration
metadata: {name: default}
spec: {localWorkloadPeeringIPV4: 169.254.179.1}
"""


@pytest.mark.parametrize(("called", "more"), [("172.16.0.1", ()), ("169.254.179.1", (PEERING,))])
def test_a_workload_may_be_a_peer_and_tells_what_a_filter_accepts(
    network: Network, called: str, more: tuple[str, ...]
) -> None:
    """A workload with a BIRD of its own, behind a link of the node's."""
    network.apply(POOLS, *more)
    node = network.node("n1", 1)
    vm = network.router("vm", 77)  # its link to the switch stays without use
    node.ip(f"link add calivm type veth peer name eth9 netns {vm.namespace}")
    node.ip("link set calivm up")
    node.ip("route add 10.65.1.9/32 dev calivm metric 1024")
    vm.ip("addr add 10.65.1.9/32 dev eth9")
    vm.ip("link set eth9 up")
    vm.ip("link set eth0 down")
    vm.ip(f"route add {called}/32 dev eth9 scope link")
    node.ip(f"neigh add 10.65.1.9 lladdr {mac(vm, 'eth9')} dev calivm")
    vm.ip(f"neigh add {called} lladdr {mac(node, 'calivm')} dev eth9")
    network.apply(
        """
        apiVersion: projectcalico.org/v3
        kind: WorkloadEndpoint
        metadata: {name: n1-k8s-vm-eth0, namespace: shop, labels: {speaks: bgp}}
        spec: {node: n1, orchestrator: k8s, pod: vm, endpoint: eth0, interfaceName: calivm,
               ipNetworks: [10.65.1.9/32]}
        ---
        apiVersion: projectcalico.org/v3
        kind: BGPFilter
        metadata: {name: of-workloads}
        spec:
          importV4: [{action: Accept, cidr: 10.99.0.0/16, matchOperator: In}]
        ---
        apiVersion: projectcalico.org/v3
        kind: BGPPeer
        metadata: {name: workloads}
        spec: {localWorkloadSelector: "speaks == 'bgp'", asNumber: 65009, filters: [of-workloads]}
        ---
        apiVersion: projectcalico.org/v3
        kind: BGPPeer
        metadata: {name: tor}
        spec: {peerIP: 172.16.0.254, asNumber: 65000}
        """
    )
    speaking = """
        protocol static s4 { ipv4; route 10.99.1.0/24 blackhole; route 10.98.1.0/24 blackhole;
          LATER }
        protocol bgp n1 { local 10.65.1.9 as 65009; neighbor CALLED as 64512; multihop;
          connect delay time 1; connect retry time 2;
          ipv4 { import all; export where source = RTS_STATIC; }; }
        """.replace("CALLED", called)
    vm.start(speaking.replace("LATER", ""))
    tor = network.router("tor", 254)
    tor.start(
        """
        protocol bgp n1 { local 172.16.0.254 as 65000; neighbor 172.16.0.1 as 64512; multihop;
          connect delay time 1; connect retry time 1; ipv4 { import all; export none; }; }
        """
    )
    node.start()
    node.wait_up("Global_10_65_1_9")
    until(lambda: node.routes().get("10.99.1.0/24", {}).get("gateway") == "10.65.1.9")
    vm.start(speaking.replace("LATER", "route 10.99.2.0/24 blackhole;"))
    until(lambda: "10.99.2.0/24" in node.routes())
    assert "10.98.1.0/24" not in node.routes()
    network.block("n1", "10.65.2.0/26")
    until(lambda: tor.known("10.65.2.0/26"))
    assert not tor.known("10.99.1.0/24")  # no filter says that others are to know
    before = node.sessions()["Global_10_65_1_9"]
    assert before["exported"] == 0
    node.stop(signal.SIGKILL)
    network.block("n1", "10.65.1.0/26")
    node.start()  # it knows of the workload later than of the rest
    until(lambda: "10.65.1.0/26" in str(node.bird("show route protocol blocks4").lines))
    after = node.wait_up("Global_10_65_1_9")["Global_10_65_1_9"]
    assert same_moment(after["since"], before["since"])
    assert after["exported"] == 0


def mac(machine: Machine, link: str) -> str:
    """The address of a link."""
    found: str = json.loads(machine.ip(f"-j link show {link}"))[0]["address"]
    return found
