"""Run every benchmark, print a table, write `bench-results.json`."""

import json
import pkgutil
import subprocess
import sys
from pathlib import Path
from typing import TypedDict

TIMEOUT_SECONDS = 900


class Figure(TypedDict):
    """One measured figure."""

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


def run(name: str) -> list[Figure]:
    """The figures of one benchmark, in a process of its own so that none warms another."""
    done = subprocess.run(
        [sys.executable, "-m", f"bench.{name}"],
        stdout=subprocess.PIPE,
        text=True,
        timeout=TIMEOUT_SECONDS,
        check=False,
    )
    if done.returncode:
        print(f"bench: {name} ended with status {done.returncode}", file=sys.stderr)
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]


def main() -> int:
    """Run, print as it goes, write the file. 1 if a benchmark gave no figure."""
    results: list[Figure] = []
    silent: list[str] = []
    for name in modules(sys.argv[1:]):
        print(f"{name} ...", file=sys.stderr, flush=True)
        figures = run(name)
        silent += [] if figures else [name]
        results += figures
        for figure in figures:
            print(f"{figure['name']:<58}{figure['value']:>12,.3f} {figure['unit']}", flush=True)
    Path("bench-results.json").write_text(json.dumps(results, indent=1) + "\n")
    if silent:
        print(f"bench: no figures from: {', '.join(silent)}", file=sys.stderr)
    return 1 if silent else 0


if __name__ == "__main__":
    sys.exit(main())
