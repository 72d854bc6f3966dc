"""Debian's packages, resolved and fetched by apt in a state of its own; unpacked, never run."""

import subprocess
from collections.abc import Sequence
from pathlib import Path

from tools.image.recipe import LEFT_OUT, PACKAGES, PLUGINS, UNUSED

_SECONDS = 900


class NotFetched(Exception):
    """apt can't have the packages; one line for people."""


class Apt:
    """apt for one processor, with all that it keeps in `folder`; the machine's own is untouched."""

    def __init__(self, folder: Path, processor: str) -> None:
        self.archives = folder / "archives"
        lists, status = folder / "lists", folder / "status"
        for each in (self.archives / "partial", lists / "partial"):
            each.mkdir(parents=True, exist_ok=True)
        status.touch()
        words = (
            f"APT::Architecture={processor}",
            f"APT::Architectures::={processor}",
            f"Dir::State={folder}",
            f"Dir::State::Lists={lists}",
            f"Dir::State::status={status}",
            f"Dir::Cache={folder}",
            f"Dir::Cache::archives={self.archives}",
            "Debug::NoLocking=1",
            "APT::Install-Recommends=0",
            "APT::Sandbox::User=root",
            "Acquire::Languages=none",
            "Acquire::Retries=5",
        )
        self._options = [word for each in words for word in ("-o", each)]

    def fetch(self) -> list[Path]:
        """All archives of the image, in the order of their names. Raises NotFetched."""
        self._run("update", "-qq")
        self._run("install", "-y", "-qq", "--download-only", *PACKAGES)
        wanted = {path.name for path in self._resolved()}
        found = sorted(path for path in self.archives.glob("*.deb") if path.name in wanted)
        if len(found) != len(wanted):
            missing = ", ".join(sorted(wanted - {path.name for path in found}))
            raise NotFetched(f"apt did not fetch {missing}")
        return [path for path in found if name_of(path) not in UNUSED]

    def _resolved(self) -> list[Path]:
        """What is needed; apt leaves out what it has, so it is asked where it has nothing."""
        empty = ("-o", "Dir::Cache::archives=/nonexistent/")
        lines = self._run("install", "-y", "--print-uris", *empty, *PACKAGES).splitlines()
        return [self.archives / line.split()[1] for line in lines if line.startswith("'")]

    def _run(self, *words: str) -> str:
        done = subprocess.run(
            ["apt-get", *self._options, *words],
            capture_output=True,
            text=True,
            timeout=_SECONDS,
            check=False,
        )
        if done.returncode:
            said = (done.stderr.strip() or "no reason given").splitlines()
            raise NotFetched(f"apt-get {words[0]}: {said[-1]}")
        return done.stdout


def name_of(archive: Path) -> str:
    """The package's name: what stands before the version."""
    return archive.name.partition("_")[0]


def unpack(archives: Sequence[Path], root: Path) -> None:
    """Every archive's files below `root`, where usr/bin and bin are one as everywhere."""
    for name in ("bin", "sbin", "lib", "lib64"):
        (root / "usr" / name).mkdir(parents=True, exist_ok=True)
        (root / name).symlink_to(f"usr/{name}")
    for archive in archives:
        with subprocess.Popen(
            ["dpkg-deb", "--fsys-tarfile", str(archive)], stdout=subprocess.PIPE
        ) as opened:
            subprocess.run(
                [
                    "tar",
                    "-x",
                    "-C",
                    str(root),
                    "--keep-directory-symlink",
                    "--no-same-owner",
                    *(f"--exclude=./{path}" for path in _left_out(archive)),
                ],
                stdin=opened.stdout,
                check=True,
                timeout=_SECONDS,
            )
        if opened.returncode:
            raise NotFetched(f"{archive.name} can't be unpacked")


def _left_out(archive: Path) -> list[str]:
    """Documentation and services; of the reference plugins, those that nobody chains."""
    if name_of(archive) != "containernetworking-plugins":
        return list(LEFT_OUT)
    listed = subprocess.run(
        ["dpkg-deb", "--contents", str(archive)],
        capture_output=True,
        text=True,
        check=True,
        timeout=_SECONDS,
    ).stdout.splitlines()
    paths = [line.split()[5].removeprefix("./") for line in listed]
    plugins = [path for path in paths if path.startswith("usr/lib/cni/") and path[-1] != "/"]
    return [*LEFT_OUT, *(path for path in plugins if Path(path).name not in PLUGINS)]
