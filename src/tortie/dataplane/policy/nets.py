"""Nets and ports in the form that rules take: in order, without overlaps. Pure."""

from collections.abc import Iterable

from tortie.dataplane.policy.families import Family
from tortie.net import PortRange, Prefix, format_address


def merged_ranges(ranges: Iterable[PortRange]) -> list[PortRange]:
    """The same ports in order, without overlaps and neighbours: nft refuses overlaps in a set."""
    merged: list[PortRange] = []
    for one in sorted(ranges):
        if merged and one.first <= merged[-1].last + 1:
            merged[-1] = PortRange(merged[-1].first, max(merged[-1].last, one.last))
        else:
            merged.append(one)
    return merged


def disjoint_nets(nets: Iterable[Prefix], family: Family) -> list[Prefix]:
    """The family's nets in order, without those inside others."""
    kept: list[Prefix] = []
    for net in sorted(one.network for one in nets if one.version == family.version):
        if not (kept and kept[-1].contains(net)):
            kept.append(net)
    return kept


def net_text(net: Prefix) -> str:
    """An address or net as nft, iptables and ipset write it."""
    address = format_address(net.version, net.address)
    return address if net.is_single else f"{address}/{int(net.length)}"
