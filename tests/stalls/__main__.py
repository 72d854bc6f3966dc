"""`python -m stalls [--seed N] [--longest S] -- TESTS`: pytest, while its processes stand still.

On a busy machine any process may wait for a second between two instructions. What holds only for
who is quick is found sooner where that is done to all of them, again and again: daemons, servers
and the tests themselves. What is found may be a test's haste, or a fault of a daemon's.
"""

import argparse
import os
import random
import subprocess
import sys
import time

from stalls.standing import below, standing_still


def main() -> int:
    """pytest's exit code."""
    asked = _arguments()
    chance = random.Random(asked.seed)
    print(f"stalls: --seed {asked.seed}", flush=True)
    tests = [word for word in asked.tests if word != "--"]
    with subprocess.Popen([sys.executable, "-m", "pytest", *tests]) as run:
        while run.poll() is None:
            time.sleep(chance.uniform(0.1, 0.6))
            _stall(run.pid, asked.longest, chance)
        return run.returncode


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="stalls", description=__doc__.partition("\n")[0])
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 32))
    parser.add_argument("--longest", type=float, default=1.0, help="seconds of standing still")
    parser.add_argument("tests", nargs=argparse.REMAINDER, help="what pytest is told")
    return parser.parse_args()


def _stall(root: int, longest: float, chance: random.Random) -> None:
    there = sorted(below(root))
    picked = chance.sample(there, min(len(there), chance.choice((1, 1, 2, 3))))
    with standing_still(picked):
        time.sleep(longest * chance.choice((0.05, 0.2, 0.5, 1.0)))


if __name__ == "__main__":
    os.environ.setdefault("TORTIE_LAB_PATIENCE", "300")
    sys.exit(main())
