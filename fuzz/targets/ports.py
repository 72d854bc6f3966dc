"""Ports and ranges of ports, against a regular expression."""

import re

from fuzz.targets import Target, as_text, promised
from tortie.net import PortRange, parse_port_range

_RANGE = re.compile(r"([0-9]{1,5})(?::([0-9]{1,5}))?")


def check(data: bytes) -> None:
    """A range that is in order and reads back the same, or ValueError."""
    text = as_text(data)
    try:
        found = parse_port_range(text)
    except ValueError as error:
        promised(str(error), "an error says something")
        promised(_expected(text) is None, f"{text!r} was refused")
        return
    assert found == _expected(text)
    assert parse_port_range(str(found)) == found


def _expected(text: str) -> PortRange | None:
    matched = _RANGE.fullmatch(text)
    if not matched:
        return None
    first, last = int(matched[1]), int(matched[2] or matched[1])
    return PortRange(first, last) if first <= last <= 65535 else None


TARGET = Target(
    check,
    lambda: [b"80", b"80:90", b"0", b"65535", b"1:65535", b"http", b"90:80", b"080"],
    lambda: ["65535", "65536", ":", "99999", "\u0663", "\u00b2", "-1", "+1", " ", "1_0", "0x1"],
    size=64,
)
