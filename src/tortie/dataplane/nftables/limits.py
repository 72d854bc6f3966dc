"""Limits of a workload's packets and connections, and what leaves the cluster, as rules. Pure.

What a rule remembers (a bucket, the connections it counted) ends with it, so that limits stand in
chains of their own, which change only when they do.
"""

from collections.abc import Mapping

from tortie.dataplane.nftables import fields
from tortie.dataplane.nftables.chains import Chain
from tortie.dataplane.nftables.conditions import net_spans, within
from tortie.dataplane.nftables.names import ChainName, Way, set_name
from tortie.dataplane.nftables.statements import (
    REJECT_BY_RESET,
    ConnectionsAbove,
    Limit,
    SetDscp,
)
from tortie.dataplane.nftables.terms import COUNTER, DROP, RETURN, InSet, Is, Line, jump
from tortie.dataplane.policy.dscp import CLASS_CHAIN
from tortie.dataplane.policy.families import Family
from tortie.dataplane.policy.limits import connections_chain, limits_of, rate_chain
from tortie.engine.delta import ALL_POOLS
from tortie.linux.netlink.nfnetlink import Hook
from tortie.net import Prefix
from tortie.net.protocols import TCP
from tortie.policy.program import Endpoint

# Beside NAT's own, before it changes sources: a packet is known by the address that it came with.
_MANGLE_POSTROUTING = Hook("filter", 4, -150, True)


def limit_chains(endpoint: Endpoint) -> list[Chain]:
    """The chains of an endpoint's limits, of both directions; none where it has none."""
    found = []
    for way in Way:
        limits = limits_of(endpoint, way)
        if limits.packets is not None:
            above = Limit(limits.packets.rate, burst=limits.packets.burst, over=True)
            name = rate_chain(way, endpoint.interface)
            found.append(Chain(name, ((above, COUNTER, DROP),)))
        if limits.connections is not None:
            more: Line = (Is(fields.PROTOCOL, TCP), ConnectionsAbove(limits.connections))
            name = connections_chain(way, endpoint.interface)
            found.append(Chain(name, ((*more, COUNTER, REJECT_BY_RESET),)))
    return found


def class_chains(sources: Mapping[int, tuple[Prefix, ...]], family: Family) -> list[Chain]:
    """What marks packets that leave the cluster; `sources`: whose, by class."""
    inside = InSet((fields.DESTINATION[family.version],), set_name(family.version, ALL_POOLS))
    marking: list[Line] = [
        (
            within(fields.SOURCE[family.version], net_spans(addresses)),
            COUNTER,
            SetDscp(family, value),
        )
        for value, addresses in sources.items()
    ]
    return [
        Chain(CLASS_CHAIN, ((inside, RETURN), *marking) if marking else ()),
        Chain(ChainName("cali-mangle-POSTROUTING"), ((jump(CLASS_CHAIN),),), _MANGLE_POSTROUTING),
    ]
