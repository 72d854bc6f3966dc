"""Network namespaces: entering one for a while, and named ones that `ip netns` sees.

A named namespace is a bind mount of its /proc file under /run/netns, which keeps it alive without
a process in it, exactly as iproute2 makes them.
"""

import ctypes
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

NAMED = Path("/run/netns")
_OWN = "/proc/thread-self/ns/net"
_CLONE_NEWNET = 0x40000000
_MS_BIND, _MS_REC, _MS_SHARED = 4096, 16384, 1 << 20
_MNT_DETACH = 2
_NS_GET_NSTYPE = 0xB703
_libc = ctypes.CDLL(None, use_errno=True)


@contextmanager
def in_namespace(target: int | str | Path) -> Iterator[None]:
    """Run the body with the calling thread in another network namespace.

    `target` is an open descriptor or a path such as /proc/PID/ns/net. Sockets opened inside stay
    there. Do not await in the body: the event loop's thread would serve others from in there.
    Raises OSError when it cannot be entered.
    """
    with _kept_namespace():
        if isinstance(target, int):
            _setns(target)
        else:
            descriptor = os.open(target, os.O_RDONLY | os.O_CLOEXEC)
            try:
                _setns(descriptor)
            finally:
                os.close(descriptor)
        yield


@contextmanager
def in_new_namespace() -> Iterator[None]:
    """Run the body with the calling thread in an empty network namespace, which ends with it.

    Raises OSError where none can be made, as without root. Do not await in the body.
    """
    with _kept_namespace():
        _check(_libc.unshare(_CLONE_NEWNET), "a namespace to try things in")
        yield


@contextmanager
def _kept_namespace() -> Iterator[None]:
    """Come back to the namespace of now, whatever happens.

    A thread that cannot come back would write one node's state into another, so that the process
    ends then: the last good policy stays in the kernel.
    """
    own = os.open(_OWN, os.O_RDONLY | os.O_CLOEXEC)
    try:
        yield
    finally:
        try:
            _setns(own)
        except OSError:
            os.abort()
        os.close(own)


def is_network(descriptor: int) -> bool:
    """Whether what is open is a network namespace. A file may be left of one that is gone."""
    try:
        return fcntl.ioctl(descriptor, _NS_GET_NSTYPE) == _CLONE_NEWNET
    except OSError:
        return False


def path_of(name: str) -> Path:
    """The file of a named namespace. Raises ValueError for a name that is not one file's."""
    if not name or name in (".", "..") or "/" in name or "\0" in name or len(name) > 255:
        raise ValueError(f"{name!r} cannot name a namespace: it has to be a file's name")
    return NAMED / name


def create_named(name: str) -> Path:
    """Make an empty namespace that `ip netns` lists; returns its path.

    Raises FileExistsError when there is one, PermissionError without root.
    """
    path = path_of(name)
    _share_directory()
    os.close(os.open(path, os.O_RDONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o444))
    try:
        with _kept_namespace():
            _check(_libc.unshare(_CLONE_NEWNET), f"a namespace for {name}")
            _mount(_OWN, path, _MS_BIND)
    except OSError:
        path.unlink(missing_ok=True)
        raise
    return path


def delete_named(name: str) -> None:
    """Remove a named namespace; one that is not there is no error.

    Its links go as soon as no process or descriptor holds it any more.
    """
    path = path_of(name)
    if not path.exists():
        return
    # Not mounted: left by something killed between the file's creation and the mount.
    while _libc.umount2(os.fsencode(path), _MNT_DETACH) == 0:
        pass
    path.unlink(missing_ok=True)


def names() -> list[str]:
    """The named namespaces, sorted."""
    try:
        return sorted(os.listdir(NAMED))
    except FileNotFoundError:
        return []


def _share_directory() -> None:
    """Make the folder a shared mount, so that other mount namespaces see what comes and goes."""
    NAMED.mkdir(mode=0o755, parents=True, exist_ok=True)
    try:
        _mount(None, NAMED, _MS_SHARED | _MS_REC)
    except OSError:  # not a mount yet
        _mount(NAMED, NAMED, _MS_BIND | _MS_REC)
        _mount(None, NAMED, _MS_SHARED | _MS_REC)


def _setns(descriptor: int) -> None:
    _check(_libc.setns(descriptor, _CLONE_NEWNET), "entering a network namespace")


def _mount(source: str | Path | None, target: Path, flags: int) -> None:
    origin = None if source is None else os.fsencode(source)
    done = _libc.mount(origin, os.fsencode(target), b"none", ctypes.c_ulong(flags), None)
    _check(done, f"mounting on {target}")


def _check(result: int, what: str) -> None:
    if result:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")
