"""Kernel settings of the thread's network namespace (/proc/sys/net).

A name is written with dots, "net.ipv4.ip_forward", or, where a part has dots of its own such as
the interface eth0.100, with slashes: "net/ipv4/conf/eth0.100/forwarding".
"""

import os
import re

_ROOT = "/proc/sys/"
_UNSAFE = re.compile(r"/\.{0,2}(?:/|$)|[\s\0]")  # a part that is empty, "." or ".."; blanks
_LONGEST = 4096  # bytes of a value


def path_of(name: str) -> str:
    """The file of a setting. Raises ValueError for names outside `net` and for unsafe parts."""
    path = name if "/" in name else name.replace(".", "/")
    if not path.startswith("net/"):
        raise ValueError(f"{name!r} is no network setting: it has to begin with net")
    if _UNSAFE.search(path):
        raise ValueError(f"{name!r} is no network setting: a part of it is not possible")
    return _ROOT + path


def interface(version: int, name: str, key: str) -> str:
    """The name of a setting of one interface: net/ipv4/conf/NAME/KEY."""
    return f"net/ipv{version}/conf/{name}/{key}"


def neighbours(version: int, name: str, key: str) -> str:
    """The name of a neighbour table's setting of one interface: net/ipv4/neigh/NAME/KEY."""
    return f"net/ipv{version}/neigh/{name}/{key}"


def exists(name: str) -> bool:
    """Whether the kernel has a setting of that name (IPv6 may be off)."""
    return os.path.exists(path_of(name))


def read(name: str) -> str:
    """The value without its newline. Raises FileNotFoundError when the kernel has no such one."""
    return _read(path_of(name))


def write(name: str, value: str) -> bool:
    """Set a value; returns whether it was another one before.

    Raises OSError, naming the setting, when the kernel has none of that name or refuses the value.
    """
    path = path_of(name)
    try:
        if _read(path) == value:
            return False
        _write(path, value)
    except OSError as error:
        number = error.errno or 0
        raise OSError(number, f"sysctl {name} = {value}: {os.strerror(number)}") from error
    return True


# By descriptors: a new workload has a dozen settings, and file objects cost several times as much.


def _read(path: str) -> str:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return os.read(descriptor, _LONGEST).decode().strip()
    finally:
        os.close(descriptor)


def _write(path: str, value: str) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(descriptor, value.encode())
    finally:
        os.close(descriptor)
