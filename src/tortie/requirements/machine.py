"""What checks may ask of a machine: files below a root folder, programs, and what was tried.

`root` is "/" but for tests, and for a pod that has its host's files mounted elsewhere.
"""

import os
import platform
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path

from tortie.linux.links import Links
from tortie.linux.netlink.sockets import NetlinkSocket
from tortie.requirements.cluster.facts import Cluster
from tortie.requirements.modes import Modes
from tortie.requirements.peer.answers import PeerReport
from tortie.requirements.tried import Tried

_SEARCHED = "/usr/sbin:/sbin:/usr/bin:/bin:/usr/local/sbin:/usr/local/bin"
_PATIENCE = 5.0  # seconds for a program that says its version
_MOST = 1024 * 1024  # bytes of a file that is looked at


class Machine:
    """One machine, with the modes that are chosen for it; it is asked once.

    `cluster` is what the datastore's cluster says of itself, None where none was asked, `peer` what
    passes to and from another node, None where none was named.
    """

    def __init__(
        self,
        modes: Modes,
        root: Path = Path("/"),
        tried: Mapping[str, Tried] | None = None,
        cluster: Cluster | None = None,
        peer: PeerReport | None = None,
    ) -> None:
        self.modes, self.root = modes, root
        self.tried: Mapping[str, Tried] = tried or {}
        self.cluster, self.peer = cluster, peer

    def path(self, name: str) -> Path:
        """Where a file of the machine is, "etc/cni/net.d"."""
        return self.root / name.lstrip("/")

    def text(self, name: str) -> str:
        """The begin of a file; empty where it can't be read."""
        try:
            with self.path(name).open("rb") as file:
                return file.read(_MOST).decode("utf-8", "replace")
        except OSError:
            return ""

    def listing(self, name: str) -> list[str]:
        """The names in a folder, sorted; empty where there is none."""
        try:
            return sorted(os.listdir(self.path(name)))
        except OSError:
            return []

    def sysctl(self, name: str) -> str:
        """A kernel setting, "net/ipv4/ip_forward"; empty where there is none."""
        return self.text(f"proc/sys/{name}").strip()

    def has_link(self, name: str) -> bool:
        """Whether this process's namespace has an interface of that name."""
        try:
            with NetlinkSocket() as sock:
                return Links(sock).find(name) is not None
        except OSError:
            return False

    @cached_property
    def kernel(self) -> tuple[str, str]:
        """The kernel's release and the processor's name."""
        release = self.text("proc/sys/kernel/osrelease").strip()
        return release or platform.release(), platform.machine()

    @cached_property
    def processes(self) -> Mapping[str, int]:
        """The names of what runs (cut after 15 characters, as the kernel does), one PID of each."""
        found = {}
        for entry in self.listing("proc"):
            if entry.isdigit() and (name := self.text(f"proc/{entry}/comm").strip()):
                found[name] = int(entry)
        return found

    def program(self, name: str) -> str:
        """Where a program is; empty where it is not installed."""
        places = [str(self.path(one)) for one in _SEARCHED.split(":")]
        if self.root == Path("/"):
            places.insert(0, os.environ.get("PATH", ""))
        return shutil.which(name, path=":".join(places)) or ""

    def version(self, *command: str) -> str:
        """The first line that a program prints of itself; empty where it can't be run."""
        told = self._run(command)
        return next(iter((told.stdout or told.stderr).splitlines()), "") if told else ""

    def output(self, *command: str) -> str | None:
        """All that a program prints; nothing where there is no such one, None where it fails."""
        if not self.program(command[0]):
            return ""
        told = self._run(command)
        return told.stdout if told and told.returncode == 0 else None

    def _run(self, command: Sequence[str]) -> subprocess.CompletedProcess[str] | None:
        program = self.program(command[0])
        if not program:
            return None
        try:
            return subprocess.run(
                [program, *command[1:]],
                capture_output=True,
                text=True,
                timeout=_PATIENCE,
                env={"PATH": _SEARCHED, "LC_ALL": "C"},
                stdin=subprocess.DEVNULL,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired):
            return None
