"""The log that all clients of a stream share: a chain of crumbs, each a batch encoded once.

A client is a position in the chain: the crumb that it is at. It needs no queue of its own, however
slow it is, and crumbs that all clients have passed are freed by nobody pointing at them.
"""


class Crumb:
    """One batch as it goes over the wire, and the next one when there is one.

    `made_at` is of the monotonic clock. `total` counts the bytes of the chain up to and including
    this crumb, so that how far behind a client is takes one subtraction.
    """

    __slots__ = ("made_at", "next", "number", "total", "wire")

    def __init__(self, number: int, wire: bytes, total: int, made_at: float) -> None:
        self.number = number
        self.wire = wire
        self.total = total
        self.made_at = made_at
        self.next: Crumb | None = None


class Trail:
    """The chain's end, where crumbs are put."""

    def __init__(self, now: float) -> None:
        self.head = Crumb(0, b"", 0, now)

    def put(self, wire: bytes, now: float) -> None:
        """Make the next crumb."""
        last = self.head
        self.head = Crumb(last.number + 1, wire, last.total + len(wire), now)
        last.next = self.head

    def behind(self, at: Crumb) -> int:
        """Bytes of the chain behind `at`."""
        return self.head.total - at.total
