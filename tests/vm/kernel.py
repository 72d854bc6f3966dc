"""Debian's kernel for the small virtual machine: downloaded once, unpacked, never installed.

apt fetches the packages that its lists name, so they are checked as every package is. The same
with busybox-static, whose installation would remove a busybox that somebody uses.
"""

import fcntl
import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import NamedTuple

PACKAGE = "linux-image-cloud-amd64"  # stands for the newest one with its version in the name
BUSYBOX = "busybox-static"
MOST_SECONDS = 300.0


class NoVm(Exception):
    """There can be no virtual machine here; one line that says why and what to do."""


class TooSlow(NoVm):
    """The guest gave no result in the time that it had."""


class Kernel(NamedTuple):
    """An unpacked kernel, and the busybox beside it. `modules` is to be /lib/modules/VERSION."""

    version: str
    image: Path
    modules: Path
    busybox: Path


def cached() -> Kernel | None:
    """The newest that was unpacked here."""
    images = sorted(_cache().glob("*/boot/vmlinuz-*"), key=lambda one: one.stat().st_mtime)
    return _kernel(images[-1]) if images else None


def kernel() -> Kernel:
    """The kernel, downloaded first where there is none. Raises NoVm."""
    place = _cache()
    place.mkdir(parents=True, exist_ok=True)
    with open(place / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # another run may be about to download it
        found = cached()
        return found if found is not None else _download(place)


def _cache() -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "tortie" / "vm"


def _kernel(image: Path) -> Kernel:
    version, place = image.name.removeprefix("vmlinuz-"), image.parent.parent
    return Kernel(version, image, place / "lib" / "modules" / version, place / "bin" / "busybox")


def _download(place: Path) -> Kernel:
    try:
        return _unpack(place, _newest())
    except NoVm:
        if os.geteuid() != 0:
            raise
    _run(["apt-get", "update", "-qq"], place)  # the lists may be older than what is served now
    return _unpack(place, _newest())


def _unpack(place: Path, package: str) -> Kernel:
    with tempfile.TemporaryDirectory(dir=place) as folder:
        here, unpacked = Path(folder), Path(folder, "unpacked")
        _run(["apt-get", "download", "-qq", package, BUSYBOX], here)
        for archive in here.glob("*.deb"):
            _run(["dpkg-deb", "--extract", str(archive), str(unpacked)], here)
        version = package.removeprefix("linux-image-")
        _run(["depmod", "--basedir", str(unpacked), version], here)
        (name,) = (one.stem for one in here.glob(f"{package}*.deb"))
        shutil.rmtree(place / name, ignore_errors=True)  # half of an earlier one
        unpacked.rename(place / name)
    return _kernel(place / name / "boot" / f"vmlinuz-{version}")


def _newest() -> str:
    """Such as "linux-image-6.1.0-56-cloud-amd64"."""
    for line in _run(["apt-cache", "depends", PACKAGE], Path("/")).splitlines():
        kind, _, name = line.strip().partition(": ")
        if kind == "Depends" and name.startswith("linux-image-"):
            return name
    raise NoVm(f"apt knows no package {PACKAGE}: run `apt-get update`, on Debian 12 for amd64")


def _run(command: list[str], folder: Path) -> str:
    try:
        done = subprocess.run(
            command,
            cwd=folder,
            env={**os.environ, "PATH": f"{os.environ['PATH']}:/usr/sbin:/sbin"},  # of users, too
            capture_output=True,
            text=True,
            timeout=MOST_SECONDS,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise NoVm(f"no kernel for it: {error}") from None
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
        raise NoVm(f"no kernel for it: `{' '.join(command)}` failed: {last}")
    return done.stdout
