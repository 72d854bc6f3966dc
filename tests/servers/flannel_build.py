"""flannel as tests run it: the daemon and its CNI plugin, built once from their Go modules.

`python -m servers.flannel_build` builds them and shows progress; `cached()` finds them, or says why
there are none. Debian has no package of either, and the plugin's own repository is on no Go module
proxy: what it was before it moved there is in the reference plugins' last release that had it.

Two of flanneld's ways to carry packets are left out, since what they need can't be had everywhere:
a cloud's SDK, and a compiler for C. Both are others than the one that clusters use, VXLAN.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

from servers.kube_build import SILENT_SECONDS, go_version, numbers
from servers.progress import Report, follow

DAEMON = "github.com/flannel-io/flannel"
DAEMON_VERSION = "v0.28.4"
PLUGIN = "github.com/containernetworking/plugins/plugins/meta/flannel"
PLUGIN_VERSION = "v0.9.1"
OLDEST_GO = (1, 25)  # what flannel's go.mod asks for
REQUIRED = "TORTIE_REQUIRE_FLANNEL"
_LEFT_OUT = ("tencentvpc", "udp")  # folders of pkg/backend
_MOST_SECONDS = 2400.0
_FLAGS = ("-trimpath", "-buildvcs=false", "-ldflags=-s -w", "-v")


class NoFlannel(Exception):
    """There is none; the message is one line that says why and what to do."""


class Flannel(NamedTuple):
    """The two programs."""

    daemon: Path
    plugin: Path


def cached() -> Flannel:
    """The programs. Raises NoFlannel where they were not built."""
    found = Flannel(_place() / "flanneld", _place() / "cni" / "flannel")
    if all(one.is_file() for one in found):
        return found
    if numbers(go_version()) < OLDEST_GO:
        wanted = ".".join(map(str, OLDEST_GO))
        raise NoFlannel(f"there is no Go toolchain here: install Go {wanted} or later")
    raise NoFlannel("it is not built yet: run `make flannel`, which needs the Go module proxy once")


def built(report: Report) -> Flannel:
    """The programs, built first where they were not. Raises NoFlannel."""
    try:
        return cached()
    except NoFlannel:
        if numbers(go_version()) < OLDEST_GO:
            raise
    report.say("building it, once: some minutes, and 100 MB from the Go module proxy")
    with tempfile.TemporaryDirectory(prefix="tortie-flannel-") as folder:
        made = Path(folder) / "made"
        (made / "cni").mkdir(parents=True)
        _build_plugin(made / "cni", Path(folder), report)
        _build_daemon(made / "flanneld", Path(folder), report)
        _place().mkdir(parents=True, exist_ok=True)
        for program in ("cni", "flanneld"):
            shutil.rmtree(_place() / program, ignore_errors=True)
            shutil.move(made / program, _place() / program)
    report.say(f"built, kept in {_place()}")
    return cached()


def lacking() -> str:
    """Why tests of it are skipped; empty where they run."""
    try:
        cached()
    except NoFlannel as why:
        return f"no flannel: {why}"
    return ""


def _place() -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "tortie" / "flannel" / f"{DAEMON_VERSION}-{PLUGIN_VERSION}"


def _environment(**others: str) -> dict[str, str]:
    return {**os.environ, "CGO_ENABLED": "0", "GOFLAGS": "", "GOWORK": "off", **others}


def _build_plugin(place: Path, folder: Path, report: Report) -> None:
    command = ["go", "install", *_FLAGS, f"{PLUGIN}@{PLUGIN_VERSION}"]
    _go(command, folder, _environment(GOBIN=str(place)), report)


def _build_daemon(place: Path, folder: Path, report: Report) -> None:
    """From a copy of the module, since what the module cache has is not to be changed."""
    asked = ["go", "mod", "download", "-json", f"{DAEMON}@{DAEMON_VERSION}"]
    told = subprocess.run(
        asked, cwd=folder, env=_environment(), capture_output=True, text=True, timeout=600
    )
    if told.returncode:
        raise NoFlannel(f"it can't be had: {told.stderr.strip().splitlines()[-1:]}")
    source = folder / "source"
    shutil.copytree(json.loads(told.stdout)["Dir"], source, copy_function=shutil.copyfile)
    for path in (source, *source.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)
    for name in _LEFT_OUT:
        backend = source / "pkg" / "backend" / name
        shutil.rmtree(backend)
        backend.mkdir()
        (backend / "none.go").write_text(f"package {name}\n")
    _go(["go", "build", *_FLAGS, "-o", str(place), "."], source, _environment(), report)


def _go(command: list[str], folder: Path, environ: dict[str, str], report: Report) -> None:
    ended = follow(
        command, cwd=folder, env=environ, report=report, most=_MOST_SECONDS, silent=SILENT_SECONDS
    )
    if ended:
        raise NoFlannel(f"it can't be built: {ended}")


def main() -> int:
    """Build it where needed. Ends with 0 without one too, unless the environment demands it."""
    report = Report("flannel")
    try:
        built(report)
    except (NoFlannel, OSError, subprocess.TimeoutExpired) as error:
        if os.environ.get(REQUIRED, "") not in ("", "0"):
            report.say(f"ERROR: {error} ({REQUIRED} is set)")
            return 1
        report.say(f"WARNING: {error}. Tests that need it will be skipped")
    return 0


if __name__ == "__main__":
    sys.exit(main())
