"""The table: how each kind of traffic travels in each mode, and how much of it fits."""

from typing import NamedTuple

Cells = dict[tuple[str, int, str], str]  # of a mode, an IP version and a leg
LEGS = ("same node", "same subnet", "other subnet", "host to pod", "host to pod beyond", "outside")


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
    """The table as text: a row for each mode and IP version."""
    rows = sorted({(mode, version) for mode, version, _ in found}, key=lambda row: row)
    head = ("mode", "IP", *LEGS)
    body = [
        (mode, str(version), *(found.get((mode, version, leg), "-") for leg in LEGS))
        for mode, version in rows
    ]
    widths = [max(len(row[column]) for row in (head, *body)) for column in range(len(head))]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in (head, *body)
    ]
