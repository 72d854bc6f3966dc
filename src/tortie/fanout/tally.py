"""Counts for the metrics, as plain numbers: the hot path only adds."""

from collections import Counter


class Sum:
    """How many observations there were, and what they add up to."""

    __slots__ = ("count", "total")

    def __init__(self) -> None:
        self.count = 0
        self.total = 0.0

    def add(self, value: float) -> None:
        """One observation."""
        self.count += 1
        self.total += value


class Tally:
    """What happened on one stream since the start. Times are seconds, sizes bytes."""

    def __init__(self) -> None:
        self.accepted = 0
        self.dropped: Counter[str] = Counter()  # by reason
        self.grace_used = 0
        self.crumbs_blocked = 0  # a client waited for the next crumb
        self.crumbs_not_blocked = 0  # the next crumb was there already
        self.snapshots_generated = 0
        self.snapshots_reused = 0
        self.snapshot_raw = 0  # of the last one
        self.snapshot_packed = 0
        self.records_per_crumb = Sum()
        self.crumb_bytes = Sum()
        self.client_latency = Sum()  # from a crumb's making until a client has it
        self.crumb_latency = Sum()  # how old a crumb is when a client begins with it
        self.write_latency = Sum()  # of one crumb to one client
        self.snapshot_send = Sum()
        self.ping = Sum()

    def snapshot_made(self, raw: int, packed: int) -> None:
        """A picture was compressed."""
        self.snapshots_generated += 1
        self.snapshot_raw, self.snapshot_packed = raw, packed

    def crumb_made(self, records: int, size: int) -> None:
        """A batch was encoded."""
        self.records_per_crumb.add(records)
        self.crumb_bytes.add(size)
