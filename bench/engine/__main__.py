"""Every cluster in a process of its own, so that its peak memory is its own.

python -m bench.engine                       all of them; prints one JSON object a line
python -m bench.engine markers [ENDPOINTS] [POLICIES]
python -m bench.engine sets | tenants [TENANTS]
"""

import subprocess
import sys
from collections.abc import Iterator

from bench.engine import churn
from bench.engine.measuring import Loaded, emit, seconds
from bench.engine.workloads import MARKERS, marked_endpoint, markers, sets, tenants
from tortie.api import WorkloadEndpoint
from tortie.cli.lean import collect_seldom
from tortie.selectors import parse

RUNS = (
    ("markers", "1000", "10000"),
    ("markers", "10000", "10000"),
    ("markers", "100000", "10000"),
    ("markers", "250000", "10000"),
    ("sets",),
    ("tenants", "10000"),
    ("tenants", "100000"),
)
SAMPLE = 2_000


def report(title: str, loaded: Loaded) -> None:
    """What it took to load a cluster."""
    emit(f"{title}, snapshot", loaded.seconds, "s")
    emit(f"{title}, peak memory", loaded.megabytes, "MB")


def run_markers(endpoints: int = 250_000, policies: int = 10_000) -> None:
    """W1, and single changes on it; beside it every selector asked of every endpoint."""
    title = f"markers {endpoints:,}"
    loaded = Loaded(markers(endpoints, policies))
    report(title, loaded)
    churn.single(loaded, endpoints)
    churn.policies(loaded, policies)
    churn.namespaces(loaded, endpoints)
    emit(f"  asking {MARKERS} selectors of each of {endpoints:,}", naive(endpoints), "s")


def naive(endpoints: int) -> float:
    """Seconds, at the rate of a sample, for the answers alone: no sets, no deltas, no parsing."""
    selectors = [parse(f"has(marker-{n})") for n in range(MARKERS)]
    labels = [found.metadata.labels for found in _sample()]
    took = seconds(lambda: [sum(map(each.matches, labels)) for each in selectors])
    return took / SAMPLE * endpoints


def _sample() -> Iterator[WorkloadEndpoint]:
    return (marked_endpoint(n, "node") for n in range(SAMPLE))


def run_sets() -> None:
    """W2."""
    report("sets 10,000", Loaded(sets()))


def run_tenants(count: int = 10_000) -> None:
    """W3."""
    report(f"tenants {count:,}", Loaded(tenants(count)))


def main() -> int:
    """What the command line asks for. Exit status 1 if a part of it failed."""
    if not sys.argv[1:]:
        here = [sys.executable, "-m", "bench.engine"]
        return max([subprocess.run([*here, *each], check=False).returncode for each in RUNS])
    collect_seldom()  # as in an agent
    name, *sizes = sys.argv[1:]
    work = {"markers": run_markers, "sets": run_sets, "tenants": run_tenants}[name]
    work(*map(int, sizes))
    return 0


if __name__ == "__main__":
    sys.exit(main())
