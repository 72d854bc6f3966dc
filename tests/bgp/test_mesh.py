"""Nodes that speak with each other: real daemons, real BIRDs, the kernel's routes."""

import os
import signal
import subprocess

import pytest

from bgp.network import Network, Node, until

pytestmark = pytest.mark.root

POOLS = """
apiVersion: projectcalico.org/v3
kind: IPPool
metadata: {name: four}
spec: {cidr: 10.65.0.0/16}
---
apiVersion: projectcalico.org/v3
kind: IPPool
metadata: {name: six}
spec: {cidr: "fd65::/48"}
"""


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
    nodes[0].workload("10.65.200.7")  # borrowed: of no block of its own
    nodes[0].workload("10.65.1.7")  # in its block: that is told already
    until(lambda: "10.65.200.7" in nodes[1].routes(), said="the borrowed address")
    for number, node in enumerate(nodes, 1):
        others = {other for other in (1, 2, 3) if other != number}
        until(lambda node=node: len(node.routes(6)) == 2)
        four, six = node.routes(4), node.routes(6)
        for other in others:
            route = four[f"10.65.{other}.0/26"]
            assert (route["gateway"], route["metric"]) == (f"172.16.0.{other}", 1024)
            assert six[f"fd65::{other}:0/122"]["gateway"] == f"fd16::{other}"
        assert "10.65.1.7" not in four
    assert set(nodes[0].routes()) == {"10.65.2.0/26", "10.65.3.0/26"}


def test_a_reload_drops_no_session(network: Network) -> None:
    first, second = mesh(network, 2)
    names = ("Mesh_172_16_0_2", "Mesh_fd16__2")
    before = first.wait_up(*names)
    process = first.bird_process()
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
    assert {name: after[name]["since"] for name in names} == {
        name: before[name]["since"] for name in names
    }
    assert first.bird_process() == process


def test_a_killed_bird_is_back_and_its_routes_stood_meanwhile(network: Network) -> None:
    first, second = mesh(network, 2)
    first.owns("10.65.1.1/32")
    second.owns("10.65.2.1/32")
    until(lambda: "10.65.1.0/26" in second.routes() and "10.65.2.0/26" in first.routes())
    process = second.bird_process()
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
    process = first.bird_process()
    first.stop(signal.SIGKILL)
    network.block("n1", "10.65.9.0/26")
    first.start()
    until(lambda: "10.65.9.0/26" in second.routes(), said="the next daemon told BIRD")
    assert first.bird_process() == process
    status = first.asks()
    assert status is not None
    assert status["bird"]["found_running"]
    assert first.sessions()["Mesh_172_16_0_2"]["since"] == since


def test_a_stopped_daemon_ends_bird_and_the_routes_stay(network: Network) -> None:
    first, second = mesh(network, 2)
    until(lambda: "10.65.1.0/26" in second.routes() and "10.65.2.0/26" in first.routes())
    first.stop()
    assert first.bird_process() == 0
    assert "10.65.2.0/26" in first.routes()
    assert "10.65.1.0/26" in second.routes()
