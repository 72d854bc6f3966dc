"""The time of day, as people are told it."""

from datetime import UTC, datetime

from tortie.reports.report import rfc3339


def now() -> str:
    """The time, as RFC 3339."""
    return rfc3339(datetime.now(UTC))
