"""One TCP stream between two namespaces, so measured that the figure is steady.

A stream's ends run before all else on the machine (SCHED_FIFO), and where `pinned` on two CPUs:
left to the scheduler, the receiver wanders to the sender's CPU and back, and the same way through
the kernel gives anything between 0.7 and 1.0 of itself. Ways that are compared are measured in
turn, and what is compared is two neighbours of one round.
"""

import json
import os
import statistics
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import NamedTuple

from tortie.linux import namespaces

ROUNDS = int(os.environ.get("TORTIE_BENCH_ROUNDS", "11"))
SECONDS = 0.5  # of one stream
PORT = 5_500
_FIRST = """
import os, resource, socket, sys, time
cpus = eval(sys.argv[3])
os.sched_setaffinity(0, cpus)
os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(2))
"""
_RECEIVE = """
s = socket.create_server((sys.argv[1], int(sys.argv[2]))); print("ready", flush=True)
c, _ = s.accept(); buffer = memoryview(bytearray(1 << 20)); total = 0; first = time.perf_counter()
while count := c.recv_into(buffer): total += count
print(total / (time.perf_counter() - first))
"""
_SEND = """
c = socket.create_connection((sys.argv[1], int(sys.argv[2]))); data = bytes(1 << 20)
end = time.perf_counter() + float(sys.argv[4])
while time.perf_counter() < end: c.sendall(data)
"""


class Way(NamedTuple):
    """Where a stream goes: names of namespaces, and the receiver's address."""

    source: str
    target: str
    address: str


def stream(way: Way, pinned: bool) -> float:
    """Bytes a second of one stream."""
    cpus = sorted(os.sched_getaffinity(0))
    here, there = ({cpus[0]}, {cpus[-1]}) if pinned else (set(cpus), set(cpus))
    receive = _python(way.target, _RECEIVE, way.address, str(PORT), str(there))
    send = _python(way.source, _SEND, way.address, str(PORT), str(here), str(SECONDS))
    with subprocess.Popen(receive, stdout=subprocess.PIPE, text=True) as receiver:
        assert receiver.stdout is not None
        receiver.stdout.readline()
        subprocess.run(send, check=True, timeout=60)
        return float(receiver.stdout.readline())


def _python(namespace: str, script: str, *words: str) -> list[str]:
    inside = ["nsenter", f"--net={namespaces.path_of(namespace)}"]
    return [*inside, sys.executable, "-I", "-S", "-c", _FIRST + script, *words]


def in_turn(ways: Mapping[str, Way], pinned: bool) -> dict[str, list[float]]:
    """Bytes a second, a value a round; the first round only warms up."""
    found: dict[str, list[float]] = {name: [] for name in ways}
    for number in range(ROUNDS + 1):
        for name, way in ways.items():
            rate = stream(way, pinned)
            if number:
                found[name].append(rate)
    return found


@contextmanager
def first_of_all(pids: Sequence[int]) -> Iterator[None]:
    """These processes go before others, too, as the ends of the streams do."""
    for pid in pids:
        subprocess.run(["chrt", "-a", "-f", "-p", "1", str(pid)], check=True)
    yield
    for pid in pids:
        subprocess.run(["chrt", "-a", "-o", "-p", "0", str(pid)], check=True)


def tell(mode: str, found: Mapping[str, Sequence[float]], *ratios: tuple[str, str]) -> None:
    """Each way's rate; of the ways of a pair the ratio: median, least and most of all rounds."""
    for name, rates in found.items():
        emit(f"{mode}.{name}", statistics.median(rates) * 8 / 1e9, "Gbit/s")
    for one, other in ratios:
        each = [left / right for left, right in zip(found[one], found[other], strict=True)]
        for word, value in (
            ("", statistics.median(each)),
            (".least", min(each)),
            (".most", max(each)),
        ):
            emit(f"{mode}.{one}_of_{other}{word}", value, "times")


def emit(name: str, value: float, unit: str) -> None:
    """One figure."""
    print(
        json.dumps({"name": f"network.{name}", "value": round(value, 4), "unit": unit}), flush=True
    )
