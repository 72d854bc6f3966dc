"""Floating addresses of the node's workloads, as a firewall programs them. Pure.

To the floating address is to the workload's own. Only where a workload speaks to its own floating
address is the source changed as well: else it would answer to itself, past the node, and the answer
would not be that of whom it asked.
"""

from collections.abc import Iterable
from typing import NamedTuple

from tortie.dataplane.policy.families import Family
from tortie.dataplane.policy.names import ChainName
from tortie.policy.program import AddressPair, Endpoint

DESTINATION_CHAIN, SOURCE_CHAIN = ChainName("cali-fip-dnat"), ChainName("cali-fip-snat")


class Translations(NamedTuple):
    """Which destinations change, and for whom that speaks to itself the source; both sorted."""

    destinations: tuple[AddressPair, ...] = ()
    sources: tuple[AddressPair, ...] = ()  # one for each own address


def translations(endpoints: Iterable[Endpoint], family: Family) -> Translations:
    """Of an IP version. Of two workloads with one floating address the lower id has it, as in the
    routes; the other is named there.
    """
    found: dict[AddressPair, None] = {}
    taken: set[int] = set()
    for endpoint in sorted(endpoints, key=lambda one: one.id):
        for pair in endpoint.floating:
            if pair.floating.version == family.version and pair.floating.address not in taken:
                taken.add(pair.floating.address)
                found[pair] = None
    pairs = sorted(found)
    own = {pair.own: pair for pair in reversed(pairs)}  # the lowest floating address
    return Translations(tuple(pairs), tuple(sorted(own.values())))
