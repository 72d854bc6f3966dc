"""What of a machine could be changed by who checks it: to be compared before and after."""

import os
import subprocess
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from tortie.linux.namespaces import names
from tortie.linux.netlink.ipset import SetHeaders
from tortie.linux.xtables import existing_tables


def state() -> Mapping[str, object]:
    """Of this process's own namespaces."""
    sets = SetHeaders()
    try:
        counts = sets.counts()
    finally:
        sets.close()
    return {
        "named namespaces": [name for name in names() if "trial" in name],
        "devices": sorted(os.listdir("/sys/class/net")),
        "tables": _output("nft", "list", "ruleset"),
        "legacy tables": (existing_tables(4), existing_tables(6)),
        "sets": counts,
        "mounts": Path("/proc/self/mounts").read_text(),
        "sysctls": [Path(f"/proc/sys/net/ipv4/{name}").read_text() for name in ("ip_forward",)],
        "pinned": _listing("/sys/fs/bpf"),
        "temporary files": [
            one for one in _listing("/tmp") if "trial" in one or "tortie-ch" in one
        ],
        "lock": Path("/run/xtables.lock").exists(),
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


def _output(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def _listing(folder: str) -> list[str]:
    with suppress(OSError):
        return sorted(os.listdir(folder))
    return []
