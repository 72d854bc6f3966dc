"""Logs: one JSON object per line, or aligned text on a terminal; always on standard error.

A line that can't be written (a full disk, a reader that is gone) is counted and left out: a daemon
does its work without a log too.
"""

import logging
import sys
from collections.abc import MutableMapping
from typing import Any, TextIO

import structlog

_LEVELS = {
    "TRACE": logging.DEBUG,
    "DEBUG": logging.DEBUG,
    "INFO": logging.INFO,
    "WARNING": logging.WARNING,
    "ERROR": logging.ERROR,
    "FATAL": logging.CRITICAL,
}
_NAMES = {"warn": "warning", "exception": "error", "err": "error", "critical": "fatal"}
_ERRORS = frozenset({"error", "exception", "critical", "fatal"})


_errors = 0
_dropped = 0
_least = logging.DEBUG


def error_lines() -> int:
    """Errors that this process has logged."""
    return _errors


def dropped_lines() -> int:
    """How often this process could not write to its log."""
    return _dropped


def set_severity(severity: str) -> None:
    """Log lines of at least `severity` from now on; "" (it was turned off): only fatal ones."""
    global _least
    _least = _LEVELS[severity or "FATAL"]


def configure_logs(severity: str, stream: TextIO | None = None) -> None:
    """Send logs of at least `severity` (a name of LogSeverityScreen) to `stream`."""
    set_severity(severity)
    out = stream if stream is not None else sys.stderr
    terminal = out.isatty()
    structlog.configure(
        processors=[
            _severe_enough,
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            _counted,
            structlog.processors.TimeStamper(fmt="iso", utc=not terminal),
            structlog.processors.format_exc_info,
            structlog.dev.ConsoleRenderer()
            if terminal
            else structlog.processors.JSONRenderer(sort_keys=False),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.DEBUG),
        logger_factory=lambda *_: _Printer(out),
        cache_logger_on_first_use=True,
    )


def _severe_enough(
    _: object, method: str, event: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    """Loggers are made once for good; what they leave out may change."""
    if _LEVELS.get(_NAMES.get(method, method).upper(), logging.ERROR) < _least:
        raise structlog.DropEvent
    return event


def _counted(_: object, method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    global _errors
    _errors += method in _ERRORS
    return event


class _Printer:
    """Writes lines, each at once."""

    def __init__(self, out: TextIO) -> None:
        self._out = out

    def msg(self, message: str) -> None:
        """Write one line, if that can be done."""
        global _dropped
        try:
            self._out.write(message + "\n")
            self._out.flush()
        except (OSError, ValueError):  # ValueError: the stream is closed
            _dropped += 1

    log = debug = info = warn = warning = fatal = failure = err = error = critical = exception = msg
