"""Limits of a workload's packets and connections, and what leaves the cluster, as rules. Pure.

Legacy iptables makes all rules of a table anew with any change of it. A bucket has a name, by
which it goes on; its rate stands in the name, since a bucket that goes on keeps the rate that it
was made with. What a rule counted of connections is lost then: see the page.
"""

from collections.abc import Mapping

from tortie.dataplane.iptables.chains import MANGLE, Chain
from tortie.dataplane.iptables.names import Way, set_name
from tortie.dataplane.policy.dscp import CLASS_CHAIN
from tortie.dataplane.policy.families import Family
from tortie.dataplane.policy.limits import (
    PacketRate,
    connections_chain,
    limits_of,
    rate_chain,
)
from tortie.dataplane.policy.nets import net_text
from tortie.engine.delta import ALL_POOLS
from tortie.net import Prefix
from tortie.policy.program import Endpoint

# One bucket needs no table of thousands; a sweep a minute is enough for it.
_TABLE = "--hashlimit-htable-size 16 --hashlimit-htable-max 16 --hashlimit-htable-gcinterval 60000"
_IDLE = 10_000  # ms beyond the time in which a bucket is full again


def limit_chains(endpoint: Endpoint) -> list[Chain]:
    """The chains of an endpoint's limits, of both directions; none where it has none."""
    found = []
    for way in Way:
        limits = limits_of(endpoint, way)
        if limits.packets is not None:
            name = rate_chain(way, endpoint.interface)
            found.append(Chain(name, (f"{_above(limits.packets, name)} -j DROP",)))
        if limits.connections is not None:
            more = f"-m connlimit --connlimit-above {int(limits.connections)} --connlimit-mask 0"
            name = connections_chain(way, endpoint.interface)
            found.append(Chain(name, (f"-p 6 {more} -j REJECT --reject-with tcp-reset",)))
    return found


def _above(packets: PacketRate, chain: str) -> str:
    rate, burst = map(int, packets)
    expires = 1000 * burst // rate + _IDLE
    return (
        f"-m hashlimit --hashlimit-above {rate}/sec --hashlimit-burst {burst} "
        f"--hashlimit-name {chain}-{rate}-{burst} {_TABLE} --hashlimit-htable-expire {expires}"
    )


def class_chain(sources: Mapping[int, tuple[Prefix, ...]], family: Family) -> Chain:
    """What marks packets that leave the cluster; `sources`: whose, by class."""
    pools = set_name(family.version, ALL_POOLS)
    marking = [
        f"-s {net_text(address)} -j DSCP --set-dscp {value:#04x}"
        for value, addresses in sources.items()
        for address in addresses
    ]
    inside = [f"-m set --match-set {pools} dst -j RETURN"] if marking else []
    return Chain(CLASS_CHAIN, (*inside, *marking), MANGLE)
