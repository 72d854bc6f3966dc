"""Every leg of the table tried by real packets: what carries them, and how much of them fits."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from network import guest_rows
from network.cluster import PORT, Cluster
from network.probe import Found, call, token
from network.table import LEGS, Cells, Way, expected, lines
from network.told import tell
from network.wire import Wire

TOO_WIDE = 1600  # bytes: more than any way takes
_HEAD = "How packets travel, and the greatest that passes whole:"
_ENDS = {
    "same node": ("a", "mate"),
    "same subnet": ("a", "near"),
    "other subnet": ("a", "far"),
    "host to pod": ("node-1", "near"),
    "host to pod beyond": ("node-1", "far"),
    "outside": ("a", "outside"),
}


class Legs:
    """All that was tried, to be told at the end as one table."""

    def __init__(self) -> None:
        self._cells: Cells = {}

    def problems(
        self, cluster: Cluster, wire: Wire, mode: str, versions: tuple[int, ...]
    ) -> list[str]:
        """Try each leg in each IP version, in a cluster of this mode; what is wrong, in words."""
        cluster.widen("a", TOO_WIDE)
        found = [
            self._try(cluster, wire, mode, leg, version, versions)
            for version in versions
            for leg in LEGS
        ]
        return [one for one in found if one]

    def _try(
        self,
        cluster: Cluster,
        wire: Wire,
        mode: str,
        leg: str,
        version: int,
        versions: tuple[int, ...],
    ) -> str:
        wanted = expected(mode, leg, version, versions)
        source, target = _ENDS[leg]
        where = cluster.namespace(source)
        address = cluster.address(target, version)
        mark = token()
        wire.frames()
        small = call(where, version, address, PORT, 200, mark)
        carriers = wire.carriers(mark)
        full = call(where, version, address, PORT, wanted.mtu, token())
        over = call(where, version, address, PORT, wanted.mtu + 1, token())
        named = f"default/{target}" if target != "outside" else target
        found = Way("+".join(sorted(carriers)), _greatest(wanted.mtu, full, over))
        row = f"{mode}{'' if len(versions) > 1 else ' alone'}"
        self._cells[row, version, leg] = f"{found.carrier or 'local'} {found.mtu or '?'}"
        problems = []
        if small.answered_by != named:
            problems.append(f"not reached: {small}")
        if leg == "outside" and small.seen_as != cluster.address("node-1", version):
            problems.append(f"not by the node's address, but as {small.seen_as}")
        if found != wanted:
            problems.append(f"{found}, not {wanted}")
        if full.answered_by != named:
            problems.append(f"a packet of {wanted.mtu} bytes does not pass: {full}")
        if (over.answered_by, over.mtu) != ("", wanted.mtu):
            problems.append(f"one of a byte more: {over}")
        if source == "a" and not over.by_icmp:
            problems.append("no router said that it is too big")
        return f"{mode}, IPv{version}, {leg}: {'; '.join(problems)}" if problems else ""

    @contextmanager
    def told(self, config: pytest.Config) -> Iterator[None]:
        """Tell the table when all of a module has been tried."""
        yield
        guest_rows.keep(self._cells)
        cells = self._cells | guest_rows.read()
        tell(config, "\n".join([f"{_HEAD}\n", *lines(cells), *guest_rows.absent(cells)]))


def _greatest(mtu: int, full: Found, over: Found) -> int:
    """The greatest packet that passed, of two; else what a router says that would; 0: nothing."""
    if over.answered_by:
        return mtu + 1
    return mtu if full.answered_by else full.mtu
