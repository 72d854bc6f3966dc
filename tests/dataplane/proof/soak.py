"""The proofs with new seeds for as long as one wants: `make soak MINUTES=60`.

Round by round, each firewall gets programs and packets that were never tried before, then a node
whose agent is killed under traffic. A line tells each; the first failure ends it with status 1 and
tells its seed. Ctrl-C or SIGTERM end it within seconds; nothing is left either way.
"""

import argparse
import random
import signal
import sys
import tempfile
import time
from contextlib import ExitStack
from itertools import cycle, product
from pathlib import Path

from dataplane.hostlab import HostLab
from dataplane.proof.firewalls import Firewall
from dataplane.proof.nodes import node_of, siege
from dataplane.proof.test_kills import kill
from dataplane.proof.world import World, prepared
from tortie.policy import ToHost

PROGRAMS, PACKETS, KILLS = 40, 400, 8  # a round


class Stop:
    """Whether it is to end: at the end of its time, or because somebody said so."""

    def __init__(self, minutes: float) -> None:
        self._deadline = time.monotonic() + 60 * minutes
        self._told = False
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._tell)

    def _tell(self, *_: object) -> None:
        self._told = True

    def __bool__(self) -> bool:
        return self._told or time.monotonic() > self._deadline


def main() -> int:
    """0 when all was well until the end."""
    arguments = _arguments()
    stop, chance = Stop(arguments.minutes), random.Random(arguments.seed)
    print(f"soak: {arguments.minutes:g} minutes, seed {arguments.seed}", flush=True)
    firewalls = [one for one in Firewall if not arguments.only or one in arguments.only]
    for firewall, work in cycle(product(firewalls, (_compare, _besiege))):
        if stop:
            print("soak: all was well", flush=True)
            return 0
        seed, begun = chance.randrange(1 << 30), time.monotonic()
        try:
            what = work(firewall, seed, stop)
        except AssertionError as failed:
            print(f"soak: FAILED on {firewall} with seed {seed}\n{failed}", flush=True)
            return 1
        print(f"{firewall:<16}seed {seed:<11}{what}, {time.monotonic() - begun:.0f} s", flush=True)
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="soak", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--minutes", type=float, default=10.0, help="how long (default: 10)")
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 30), help="begin with it")
    parser.add_argument(
        "--only", choices=list(Firewall), action="append", help="this firewall (several times)"
    )
    return parser.parse_args()


def _compare(firewall: Firewall, seed: int, stop: Stop) -> str:
    chance = random.Random(seed)
    with HostLab() as lab, ExitStack() as opened:
        world = World(prepared(lab), firewall, chance.choice(list(ToHost)))
        opened.callback(world.close)
        for number in range(PROGRAMS):
            if stop:
                break
            world.agree(seed + number, PACKETS)
        return f"{world.programs} programs, {world.pairs} packets as the evaluator says"


def _besiege(firewall: Firewall, seed: int, stop: Stop) -> str:
    chance, kills = random.Random(seed), 0
    with (
        tempfile.TemporaryDirectory() as folder,
        siege(node_of(Path(folder), firewall), firewall, seed) as under,
    ):
        while kills < KILLS and not stop:
            kill(under, 1, chance)
            kills += 1
        under.ends_well()
        return f"{kills} kills, {under.sent_in_all} packets as policy says"


if __name__ == "__main__":
    sys.exit(main())
