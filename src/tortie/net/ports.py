"""Port numbers and ranges."""

from typing import NamedTuple


class PortRange(NamedTuple):
    """Ports `first` to `last`, both included; one port has both equal."""

    first: int
    last: int

    def __contains__(self, port: object) -> bool:
        return isinstance(port, int) and self.first <= port <= self.last

    def __str__(self) -> str:
        return str(self.first) if self.first == self.last else f"{self.first}:{self.last}"


def parse_port_range(text: str) -> PortRange:
    """Read "80" or "80:90" (the API's form of a range), each 0 to 65535, in order.

    Raises ValueError with what was found.
    """
    first, colon, last = text.partition(":")
    found = PortRange(_port(first), _port(last if colon else first))
    if found.first > found.last:
        raise ValueError(f"port range {text!r} ends before it begins")
    return found


def _port(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 5 and int(text) <= 65535):
        raise ValueError(f"{text!r} is not a port number from 0 to 65535")
    return int(text)
