"""Durations, times, keys, AS numbers, DSCP."""

import re

_DURATION = re.compile(r"[-+]?(0|((\d+\.?\d*|\.\d+)(ns|us|µs|ms|s|m|h))+)", flags=re.ASCII)
_WIREGUARD_KEY = re.compile(r"[A-Za-z0-9+/]{42}[AEIMQUYcgkosw048]=")
_DATE_TIME = re.compile(
    r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)", flags=re.ASCII
)
_NUMBER = re.compile(r"[0-9]{1,3}")
_DSCP = {"DF", "EF"} | {f"AF{c}{p}" for c in "1234" for p in "123"} | {f"CS{n}" for n in range(7)}


def regular_expression(text: str) -> None:
    """A regular expression."""
    try:
        re.compile(text)
    except (re.error, OverflowError, RecursionError) as error:
        raise ValueError(f"{text!r} is no regular expression: {error}") from None


def duration(text: str) -> None:
    """A duration as Go writes it: "1m30s", "1.5h"."""
    if len(text) > 100 or not _DURATION.fullmatch(text):
        raise ValueError(f"{text!r} is no duration such as 1m30s")


def wireguard_key(text: str) -> None:
    """A WireGuard public key: 32 bytes as base64."""
    if not _WIREGUARD_KEY.fullmatch(text):
        raise ValueError(f"{text!r} is no WireGuard key: 32 bytes as base64")


def dscp(value: int | str) -> None:
    """0 to 63, or a class: DF, EF, AF11 to AF43, CS0 to CS6."""
    text = str(value)
    is_known = text.isascii() and text.upper() in _DSCP
    if not is_known and not (_NUMBER.fullmatch(text) and int(text) <= 63):
        raise ValueError(f"{value!r} is no DSCP: 0 to 63, DF, EF, AF11 to AF43 or CS0 to CS6")


def as_number(value: int | str) -> int:
    """0 to 4294967295, as number, text, or "high.low" with 16 bits each."""
    high, dot, low = str(value).rpartition(".")
    parts = [high, low] if dot else [low]
    bound = 2**16 if dot else 2**32
    if not all(part.isascii() and part.isdecimal() and len(part) <= 10 for part in parts):
        raise ValueError(f"{value!r} is no AS number")
    numbers = [int(part) for part in parts]
    if max(numbers) >= bound:
        raise ValueError(f"{value!r} is no AS number: at most {bound - 1}")
    return numbers[0] if not dot else (numbers[0] << 16) + numbers[1]


def date_time(text: str) -> None:
    """A date and time as in RFC 3339."""
    if not _DATE_TIME.fullmatch(text):
        raise ValueError(f"{text!r} is no time such as 2026-01-31T12:00:00Z")
