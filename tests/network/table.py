"""The table: how each kind of traffic travels in each mode, and how much of it fits."""

from typing import NamedTuple

Cells = dict[tuple[str, int, str], str]  # of a mode, an IP version and a leg
LEGS = ("same node", "same subnet", "other subnet", "host to pod", "host to pod beyond", "outside")

_Cell = tuple[str, str]  # its two lines
_TITLE: tuple[_Cell, ...] = (
    ("mode", ""),
    ("same", "node"),
    ("same", "subnet"),
    ("other", "subnet"),
    ("host to", "pod"),
    ("host to", "pod beyond"),
    ("", "outside"),
)


class Way(NamedTuple):
    """How a leg travels, and the greatest packet that passes whole."""

    carrier: str  # "": it does not leave the node
    mtu: int


OVERHEAD = {
    ("vxlan", 4): 50,
    ("vxlan", 6): 70,
    ("ipip", 4): 20,
    ("wireguard", 4): 60,
    ("wireguard", 6): 80,
}


def pod_mtu(mode: str, versions: tuple[int, ...]) -> int:
    """What workloads get: room for the headers of all tunnels that are on."""
    encap = mode.partition(" ")[0]
    return 1500 - max(OVERHEAD.get((encap, version), 0) for version in versions)


def expected(mode: str, leg: str, version: int, versions: tuple[int, ...]) -> Way:
    """What the table must say."""
    encap, _, when = mode.partition(" ")
    mtu = pod_mtu(mode, versions)
    if leg == "outside":
        return Way("plain", 1500)
    if leg == "same node":
        return Way("", mtu)
    tunnelled = encap != "none" and (encap, version) in OVERHEAD
    if when == "CrossSubnet" and leg in ("same subnet", "host to pod"):
        tunnelled = False
    own = 1500 - OVERHEAD[encap, version] if tunnelled else 1500
    return Way(encap if tunnelled else "plain", min(mtu, own))


def lines(found: Cells) -> list[str]:
    """The table as text of 80 columns: two lines for each mode and IP version."""
    rows = [_TITLE, *(_row(found, *row) for row in sorted({place[:2] for place in found}))]
    widths = [
        max(len(half) for cell in column for half in cell) for column in zip(*rows, strict=True)
    ]
    return [
        "  ".join(cell[half].ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
        for half in (0, 1)
    ]


def _row(found: Cells, mode: str, version: int) -> tuple[_Cell, ...]:
    """`alone` is of the IP version: a cluster that has no other."""
    name, alone, _ = mode.partition(" alone")
    cells = (found.get((mode, version, leg), "-").partition(" ") for leg in LEGS)
    return ((name, f"  IPv{version}{alone}"), *((carrier, mtu) for carrier, _, mtu in cells))
