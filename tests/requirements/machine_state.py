"""What of a machine could be changed by who checks it: to be compared before and after.

The check runs in a network namespace and a mount namespace of the test's own, with an empty /tmp
and /run: what other tests do meanwhile is not seen there, and all that the check leaves is.
"""

import itertools
import os
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from tortie.linux.namespaces import create_named, delete_named, in_namespace, path_of
from tortie.linux.netlink.ipset import SetHeaders
from tortie.linux.xtables import existing_tables

_NUMBERS = itertools.count(1)
_CHECKOUT = Path(__file__).parents[2]
# Not the one that the checkout lies in: a check must see itself, and others work there, too.
_EMPTIED = [name for name in ("tmp", "run") if Path("/", name) not in _CHECKOUT.parents]
_EMPTY = (
    "umount -Rl /run/netns /tmp 2>/dev/null; "
    + "".join(f"mount -t tmpfs {name} /{name} && " for name in _EMPTIED)
    + "mount -t bpf bpf /sys/fs/bpf && echo ready && exec sleep 600"
)
_FOLDERS = (*_EMPTIED, "sys/fs/bpf")


class Place:
    """Where a check runs: its namespaces."""

    def __init__(self, net: Path, keeper: int) -> None:
        self._net, self._keeper = net, keeper
        self._mounts = self._mounted()  # those of others may go meanwhile
        self.enter = ["nsenter", f"--net={net}", f"--mount=/proc/{keeper}/ns/mnt"]

    def state(self) -> Mapping[str, object]:
        """All that could be left there."""
        with in_namespace(self._net):
            kernel = _kernel()
        root = Path(f"/proc/{self._keeper}/root")
        files = {name: _files(root / name) for name in _FOLDERS}
        return {**kernel, **files, "mounts": sorted(self._mounted() - self._mounts)}

    def _mounted(self) -> set[str]:
        return set(Path(f"/proc/{self._keeper}/mounts").read_text().splitlines())


@contextmanager
def place_of_our_own() -> Iterator[Place]:
    """Namespaces for one test."""
    name = f"check{os.getpid()}-{next(_NUMBERS)}"
    create_named(name)
    private = [
        "unshare",
        "-m",
        "--propagation",
        "private",
        "sh",
        "-c",
        _EMPTY,
        "sh",
        str(_CHECKOUT),
    ]
    try:
        with subprocess.Popen(private, stdout=subprocess.PIPE) as keeper:
            assert keeper.stdout is not None
            try:
                assert keeper.stdout.readline() == b"ready\n"
                yield Place(path_of(name), keeper.pid)
            finally:
                keeper.kill()
    finally:
        delete_named(name)


def _kernel() -> Mapping[str, object]:
    """Of the calling thread's network namespace."""
    sets = SetHeaders()
    try:
        counts = sets.counts()
    finally:
        sets.close()
    return {
        "devices": _output("ip", "-o", "link", "show"),
        "tables": _output("nft", "-s", "list", "ruleset"),
        "legacy tables": (existing_tables(4), existing_tables(6)),
        "sets": counts,
        "sysctls": Path("/proc/sys/net/ipv4/ip_forward").read_text(),
        "routes": _output("ip", "route", "show", "table", "all"),
    }


def descendants(pid: int) -> list[int]:
    """The processes that a process has started, and theirs."""
    found = []
    for one in _children(pid):
        found += [one, *descendants(one)]
    return found


def _children(pid: int) -> list[int]:
    with suppress(OSError):
        text = Path(f"/proc/{pid}/task/{pid}/children").read_text()
        return [int(one) for one in text.split()]
    return []


def _files(folder: Path) -> list[str]:
    return sorted(str(path) for path in folder.rglob("*"))


def _output(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout
