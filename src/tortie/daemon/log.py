"""Logs: one JSON object per line, or aligned text on a terminal; on standard error, and in sinks.

A line that can't be written (a full disk, a reader that is gone) is counted and left out: a daemon
does its work without a log too.
"""

import logging
import re
import sys
from collections.abc import MutableMapping, Sequence
from functools import partial
from typing import Any, TextIO

import structlog

from tortie.daemon.sinks import LEVELS, Sink, level_of

_NAMES = {"warn": "warning", "exception": "error", "err": "error", "critical": "fatal"}
_ERRORS = frozenset({"error", "exception", "critical", "fatal"})


_errors = 0
_dropped = 0
_least = logging.DEBUG
_lowest = logging.CRITICAL  # of all sinks beside the stream
_debugged: re.Pattern[str] | None = None


def error_lines() -> int:
    """Errors that this process has logged."""
    return _errors


def dropped_lines() -> int:
    """How often this process could not write to its log."""
    return _dropped


def set_severity(severity: str) -> None:
    """Log lines of at least `severity` from now on; "" (it was turned off): only fatal ones."""
    global _least
    _least = level_of(severity)


def configure_logs(
    severity: str,
    stream: TextIO | None = None,
    sinks: Sequence[Sink] = (),
    debugged: str = "",
) -> None:
    """Send logs of at least `severity` (a name of LogSeverityScreen) to `stream`, and to `sinks`.

    `debugged`: debug messages of source files alone whose names this expression finds.
    """
    global _lowest, _debugged
    set_severity(severity)
    _lowest = min((one.least for one in sinks), default=logging.CRITICAL)
    _debugged = re.compile(debugged) if debugged else None
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
        logger_factory=lambda *_: _Printer(out, sinks),
        cache_logger_on_first_use=True,
    )


def _severe_enough(
    _: object, method: str, event: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    """Loggers are made once for good; what they leave out may change."""
    level = _level(method)
    if level < min(_least, _lowest):
        raise structlog.DropEvent
    if level == logging.DEBUG and _debugged is not None and not _debugged.search(_caller()):
        raise structlog.DropEvent
    return event


def _level(method: str) -> int:
    return LEVELS.get(_NAMES.get(method, method).upper(), logging.ERROR)


def _caller() -> str:
    """The source file that logs."""
    frame = sys._getframe(1)
    while frame.f_back is not None and (
        frame.f_code.co_filename == __file__ or "structlog" in frame.f_code.co_filename
    ):
        frame = frame.f_back
    return frame.f_code.co_filename


def _counted(_: object, method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    global _errors
    _errors += method in _ERRORS
    return event


class _Printer:
    """Writes lines, each at once."""

    def __init__(self, out: TextIO, sinks: Sequence[Sink]) -> None:
        self._screen, self._sinks = partial(_to_stream, out), tuple(sinks)

    def _write(self, message: str, level: int) -> None:
        """One line to everywhere where that can be done."""
        for sink in (Sink(_least, self._screen), *self._sinks):
            if level >= sink.least:
                _attempt(sink, message, level)

    def debug(self, message: str) -> None:
        self._write(message, logging.DEBUG)

    def info(self, message: str) -> None:
        self._write(message, logging.INFO)

    def warning(self, message: str) -> None:
        self._write(message, logging.WARNING)

    def error(self, message: str) -> None:
        self._write(message, logging.ERROR)

    def critical(self, message: str) -> None:
        self._write(message, logging.CRITICAL)

    msg, log, warn = info, info, warning
    failure = err = exception = error
    fatal = critical


def _to_stream(out: TextIO, message: str, _: int) -> None:
    out.write(message + "\n")
    out.flush()


def _attempt(sink: Sink, message: str, level: int) -> None:
    global _dropped
    try:
        sink.write(message, level)
    except (OSError, ValueError):  # ValueError: the stream is closed
        _dropped += 1
