"""IP protocols by name and number (IANA's assigned internet protocol numbers)."""

TCP, UDP, ICMP, ICMPV6, SCTP, UDPLITE = 6, 17, 1, 58, 132, 136

PROTOCOL_NUMBERS: dict[str, int] = {
    "TCP": TCP,
    "UDP": UDP,
    "ICMP": ICMP,
    "ICMPv6": ICMPV6,
    "SCTP": SCTP,
    "UDPLite": UDPLITE,
}
PORT_PROTOCOLS = frozenset({TCP, UDP, SCTP})
_BY_FOLDED = {name.casefold(): number for name, number in PROTOCOL_NUMBERS.items()}
_BY_NUMBER = {number: name for name, number in PROTOCOL_NUMBERS.items()}


def parse_protocol(value: str | int) -> int:
    """The number of "TCP" (any case), "6" or 6.

    Raises ValueError for an unknown name and for numbers outside 1 to 255.
    """
    text = str(value)
    number = _BY_FOLDED.get(text.casefold()) if text.isascii() else None
    if number is None and text.isascii() and text.isdigit() and len(text) <= 3:
        number = int(text)
    if number is None or not 1 <= number <= 255:
        names = ", ".join(PROTOCOL_NUMBERS)
        raise ValueError(f"{text!r} is not a protocol: use {names}, or a number from 1 to 255")
    return number


def protocol_name(number: int) -> str:
    """ "TCP" for 6; the number as text where it has no name here."""
    return _BY_NUMBER.get(number, str(number))
