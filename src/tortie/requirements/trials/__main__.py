"""The process in which things are tried: names on standard input, what came of them on output.

It gets a network namespace of its own, and with it everything that it makes ends: with its end,
whatever becomes of it, and the kernel kills it if the process that started it ends first.
"""

import json
import os
import sys

from tortie.requirements.trials.entering import CannotEnter, die_with_parent, enter
from tortie.requirements.trials.every import try_all
from tortie.requirements.tried import Outcome


def main() -> int:
    """Try what is asked for; the exit status is 0 whatever was found."""
    parent = int(sys.argv[1])
    die_with_parent(parent)
    names = json.load(sys.stdin)
    try:
        enter()
    except CannotEnter as problem:
        answer = {name: (Outcome.FORBIDDEN, str(problem)) for name in names}
    else:
        answer = {name: (one.outcome, one.words) for name, one in try_all(names).items()}
    json.dump(answer, sys.stdout)
    sys.stdout.flush()
    os._exit(0)  # at once: the descriptors hold what was made


if __name__ == "__main__":
    sys.exit(main())
