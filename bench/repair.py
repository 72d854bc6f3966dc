"""How long a node stands open after others' damage to its tables and routes. Needs root.

An agent process on a node of its own with 50 workloads, or `python -m bench.repair 200` of them;
`python -m bench.repair 50 legacy` (or `nft`) has iptables as its firewall.
Prints a JSON line a figure: {"name", "value", "unit"}: from the end of the damaging command to the
moment at which the tables are whole again, asked for every millisecond, so that what reading them
takes is in it.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tortie.linux.namespaces import in_namespace
from tortie.linux.netlink import nfnetlink
from tortie.linux.netlink.sockets import NETLINK_NETFILTER, NetlinkSocket

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

from cni.node import RealNode

Count = Callable[[], int]  # how many rules of ours there are
IPTABLES = {"flush_table": "-F", "delete_jump": "-D FORWARD 1", "flush_chain": "-F cali-FORWARD"}
DAMAGES = {
    "flush_ruleset": "flush ruleset",
    "delete_table": "delete table ip calico",
    "flush_table": "flush table ip calico",
    "flush_chain": "flush chain ip calico cali-FORWARD",
}
ROUNDS = 5
WAIT = 40.0  # seconds, above the agent's own back-off for damage that is done again and again


def report(name: str, value: float, unit: str = "ms") -> None:
    print(json.dumps({"name": name, "value": round(value, 3), "unit": unit}), flush=True)


@contextmanager
def node(workloads: int, backend: str) -> Iterator[RealNode]:
    chosen = {"FELIX_NFTABLESMODE": "Disabled", "FELIX_IPTABLESBACKEND": backend} if backend else {}
    with tempfile.TemporaryDirectory() as folder:
        made = RealNode(Path(folder), pool="10.77.0.0/20", environ=chosen)
        try:
            made.start_ready()
            for number in range(workloads):
                made.attach(f"pod-{number}")
            yield made
        finally:
            made.close()


def rules(sock: NetlinkSocket) -> int:
    """How many rules both tables have."""
    return sum(
        len(sock.dump(nfnetlink.get_rules(family, "calico")))
        for family in (nfnetlink.FAMILY_IP, nfnetlink.FAMILY_IP6)
    )


def times(made: RealNode, damage: list[str], count: Count) -> Iterator[float]:
    whole = count()
    for _ in range(ROUNDS):
        run(made, *damage)
        begun = time.perf_counter()
        until(lambda: count() == whole)
        yield (time.perf_counter() - begun) * 1000
        time.sleep(1)  # so that it is no quarrel


def saved_rules(made: RealNode, backend: str) -> int:
    """Of IPv4, so that what reading takes is not the most of it."""
    command = ["nsenter", f"--net={made.netns}", f"iptables-{backend}-save", "-t", "filter"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.count("cali:")


def run(made: RealNode, *command: str) -> None:
    subprocess.run(["nsenter", f"--net={made.netns}", *command], check=True)


def until(condition: Callable[[], bool]) -> None:
    deadline = time.perf_counter() + WAIT
    while not condition():
        if time.perf_counter() > deadline:
            raise TimeoutError(f"no repair within {WAIT} s")
        time.sleep(0.001)


def measure(made: RealNode, backend: str) -> None:
    if backend:
        begin = [f"iptables-{backend}", "-w"]
        damages = {name: [*begin, *damage.split()] for name, damage in IPTABLES.items()}
        report_all(made, damages, lambda: saved_rules(made, backend))
        return
    with in_namespace(made.netns):
        sock = NetlinkSocket(NETLINK_NETFILTER)
    report_all(made, {name: ["nft", one] for name, one in DAMAGES.items()}, lambda: rules(sock))
    sock.close()


def report_all(made: RealNode, damages: dict[str, list[str]], count: Count) -> None:
    report("repair_rules", count(), "count")
    for name, damage in damages.items():
        report(f"repair_{name}", statistics.median(times(made, damage, count)))


def main() -> None:
    workloads = int(sys.argv[1]) if len(sys.argv) > 1 else 50
    backend = sys.argv[2] if len(sys.argv) > 2 else ""
    with node(workloads, backend) as made:
        measure(made, backend)


if __name__ == "__main__":
    if os.geteuid():
        sys.exit("bench.repair: run it as root")
    main()
