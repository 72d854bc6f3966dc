"""cnitool as tests run it: the specification's own client, libcni as a command. Built once.

`python -m servers.cnitool_build` builds it and shows progress; `cached()` finds it, or says why
there is none. Debian has no package of it.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from servers.kube_build import SILENT_SECONDS, go_version, numbers
from servers.progress import Report, follow

MODULE = "github.com/containernetworking/cni/cnitool"
VERSION = "v1.3.0"
OLDEST_GO = (1, 21)  # what its go.mod asks for
REQUIRED = "TORTIE_REQUIRE_CNITOOL"
_MOST_SECONDS = 600.0


class NoCnitool(Exception):
    """There is none; the message is one line that says why and what to do."""


def cached() -> Path:
    """The program. Raises NoCnitool where it was not built."""
    if _place().is_file():
        return _place()
    if numbers(go_version()) < OLDEST_GO:
        wanted = ".".join(map(str, OLDEST_GO))
        raise NoCnitool(f"there is no Go toolchain here: install Go {wanted} or later")
    raise NoCnitool("it is not built yet: run `make cnitool`, which needs the Go module proxy once")


def built(report: Report) -> Path:
    """The program, built first where it was not. Raises NoCnitool."""
    try:
        return cached()
    except NoCnitool:
        if numbers(go_version()) < OLDEST_GO:
            raise
    report.say("building it, once: some seconds, and 3 MB from the Go module proxy")
    with tempfile.TemporaryDirectory(prefix="tortie-cnitool-") as folder:
        ended = follow(
            ["go", "install", "-trimpath", "-buildvcs=false", "-v", f"{MODULE}@{VERSION}"],
            cwd=Path(folder),
            env={**os.environ, "CGO_ENABLED": "0", "GOFLAGS": "", "GOWORK": "off", "GOBIN": folder},
            report=report,
            most=_MOST_SECONDS,
            silent=SILENT_SECONDS,
        )
        if ended:
            raise NoCnitool(f"it can't be built: {ended}")
        _place().parent.mkdir(parents=True, exist_ok=True)
        shutil.move(Path(folder) / "cnitool", _place())
    return _place()


def lacking() -> str:
    """Why tests of it are skipped; empty where they run."""
    try:
        cached()
    except NoCnitool as why:
        return f"no cnitool: {why}"
    return ""


def _place() -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "tortie" / "cnitool" / VERSION / "cnitool"


def main() -> int:
    """Build it where needed. Ends with 0 without one too, unless the environment demands it."""
    report = Report("cnitool")
    try:
        built(report)
    except (NoCnitool, OSError, subprocess.TimeoutExpired) as error:
        if os.environ.get(REQUIRED, "") not in ("", "0"):
            report.say(f"ERROR: {error} ({REQUIRED} is set)")
            return 1
        report.say(f"WARNING: {error}. Tests that need it will be skipped")
    return 0


if __name__ == "__main__":
    sys.exit(main())
