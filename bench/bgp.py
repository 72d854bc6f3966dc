"""BGP by real daemons and BIRDs in namespaces: how fast nodes learn of each other, and of a loss.

Prints one JSON object a line: {"name", "value", "unit"}. Needs root and BIRD 2. Beside what the
daemon does stands, in the same run, BIRD alone with a configuration written for it beforehand.
"""

import json
import os
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import msgspec

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

from bgp.network import BIRD, Network, Node, Router, until
from tortie.api import KINDS
from tortie.bgp.build import Given, picture_of
from tortie.bgp.cluster import Cluster
from tortie.bgp.text import bird_text

ROUNDS = 3
CHANGES = 10
NODES = 500
_POOL = """
apiVersion: projectcalico.org/v3
kind: IPPool
metadata: {name: four}
spec: {cidr: 10.65.0.0/16}
"""
_MESH = """
apiVersion: projectcalico.org/v3
kind: BGPConfiguration
metadata: {name: default, annotations: {tortie.io/bfd: 300ms}}
spec: {}
"""


def emit(name: str, value: float, unit: str) -> None:
    """One figure."""
    print(json.dumps({"name": f"bgp.{name}", "value": round(value, 4), "unit": unit}), flush=True)


def since(start: float, reached: Callable[[], object]) -> float:
    """Seconds from `start` until `reached`; looked at about 500 times a second."""
    deadline = start + 60
    while not reached():
        assert time.perf_counter() < deadline
        time.sleep(0.002)
    return time.perf_counter() - start


def joined(nodes: list[Node], new: Node) -> bool:
    """Whether all have the new one's block in their kernel, and it has theirs."""
    number = new.address.rpartition(".")[2]
    return all(f"10.65.{number}.0/26" in node.routes() for node in nodes) and len(
        new.routes()
    ) >= len(nodes)


def mesh(network: Network) -> None:
    """A mesh of three that others join one after another; then changes, and kills."""
    network.apply(_POOL)
    nodes = [network.node(f"n{number}", number) for number in (1, 2, 3)]
    for number, node in enumerate(nodes, 1):
        network.block(node.name, f"10.65.{number}.0/26")
        node.start()
    until(lambda: all(joined([n for n in nodes if n is not node], node) for node in nodes))
    times = []
    for number in range(4, 4 + ROUNDS):
        new = network.node(f"n{number}", number)
        network.block(new.name, f"10.65.{number}.0/26")
        start = time.perf_counter()
        new.start()
        times.append(since(start, lambda new=new: joined(nodes, new)))
        nodes.append(new)
    emit("new_node_reachable_from_all", statistics.median(times), "s")
    emit("new_node_reachable_from_all_worst", max(times), "s")
    changes(network, nodes)
    killed(nodes)
    cut(network, nodes)


def changes(network: Network, nodes: list[Node]) -> None:
    """A block that a node gets, until another node has the route."""
    times = []
    for number in range(CHANGES):
        start = time.perf_counter()
        network.block("n1", f"10.65.{100 + number}.0/26")
        wanted = f"10.65.{100 + number}.0/26"
        times.append(since(start, lambda wanted=wanted: wanted in nodes[1].routes()))
        time.sleep(0.15)  # a change that comes alone: bursts are gathered
    emit("change_until_in_another_kernel_p50", 1000 * statistics.median(times), "ms")


def killed(nodes: list[Node]) -> None:
    """BIRD is killed under a stream of packets to it."""
    first, second = nodes[0], nodes[1]
    first.owns("10.65.1.1/32")
    second.owns("10.65.2.1/32")
    command = ["ping", "-n", "-q", "-i", "0.005", "-w", "5", "-I", "10.65.1.1", "10.65.2.1"]
    with subprocess.Popen(first.command(*command), stdout=subprocess.PIPE, text=True) as pings:
        time.sleep(0.5)
        os.kill(second.bird_process(), signal.SIGKILL)
        start = time.perf_counter()
        name = "Mesh_" + first.address.replace(".", "_")
        back = since(
            start,
            lambda: (
                second.sessions().get(name, {}).get("state") == "Established"
                and second.bird_process()
            ),
        )
        output, _ = pings.communicate()
    found = re.search(r"(\d+) packets transmitted, (\d+) received", output)
    assert found is not None
    sent, received = int(found[1]), int(found[2])
    emit("bird_killed_session_back", back, "s")
    emit("bird_killed_packets_lost", sent - received, f"of {sent}")


def cut(network: Network, nodes: list[Node]) -> None:
    """A node's cable is taken out: how long others keep its route, with BFD of 300 ms."""
    network.apply(_MESH)
    last = nodes[-1]
    watchers = nodes[:-1]
    wanted = f"10.65.{last.address.rpartition('.')[2]}.0/26"

    def ready() -> bool:
        return all(
            sum("Up" in line.text for line in node.bird("show bfd sessions").lines)
            >= len(nodes) - 1
            for node in nodes
        )

    times = []
    for _ in range(ROUNDS):
        until(lambda: all(wanted in node.routes() for node in watchers) and ready())
        start = time.perf_counter()
        last.cut()
        times.append(since(start, lambda: not any(wanted in node.routes() for node in watchers)))
        last.mend()
    emit("link_lost_until_no_route_bfd_300ms", statistics.median(times), "s")
    emit("link_lost_until_no_route_bfd_300ms_worst", max(times), "s")


def alone(network: Network) -> None:
    """BIRD without us: four that know each other, the last of which is started, as the bound."""
    routers = [network.router(f"b{number}", number) for number in (1, 2, 3, 4)]
    for router in routers[:3]:
        router.start(_by_hand(router, routers[:3]))
    until(lambda: _all_know(routers[:3]))
    start = time.perf_counter()
    for router in routers:
        router.start(_by_hand(router, routers))
    emit("new_node_by_bird_alone", since(start, lambda: _all_know(routers)), "s")


def _all_know(routers: list[Router]) -> bool:
    wanted = {f"10.65.{router.address.rpartition('.')[2]}.0/26" for router in routers}
    return all(wanted <= router.routes().keys() for router in routers)


def _by_hand(router: Router, others: list[Router]) -> str:
    number = router.address.rpartition(".")[2]
    text = f"protocol static s4 {{ ipv4; route 10.65.{number}.0/26 blackhole; }}\n"
    for other in others:
        if other is not router:
            name = other.address.replace(".", "_")
            text += (
                f"protocol bgp m{name} {{ local {router.address} as 64512;"
                f" neighbor {other.address} as 64512; connect delay time 1; connect retry time 5;"
                " ipv4 { import all; export where source = RTS_STATIC; gateway recursive; }; }\n"
            )
    return text


def large() -> None:
    """A mesh of many nodes: from its resources to text, and through BIRD's parser."""
    cluster = Cluster("n0")
    for number in range(NODES):
        data = {
            "metadata": {"name": f"n{number}"},
            "spec": {"bgp": {"ipv4Address": f"172.16.{number // 250}.{number % 250 + 1}/16"}},
        }
        node = msgspec.convert(data, KINDS["Node"].type)
        cluster.put(node.key, node)
    start = time.perf_counter()
    picture = picture_of(cluster, {}, Given())
    assert picture is not None
    text = bird_text(picture)
    emit(f"text_of_a_mesh_of_{NODES}", 1000 * (time.perf_counter() - start), "ms")
    with tempfile.NamedTemporaryFile("w", suffix=".conf") as file:
        file.write(text)
        file.flush()
        start = time.perf_counter()
        subprocess.run([str(BIRD), "-p", "-c", file.name], check=True)
        emit(f"parser_of_a_mesh_of_{NODES}", 1000 * (time.perf_counter() - start), "ms")


def main() -> None:
    """Print all figures."""
    if BIRD is None:
        sys.exit("bench.bgp: BIRD 2 is not installed (Debian: bird2)")
    large()
    for part in (alone, mesh):
        with tempfile.TemporaryDirectory() as folder, Network(Path(folder)) as network:
            part(network)


if __name__ == "__main__":
    main()
