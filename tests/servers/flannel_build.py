"""flannel as tests run it: the daemon and its CNI plugin, built once from their Go modules.

`python -m servers.flannel_build` builds them and shows progress; `cached()` finds them, or says why
there are none. The plugin's own repository is on no Go module proxy: what it was before it moved
there is in the reference plugins' last release that had it.

Two of flanneld's ways to carry packets are left out, since what they need can't be had everywhere:
a cloud's SDK, and a compiler for C. Both are others than the one that clusters use, VXLAN.
"""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

from servers.go_programs import NotBuilt, Program, environment, main, run_go
from servers.progress import Report

DAEMON = "github.com/flannel-io/flannel"
DAEMON_VERSION = "v0.28.4"
PLUGIN = "github.com/containernetworking/plugins/plugins/meta/flannel"
PLUGIN_VERSION = "v0.9.1"
REQUIRED = "TORTIE_REQUIRE_FLANNEL"
_LEFT_OUT = ("tencentvpc", "udp")  # folders of pkg/backend
_MOST_SECONDS = 2400.0
_FLAGS = ("-trimpath", "-buildvcs=false", "-ldflags=-s -w", "-v")


class Flannel(NamedTuple):
    """The two programs."""

    daemon: Path
    plugin: Path


def _build(made: Path, work: Path, report: Report) -> None:
    command = ["install", *_FLAGS, f"{PLUGIN}@{PLUGIN_VERSION}"]
    run_go(command, work, report, _MOST_SECONDS, GOBIN=str(made / "cni"))
    _build_daemon(made / "flanneld", work, report)


def _build_daemon(place: Path, work: Path, report: Report) -> None:
    """From a copy of the module, since what the module cache has is not to be changed."""
    asked = ["go", "mod", "download", "-json", f"{DAEMON}@{DAEMON_VERSION}"]
    told = subprocess.run(
        asked, cwd=work, env=environment(), capture_output=True, text=True, timeout=600
    )
    if told.returncode:
        raise NotBuilt(f"it can't be had: {told.stderr.strip().splitlines()[-1:]}")
    source = work / "source"
    shutil.copytree(json.loads(told.stdout)["Dir"], source, copy_function=shutil.copyfile)
    for path in (source, *source.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)
    for name in _LEFT_OUT:
        backend = source / "pkg" / "backend" / name
        shutil.rmtree(backend)
        backend.mkdir()
        (backend / "none.go").write_text(f"package {name}\n")
    run_go(["build", *_FLAGS, "-o", str(place), "."], source, report, _MOST_SECONDS)


FLANNEL = Program(
    name="flannel",
    version=f"{DAEMON_VERSION}-{PLUGIN_VERSION}",
    files=("flanneld", "cni/flannel"),
    oldest_go=(1, 25),  # what flannel's go.mod asks for
    costs="some minutes, and 100 MB",
    build=_build,
)


def cached() -> Flannel:
    """The programs. Raises NotBuilt where they were not built."""
    place = FLANNEL.cached()
    return Flannel(place / "flanneld", place / "cni" / "flannel")


if __name__ == "__main__":
    sys.exit(main("flannel", REQUIRED, FLANNEL.built))
