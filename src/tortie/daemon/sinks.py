"""Where log lines go beside standard error: a file, syslog; each from a severity of its own."""

import logging
import os
import re
import socket
from collections.abc import Callable
from typing import NamedTuple

LEVELS = {
    "TRACE": logging.DEBUG,
    "DEBUG": logging.DEBUG,
    "INFO": logging.INFO,
    "WARNING": logging.WARNING,
    "ERROR": logging.ERROR,
    "FATAL": logging.CRITICAL,
}
_SYSLOG = "/dev/log"
_DAEMON = 3 << 3  # LOG_DAEMON
_PRIORITIES = {
    logging.DEBUG: 7,
    logging.INFO: 6,
    logging.WARNING: 4,
    logging.ERROR: 3,
    logging.CRITICAL: 2,
}
_APPEND = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
_COLOURS = re.compile(r"\x1b\[[0-9;]*m")


class Sink(NamedTuple):
    """`write` gets a line and its level; it may raise OSError, which costs this line alone."""

    least: int
    write: Callable[[str, int], None]


def level_of(severity: str) -> int:
    """The level of a severity's name; "" (it was turned off) is that of the last words."""
    return LEVELS[severity or "FATAL"]


def file_sink(path: str, severity: str) -> Sink:
    """Append to a file, in a directory that is made if need be. Raises OSError.

    Opened anew for each line: who rotates logs moves it away.
    """
    os.makedirs(os.path.dirname(path) or ".", mode=0o755, exist_ok=True)

    def write(line: str, _: int) -> None:
        with os.fdopen(os.open(path, _APPEND, 0o640), "a") as file:
            file.write(plain(line) + "\n")

    os.close(os.open(path, _APPEND, 0o640))  # what can't be written is told now
    return Sink(level_of(severity), write)


def syslog_sink(name: str, severity: str, path: str = _SYSLOG) -> Sink:
    """To the machine's syslog, as a daemon of this name. Raises OSError where there is none."""
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
    try:
        sock.connect(path)
    except OSError:
        sock.close()
        raise

    def write(line: str, level: int) -> None:
        priority = _DAEMON | _PRIORITIES.get(level, 6)
        sock.send(f"<{priority}>{name}[{os.getpid()}]: {plain(line)}".encode())

    return Sink(level_of(severity), write)


def plain(line: str) -> str:
    """A line without a terminal's colours."""
    return _COLOURS.sub("", line)
