"""`python -m fuzz.replay TARGET FILE...`: feed inputs to the plain code, within the bounds.

Exit status 1 if one of them breaks a promise; each is named before it runs, so that the last name
of a process that died is the culprit.
"""

import faulthandler
import resource
import sys
import traceback
from collections.abc import Callable
from pathlib import Path

from fuzz.bounds import HANG_SECONDS, MEBIBYTES, bounded
from fuzz.targets import load


def main() -> int:
    """Run the files of the command line."""
    name, *paths = sys.argv[1:]
    target = load(name)
    resource.setrlimit(resource.RLIMIT_AS, (MEBIBYTES << 20, MEBIBYTES << 20))
    return max([_replay(target.check, Path(path)) for path in paths], default=0)


def _replay(check: Callable[[bytes], None], path: Path) -> int:
    print(f"{path} ...", flush=True)
    faulthandler.dump_traceback_later(HANG_SECONDS, exit=True)
    try:
        bounded(check, path.read_bytes())
    except Exception:
        traceback.print_exc(limit=-6)
        return 1
    finally:
        faulthandler.cancel_dump_traceback_later()
    return 0


if __name__ == "__main__":
    sys.exit(main())
