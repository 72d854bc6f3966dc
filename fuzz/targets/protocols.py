"""Protocols by name or number."""

from fuzz.targets import Target, as_text, promised
from tortie.net import PROTOCOL_NUMBERS, parse_protocol, protocol_name


def check(data: bytes) -> None:
    """A number from 1 to 255 whose name reads back the same, or ValueError; as text and as int."""
    text = as_text(data)
    _check(text)
    _check(int.from_bytes(data[:600], signed=True))


def _check(value: str | int) -> None:
    try:
        number = parse_protocol(value)
    except ValueError as error:
        promised(str(error), "an error says something")
        promised(value not in PROTOCOL_NUMBERS, f"{value!r} is a protocol")
        promised(not (isinstance(value, int) and 1 <= value <= 255), f"{value} is in range")
        return
    assert 1 <= number <= 255
    assert parse_protocol(protocol_name(number)) == number
    assert parse_protocol(number) == number


TARGET = Target(
    check,
    lambda: [*(name.encode() for name in PROTOCOL_NUMBERS), b"6", b"255", b"icmpV6", b"0", b"256"],
    lambda: [*PROTOCOL_NUMBERS, "\u0131", "\u0130", "\u017f", "\u00b2", "\u0663"],
    size=2048,
)
