"""One TCP stream between two namespaces, so measured that the figure is steady.

A stream's ends run before all else on the machine (SCHED_FIFO), and where `pinned` on two CPUs:
left to the scheduler, the receiver wanders to the sender's CPU and back, and the same way through
the kernel gives anything between 0.7 and 1.0 of itself. Ways that are compared are measured in
turn, each round in another order, and what is compared is two neighbours of one round.

How a sender paces itself decides as much as the way: BBR waits between packets, which hides what a
packet costs; Cubic, which most systems have, sends until a CPU is full.
"""

import json
import os
import random
import statistics
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from tortie.linux import namespaces

ROUNDS = int(os.environ.get("TORTIE_BENCH_ROUNDS", "15"))
CONGESTION_FILE = Path("/proc/sys/net/ipv4/tcp_congestion_control")
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
c = socket.socket(); c.setsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, sys.argv[5].encode())
c.connect((sys.argv[1], int(sys.argv[2]))); data = bytes(1 << 20)
end = time.perf_counter() + float(sys.argv[4])
while time.perf_counter() < end: c.sendall(data)
"""


class Way(NamedTuple):
    """Where a stream goes: names of namespaces, and the receiver's address."""

    source: str
    target: str
    address: str


class Sending(NamedTuple):
    """How: with each end on a CPU of its own, and paced by which algorithm."""

    pinned: bool
    congestion: str


def algorithms() -> tuple[str, ...]:
    """Cubic, and the machine's own where that is another."""
    own = CONGESTION_FILE.read_text().strip()
    return tuple(dict.fromkeys(("cubic", own)))


def stream(way: Way, sending: Sending) -> float:
    """Bytes a second of one stream."""
    cpus = sorted(os.sched_getaffinity(0))
    here, there = ({cpus[0]}, {cpus[-1]}) if sending.pinned else (set(cpus), set(cpus))
    receive = _python(way.target, _RECEIVE, way.address, str(PORT), str(there))
    how = (str(here), str(SECONDS), sending.congestion)
    send = _python(way.source, _SEND, way.address, str(PORT), *how)
    with subprocess.Popen(receive, stdout=subprocess.PIPE, text=True) as receiver:
        assert receiver.stdout is not None
        receiver.stdout.readline()
        subprocess.run(send, check=True, timeout=60)
        return float(receiver.stdout.readline())


def _python(namespace: str, script: str, *words: str) -> list[str]:
    inside = ["nsenter", f"--net={namespaces.path_of(namespace)}"]
    return [*inside, sys.executable, "-I", "-S", "-c", _FIRST + script, *words]


def in_turn(ways: Mapping[str, Way], sending: Sending) -> dict[str, list[float]]:
    """Bytes a second, a value a round; the first round only warms up."""
    found: dict[str, list[float]] = {name: [] for name in ways}
    for number in range(ROUNDS + 1):
        for name in random.sample(list(ways), len(ways)):
            rate = stream(ways[name], sending)
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
    """Each way's rate; of the ways of a pair the ratio: median and quartiles of all rounds."""
    for name, rates in found.items():
        emit(f"{mode}.{name}", statistics.median(rates) * 8 / 1e9, "Gbit/s")
    for one, other in ratios:
        each = [left / right for left, right in zip(found[one], found[other], strict=True)]
        quartiles = statistics.quantiles(each)
        for word, value in zip((".quarter", "", ".three_quarters"), quartiles, strict=True):
            emit(f"{mode}.{one}_of_{other}{word}", value, "times")


def emit(name: str, value: float, unit: str) -> None:
    """One figure."""
    print(
        json.dumps({"name": f"network.{name}", "value": round(value, 4), "unit": unit}), flush=True
    )
