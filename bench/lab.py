"""A whole lab: how long it takes to come up, from apply to enforcement on every node, memory.

Prints one JSON object a line: {"name", "value", "unit"}. Needs root. Beside the time to
enforcement: what the write to the datastore takes of it. Beside the start of `tortie`: that of
Python with nothing loaded.
"""

import asyncio
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence

from tortie.api import Resource
from tortie.api.manifests import read_manifests
from tortie.cli import writing
from tortie.lab.cluster import Lab
from tortie.lab.journal import Journal
from tortie.lab.progress import Silent

EDITS = 100
STARTS = 15
NAME = f"bench-{os.getpid()}"
TORTIE = (sys.executable, "-m", "tortie.cli")
Figure = tuple[str, float, str]

# One rule of each kind that programs something else: a set by selector, a named port, a range.
POLICY = """apiVersion: projectcalico.org/v3
kind: NetworkPolicy
metadata: {{name: edited, namespace: shop}}
spec:
  order: 1
  selector: has(app)
  ingress:
    - action: Allow
      protocol: TCP
      source: {{namespaceSelector: "team in {{'ops', 'edit-{number}'}}"}}
      destination: {{ports: [{port}, http]}}
    - action: Pass
"""


def main() -> None:
    """Measure, and print as it comes."""
    try:
        for name, value, unit in (*coming_up(), *asyncio.run(edits()), *starts()):
            print(json.dumps({"name": name, "value": round(value, 2), "unit": unit}), flush=True)
    finally:
        if Journal(NAME).path.exists():
            timed([*TORTIE, "lab", "down", "--name", NAME])


def coming_up() -> Iterator[Figure]:
    """`tortie lab up`: the whole command, 3 nodes and 9 workloads."""
    seconds = timed([*TORTIE, "lab", "up", "--name", NAME])
    yield "lab.up.3_nodes_9_workloads", seconds, "s"


async def edits() -> list[Figure]:
    """One policy of the shop changed again and again, each time until every node enforces it."""
    lab = await Lab.load(NAME, Silent())
    applied, written = [], []
    try:
        for number in range(EDITS):
            started = time.perf_counter()
            await writing.apply_all(lab.store, policy(number))
            written.append((time.perf_counter() - started) * 1e3)
            await lab.await_applied()
            applied.append((time.perf_counter() - started) * 1e3)
        statuses = await lab.statuses()
    finally:
        await lab.close()
    resident = max(status.resident for status in statuses) / (1 << 20)
    return [
        *percentiles("lab.apply_to_enforced", applied),
        *percentiles("lab.apply_to_written", written),
        ("lab.agent.resident.most", resident, "MiB"),
    ]


def policy(number: int) -> list[Resource]:
    """The policy of one edit; each differs from the one before in a set and a port."""
    text = POLICY.format(number=number % 7, port=8000 + number)
    manifests = read_manifests("edit", text)
    assert not manifests.errors, manifests.errors
    return [located.resource for located in manifests.resources]


def starts() -> Iterator[Figure]:
    """Whole processes: what a person waits for."""
    store = ["--datastore", str(Journal(NAME).store_path)]
    commands = {
        "cli.start.python": [sys.executable, "-I", "-S", "-c", "pass"],
        "cli.start.version": [*TORTIE, "version"],
        "cli.start.get_pods": [*TORTIE, "get", "pods", "-A", *store],
    }
    for name, command in commands.items():
        yield name, statistics.median(timed(command) for _ in range(STARTS)) * 1e3, "ms"


def percentiles(name: str, milliseconds: Sequence[float]) -> list[Figure]:
    """The median and the 99th percentile."""
    cuts = statistics.quantiles(milliseconds, n=100)
    return [(f"{name}.p50", cuts[49], "ms"), (f"{name}.p99", cuts[98], "ms")]


def timed(command: Sequence[str]) -> float:
    """Seconds that a command takes."""
    started = time.perf_counter()
    subprocess.run(command, stdout=subprocess.DEVNULL, check=True, timeout=300)
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
