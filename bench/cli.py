"""The command line: whole processes from start to end, beside Python that does nothing."""

import json
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

RUNS = 15
TORTIE = (sys.executable, "-m", "tortie.cli")
POLICY = """apiVersion: projectcalico.org/v3
kind: GlobalNetworkPolicy
metadata: {{name: p{number}}}
spec: {{selector: app == 'a{number}', ingress: [{{action: Allow}}]}}
"""


def main() -> None:
    """Print every figure as a line of JSON."""
    with TemporaryDirectory() as directory:
        store = ("--datastore", str(Path(directory) / "store.db"))
        manifest = Path(directory) / "policies.yaml"
        manifest.write_text("---\n".join(POLICY.format(number=number) for number in range(100)))
        run((*TORTIE, "apply", "-f", str(manifest), *store))
        figures: dict[str, Sequence[str]] = {
            "cli: python -c pass (the bound)": (sys.executable, "-c", "pass"),
            "cli: tortie version": (*TORTIE, "version"),
            "cli: tortie get tiers": (*TORTIE, "get", "tiers", *store),
            "cli: tortie get gnp, 100 of them": (*TORTIE, "get", "gnp", *store),
            "cli: tortie get gnp -o yaml, 100": (*TORTIE, "get", "gnp", "-o", "yaml", *store),
            "cli: tortie apply -f, 100 unchanged": (
                *(*TORTIE, "apply", "-f", str(manifest)),
                *store,
            ),
        }
        for name, words in figures.items():
            value = statistics.median(run(words) for _ in range(RUNS))
            print(json.dumps({"name": name, "value": value, "unit": "ms"}), flush=True)


def run(words: Sequence[str]) -> float:
    """The milliseconds that a process takes from its start to its end."""
    begin = time.perf_counter()
    subprocess.run(words, check=True, capture_output=True)
    return (time.perf_counter() - begin) * 1000


if __name__ == "__main__":
    main()
