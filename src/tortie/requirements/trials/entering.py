"""A network namespace for this process alone, with or without root."""

import ctypes
import os
import signal
import sys
from pathlib import Path

from tortie.requirements.rights import held, lacking

_NEW_NET, _NEW_USER = 0x40000000, 0x10000000
_SET_PDEATHSIG = 1
_ADMIN = ("NET_ADMIN", "SYS_ADMIN")
_libc = ctypes.CDLL(None, use_errno=True)


class CannotEnter(Exception):
    """No namespace for us; the message says which right is missing."""


def die_with_parent(parent: int) -> None:
    """Have the kernel kill this process when the one that started it has ended."""
    _libc.prctl(_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:  # it has ended already
        sys.exit(1)


def enter() -> None:
    """Into a new network namespace: as root by itself, else inside a user namespace.

    In a user namespace a process has all rights over a network namespace of its own, and none over
    the machine: only eBPF can't be tried there. Raises CannotEnter.
    """
    if not lacking(held(), _ADMIN) and _unshare(_NEW_NET):
        return
    user, group = os.geteuid(), os.getegid()
    if not _unshare(_NEW_USER | _NEW_NET):
        raise CannotEnter(
            "needs CAP_SYS_ADMIN and CAP_NET_ADMIN to be tried (user namespaces are not allowed)"
        )
    try:
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text(f"0 {user} 1")
        Path("/proc/self/gid_map").write_text(f"0 {group} 1")
    except OSError:  # without a map nothing is root's; netlink works all the same
        pass


def _unshare(flags: int) -> bool:
    done: int = _libc.unshare(flags)
    return done == 0
