"""Become another process, once it is written down: `launcher.py [--bind FROM TO] COMMAND…`.

Standard library only, run as a script. It waits for one byte on stdin, which comes after its PID is
on disk. If stdin ends without it, whoever started this was killed: then nothing is run, so that no
process is ever unknown to who has to end it.

With --bind the process gets a mount namespace of its own, in which the directory TO is FROM: for
programs that put their sockets at one path only, such as wireguard-go.
"""

import ctypes
import os
import sys

_NEW_MOUNTS, _BIND, _RECURSIVE, _SLAVE = 0x20000, 0x1000, 0x4000, 0x80000


def bind(source: str, target: str) -> None:
    """Have `target` be `source`, for this process alone. Raises OSError."""
    libc = ctypes.CDLL(None, use_errno=True)
    os.makedirs(target, mode=0o700, exist_ok=True)

    def check(done: int, what: str) -> None:
        if done:
            number = ctypes.get_errno()
            raise OSError(number, f"{what}: {os.strerror(number)}")

    check(libc.unshare(_NEW_MOUNTS), "a mount namespace")
    check(libc.mount(b"none", b"/", None, _RECURSIVE | _SLAVE, None), "its mounts")
    check(libc.mount(source.encode(), target.encode(), None, _BIND, None), f"mounting {target}")


if __name__ == "__main__":
    if os.read(0, 1) == b"":
        sys.exit(1)
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    words = sys.argv[1:]
    if words[0] == "--bind":
        bind(words[1], words[2])
        words = words[3:]
    os.execvp(words[0], words)
