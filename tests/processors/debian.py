"""Debian's packages of another architecture, unpacked in a folder; nothing is installed."""

import os
import subprocess
from pathlib import Path

from processors.architectures import Architecture

_INTERPRETER = ("python3.11", "libpython3.11-dev", "libc6-dev", "python3-yaml")
_SETTINGS = """\
APT::Architecture "{arch}";
APT::Architectures {{ "{arch}"; }};
Dir::State "{place}/state";
Dir::State::status "{place}/state/status";
Dir::Cache "{place}/cache";
APT::Sandbox::User "root";
"""


def unpack_interpreter(architecture: Architecture, place: Path) -> Path:
    """A folder that is laid out as that processor's Debian, with Python in it.

    apt works with a state of its own, so that the machine's never knows of the architecture.
    """
    root = place / "root"
    settings = _settings(architecture, place)
    _apt(settings, "update", "-qq")
    _apt(settings, "install", "-y", "-qq", "--download-only", "--no-install-recommends",
         *_INTERPRETER)  # fmt: skip
    for package in sorted((place / "cache" / "archives").glob("*.deb")):
        _extract(package, root)
    return root


def unpack_emulator(architecture: Architecture, place: Path) -> Path:
    """QEMU's user emulation of that processor. Unpacked, since installed it would register itself
    with the kernel as the interpreter of foreign programs."""
    found = place / "emulator" / "usr" / "bin" / f"qemu-{architecture.qemu}-static"
    if not found.exists():
        place.mkdir(parents=True, exist_ok=True)
        _run(["apt-get", "download", "-qq", "qemu-user-static"], cwd=place)
        for package in place.glob("qemu-user-static_*.deb"):
            _extract(package, place / "emulator")
            package.unlink()
    return found


def install(packages: tuple[str, ...]) -> None:
    """Install packages of this machine's own architecture: the cross compilers."""
    _run(["apt-get", "install", "-y", "-qq", "--no-install-recommends", *packages])


def _settings(architecture: Architecture, place: Path) -> Path:
    for folder in ("state/lists/partial", "cache/archives/partial"):
        (place / folder).mkdir(parents=True, exist_ok=True)
    (place / "state" / "status").touch()
    settings = place / "apt.conf"
    settings.write_text(_SETTINGS.format(arch=architecture.debian, place=place))
    return settings


def _apt(settings: Path, *arguments: str) -> None:
    _run(["apt-get", *arguments], environment={"APT_CONFIG": str(settings)})


def _extract(package: Path, root: Path) -> None:
    root.mkdir(parents=True, exist_ok=True)
    _run(["dpkg-deb", "--extract", str(package), str(root)])


def _run(
    command: list[str], *, cwd: Path | None = None, environment: dict[str, str] | None = None
) -> None:
    full = {**os.environ, "DEBIAN_FRONTEND": "noninteractive", **(environment or {})}
    subprocess.run(command, cwd=cwd, env=full, check=True, timeout=600, stdout=subprocess.DEVNULL)
