"""Run benchmarks, print each figure as it comes, keep them all in `bench-results.json`.

Without a name all are run. What others found before stays in the file; each figure says which
benchmark it is of.
"""

import json
import pkgutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import TypedDict

TIMEOUT_SECONDS = 1800
RESULTS = Path("bench-results.json")


class Figure(TypedDict):
    """One measured figure."""

    benchmark: str
    name: str
    value: float
    unit: str


def modules(wanted: list[str]) -> list[str]:
    """The benchmarks of this package, or those named on the command line."""
    here = str(Path(__file__).parent)
    found = [m.name for m in pkgutil.iter_modules([here]) if not m.name.startswith("_")]
    unknown = sorted(set(wanted) - set(found))
    if unknown:
        sys.exit(f"bench: no benchmark {unknown[0]!r}; there are: {', '.join(found)}")
    return wanted or found


def run(name: str) -> Iterator[Figure]:
    """The figures of one benchmark, in a process of its own so that none warms another."""
    command = [sys.executable, "-m", f"bench.{name}"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        interrupt = partial(process.send_signal, signal.SIGINT)  # it takes away what it made
        limit = threading.Timer(TIMEOUT_SECONDS, interrupt)
        limit.start()
        assert process.stdout is not None
        for line in process.stdout:
            if line.startswith("{"):
                yield {"benchmark": name, **json.loads(line)}
        status = process.wait()
        limit.cancel()
    if status:
        print(f"bench: {name} ended with status {status}", file=sys.stderr)


def keep(name: str, figures: list[Figure]) -> None:
    """Put a benchmark's figures in the place of those that it found before."""
    before: list[Figure] = json.loads(RESULTS.read_text()) if RESULTS.exists() else []
    others = [one for one in before if one.get("benchmark") not in (name, None)]
    RESULTS.write_text(json.dumps([*others, *figures], indent=1) + "\n")


def main() -> int:
    """Run, print, write the file. 1 if a benchmark gave no figure."""
    silent: list[str] = []
    for name in modules(sys.argv[1:]):
        print(f"{name} ...", file=sys.stderr, flush=True)
        figures: list[Figure] = []
        for figure in run(name):
            figures.append(figure)
            print(f"{figure['name']:<58}{figure['value']:>12,.3f} {figure['unit']}", flush=True)
        keep(name, figures)
        silent += [] if figures else [name]
    if silent:
        print(f"bench: no figures from: {', '.join(silent)}", file=sys.stderr)
    return 1 if silent else 0


if __name__ == "__main__":
    sys.exit(main())
