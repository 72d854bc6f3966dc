"""Logs: one JSON object per line, or aligned text on a terminal; always on standard error."""

import logging
import sys
from typing import TextIO

import structlog

_LEVELS = {
    "TRACE": logging.DEBUG,
    "DEBUG": logging.DEBUG,
    "INFO": logging.INFO,
    "WARNING": logging.WARNING,
    "ERROR": logging.ERROR,
    "FATAL": logging.CRITICAL,
}


def configure_logs(severity: str, stream: TextIO | None = None) -> None:
    """Send logs of at least `severity` (a name of LogSeverityScreen) to `stream`."""
    out = stream if stream is not None else sys.stderr
    terminal = out.isatty()
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=not terminal),
            structlog.processors.format_exc_info,
            structlog.dev.ConsoleRenderer()
            if terminal
            else structlog.processors.JSONRenderer(sort_keys=False),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(_LEVELS[severity]),
        logger_factory=structlog.PrintLoggerFactory(out),
        cache_logger_on_first_use=True,
    )
