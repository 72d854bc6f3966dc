"""Kernel settings of the thread's network namespace (/proc/sys/net).

A name is written with dots, "net.ipv4.ip_forward", or, where a part has dots of its own such as
the interface eth0.100, with slashes: "net/ipv4/conf/eth0.100/forwarding".
"""

import os
from pathlib import Path

_ROOT = Path("/proc/sys")


def path_of(name: str) -> Path:
    """The file of a setting. Raises ValueError for names outside `net` and for unsafe parts."""
    parts = name.split("/" if "/" in name else ".")
    if parts[0] != "net" or len(parts) < 2:
        raise ValueError(f"{name!r} is no network setting: it has to begin with net")
    for part in parts:
        if part in ("", ".", "..") or "\0" in part or any(c.isspace() for c in part):
            raise ValueError(f"{name!r} is no network setting: the part {part!r} is not possible")
    return _ROOT.joinpath(*parts)


def interface(version: int, name: str, key: str) -> str:
    """The name of a setting of one interface: net/ipv4/conf/NAME/KEY."""
    return f"net/ipv{version}/conf/{name}/{key}"


def neighbours(version: int, name: str, key: str) -> str:
    """The name of a neighbour table's setting of one interface: net/ipv4/neigh/NAME/KEY."""
    return f"net/ipv{version}/neigh/{name}/{key}"


def exists(name: str) -> bool:
    """Whether the kernel has a setting of that name (IPv6 may be off)."""
    return path_of(name).exists()


def read(name: str) -> str:
    """The value without its newline. Raises FileNotFoundError when the kernel has no such one."""
    return path_of(name).read_text().strip()


def write(name: str, value: str) -> bool:
    """Set a value; returns whether it was another one before.

    Raises OSError, naming the setting, when the kernel has none of that name or refuses the value.
    """
    path = path_of(name)
    try:
        if path.read_text().strip() == value:
            return False
        path.write_text(value)
    except OSError as error:
        number = error.errno or 0
        raise OSError(number, f"sysctl {name} = {value}: {os.strerror(number)}") from error
    return True
