"""cnitool as tests run it: the specification's own client, libcni as a command. Built once.

`python -m servers.cnitool_build` builds it and shows progress; `cached()` finds it, or says why
there is none.
"""

import sys
from pathlib import Path

from servers.go_programs import Program, main, run_go
from servers.progress import Report

MODULE = "github.com/containernetworking/cni/cnitool"
VERSION = "v1.3.0"
REQUIRED = "TORTIE_REQUIRE_CNITOOL"
_MOST_SECONDS = 600.0


def _build(made: Path, work: Path, report: Report) -> None:
    command = ["install", "-trimpath", "-buildvcs=false", "-v", f"{MODULE}@{VERSION}"]
    run_go(command, work, report, _MOST_SECONDS, GOBIN=str(made))


CNITOOL = Program(
    name="cnitool",
    version=VERSION,
    files=("cnitool",),
    oldest_go=(1, 21),  # what its go.mod asks for
    costs="some seconds, and 3 MB",
    build=_build,
)


def cached() -> Path:
    """The program. Raises NotBuilt where it was not built."""
    return CNITOOL.cached() / "cnitool"


if __name__ == "__main__":
    sys.exit(main("cnitool", REQUIRED, CNITOOL.built))
