"""Who has a port on this machine, as /proc tells. Reads files only."""

import os
from contextlib import suppress
from typing import NamedTuple

from tortie.requirements.machine import Machine
from tortie.requirements.peer.answers import Way

_LISTEN = "0A"
_UNCONNECTED = "07"
_STATE, _LOCAL, _INODE = 3, 1, 9


class Holder(NamedTuple):
    """Who has it: "kernel" for a socket without a process; empty where that can't be seen."""

    name: str


def holders(machine: Machine, test: Way) -> list[Holder]:
    """Those that have the test's port here; a protocol's number has no holder."""
    if test.kind == "ip":
        return []
    inodes = [
        inode
        for suffix in ("", "6")
        for inode in _inodes(machine.text(f"proc/net/{test.kind}{suffix}"), test)
    ]
    return list(dict.fromkeys(Holder(_owner(machine, inode)) for inode in inodes))


def _inodes(table: str, test: Way) -> list[str]:
    """Of the sockets in /proc/net/tcp or udp that listen at the port."""
    wanted = _LISTEN if test.kind == "tcp" else _UNCONNECTED
    found = []
    for line in table.splitlines()[1:]:
        fields = line.split()
        if len(fields) <= _INODE:
            continue
        port = int(fields[_LOCAL].rpartition(":")[2], 16)
        if port == test.number and fields[_STATE] == wanted:
            found.append(fields[_INODE])
    return found


def _owner(machine: Machine, inode: str) -> str:
    """The name of the process with that socket."""
    wanted, hidden = f"socket:[{inode}]", False
    for entry in machine.listing("proc"):
        if not entry.isdigit():
            continue
        folder = machine.path(f"proc/{entry}/fd")
        try:
            descriptors = os.listdir(folder)
        except PermissionError:
            hidden = True
            continue
        except OSError:
            continue
        for name in descriptors:
            with suppress(OSError):
                if os.readlink(folder / name) == wanted:
                    return machine.text(f"proc/{entry}/comm").strip()
    return "" if hidden else "kernel"
