"""The commands: iptables-save, iptables-restore, ipset, run in the driver's network namespace.

No shell, no environment of the caller's, texts by standard input only.
"""

import os
import shutil
import subprocess
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, closing, nullcontext
from itertools import pairwise

from tortie.dataplane.iptables.settings import Backend
from tortie.linux.links import Links
from tortie.linux.namespaces import in_namespace
from tortie.linux.netlink.ipset import edit_members
from tortie.linux.netlink.sockets import (
    NETLINK_NETFILTER,
    NetlinkError,
    NetlinkLost,
    NetlinkSocket,
    Request,
)
from tortie.linux.xtables import existing_tables
from tortie.net import Prefix

_OWN_NAMESPACE = "/proc/thread-self/ns/net"
_SEARCHED = "/usr/sbin:/sbin:/usr/bin:/bin:/usr/local/sbin"
_PROGRAMS = {4: "iptables", 6: "ip6tables"}
_PATIENCE = 120  # seconds beside the wait for the lock: no transaction takes so long
_REMEMBERED = 64  # processes
_SHOWN = 600  # characters of a command's complaint


class IptablesError(OSError):
    """iptables can't be used now: a command is missing, hangs, or others hold the lock."""


class Refused(IptablesError):
    """A command refused its text; of an iptables text, nothing is in force."""


class Commands:
    """The commands of one backend, and of ipset. It belongs to the namespace it was made in."""

    def __init__(self, backend: Backend, lock_seconds: int) -> None:
        self.backend = backend
        self._lock_seconds = lock_seconds
        self._namespace = os.open(_OWN_NAMESPACE, os.O_RDONLY | os.O_CLOEXEC)
        self._members = NetlinkSocket(NETLINK_NETFILTER)
        self.processes: deque[int] = deque(maxlen=_REMEMBERED)  # the last ones: in notifications

    def close(self) -> None:
        """Let go of the namespace."""
        os.close(self._namespace)
        self._members.close()

    def save(self, version: int) -> str:
        """What `iptables-save` prints, all tables. Raises IptablesError."""
        return self._run([self._program(version, "save")])

    def restore(self, version: int, text: str) -> None:
        """One table's transaction. Raises Refused, IptablesError."""
        program = self._program(version, "restore")
        self._run([program, "-w", str(int(self._lock_seconds)), "--noflush"], text)

    def save_sets(self) -> str:
        """What `ipset save` prints. Raises IptablesError."""
        return self._run(["ipset", "save"])

    def restore_sets(self, text: str) -> None:
        """Change sets; what is as asked already is no error. Raises Refused, IptablesError."""
        self._run(["ipset", "-exist", "restore"], text)

    def edit_members(self, requests: Sequence[Request]) -> None:
        """Members of sets that come and go, in this order. Raises Refused, OSError."""
        try:
            edit_members(self._members, requests)
        except NetlinkLost:
            raise
        except NetlinkError as error:
            raise Refused(str(error)) from None

    def existing_tables(self, version: int) -> list[str]:
        """The kernel's own tables that are there."""
        with self._inside():
            return existing_tables(version)

    def addresses(self) -> dict[str, frozenset[Prefix]]:
        """The addresses of every interface of the namespace that has any. Raises OSError."""
        with self._inside(), closing(NetlinkSocket()) as route:
            return Links(route).addresses_by_name()

    def has_link(self, name: str) -> bool:
        """Whether the namespace has an interface of this name. Raises OSError."""
        with self._inside(), closing(NetlinkSocket()) as route:
            return Links(route).find(name) is not None

    def _program(self, version: int, action: str) -> str:
        return f"{_PROGRAMS[version]}-{self.backend}-{action}"

    def _run(self, command: Sequence[str], text: str = "") -> str:
        with self._inside():
            return run(command, text, _PATIENCE + self._lock_seconds, self.processes.append)

    def _inside(self) -> AbstractContextManager[None]:
        here, mine = os.stat(_OWN_NAMESPACE), os.fstat(self._namespace)
        if (here.st_dev, here.st_ino) == (mine.st_dev, mine.st_ino):
            return nullcontext()
        return in_namespace(self._namespace)


def run(
    command: Sequence[str],
    text: str = "",
    patience: float = _PATIENCE,
    tell: Callable[[int], None] = lambda _: None,
) -> str:
    """A command's output, in the caller's namespace. Raises Refused, IptablesError.

    `tell` is called with the process's number as soon as there is one.
    """
    program = find(command[0])
    if program is None:
        package = "ipset" if command[0] == "ipset" else "iptables"
        raise IptablesError(f"the command {command[0]} is missing: install the package {package}")
    with subprocess.Popen(
        [program, *command[1:]],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={"PATH": _SEARCHED, "LC_ALL": "C"},
    ) as process:
        tell(process.pid)
        try:
            output, errors = process.communicate(text, patience)
        except subprocess.TimeoutExpired:
            process.kill()
            raise IptablesError(f"{command[0]} did not end within {patience:g} s") from None
    if process.returncode == 0:
        return output
    complaint = " ".join(errors.split())[:_SHOWN]
    if "xtables lock" in complaint:
        raise IptablesError(f"{command[0]}: another process held the xtables lock all the time")
    raise Refused(f"{command[0]}: {complaint}{_line_at_fault(complaint, text)}")


def find(program: str) -> str | None:
    """Where a program is; None if it is not installed."""
    return shutil.which(program, path=f"{os.environ.get('PATH', '')}:{_SEARCHED}")


def _line_at_fault(complaint: str, text: str) -> str:
    """The line that the complaint names: a number alone tells nobody what was wrong."""
    words = complaint.replace(":", " ").split()
    for before, word in pairwise(words):
        if before == "line" and word.isdigit() and 0 < int(word) <= text.count("\n"):
            return f" ({text.splitlines()[int(word) - 1][:200]})"
    return ""
