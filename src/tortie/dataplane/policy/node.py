"""What the firewall has to know of its node beside endpoints: tunnels, kube-proxy. Pure."""

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import NamedTuple

from msgspec import Struct

from tortie.dataplane.policy.families import Family
from tortie.dataplane.policy.interfaces import Addresses
from tortie.dataplane.policy.settings import PolicySettings
from tortie.engine.delta import Encapsulation
from tortie.net import Prefix
from tortie.net.protocols import UDP

IPVS_DEVICE = "kube-ipvs0"  # kube-proxy in IPVS mode gives it the addresses of services
IPIP = 4


class NodeFacts(Struct, frozen=True):
    """What holds for the whole node. `is_ipvs`: kube-proxy's device is there."""

    encapsulation: Encapsulation = Encapsulation()
    is_ipvs: bool = False


class TunnelEnd(NamedTuple):
    """What packets of a tunnel look like where they reach the node.

    `is_open`: what is inside is taken for what it says, so that only nodes may put something in.
    """

    protocol: int
    port: int | None
    is_open: bool


def tunnel_ends(
    family: Family, encapsulation: Encapsulation, settings: PolicySettings
) -> tuple[TunnelEnd, ...]:
    """The tunnels that end at the node with packets of this IP version.

    VXLAN's device of an IP version has its other ends in the same one; IPIP is IPv4 alone.
    """
    found = []
    is_v4 = family.version == 4
    if encapsulation.vxlan if is_v4 else encapsulation.vxlan_v6:
        found.append(TunnelEnd(UDP, settings.vxlan_port, True))
    if is_v4 and encapsulation.ipip:
        found.append(TunnelEnd(IPIP, None, True))
    port = settings.wireguard_port if is_v4 else settings.wireguard_port_v6
    if port:
        found.append(TunnelEnd(UDP, port, False))
    return tuple(found)


def own_addresses(
    addresses: Addresses, family: Family, settings: PolicySettings
) -> tuple[Prefix, ...]:
    """The node's own addresses, without those that it has for services' or workloads' sake."""
    found = {
        Prefix.single(one.version, one.address)
        for name, held in addresses.items()
        if name != IPVS_DEVICE
        and not settings.guards(name)
        and not is_excluded(name, settings.excluded_interfaces)
        for one in held
        if one.version == family.version
    }
    return tuple(sorted(found))


def is_excluded(name: str, excluded: Iterable[str]) -> bool:
    """InterfaceExclude: an interface whose state does not matter."""
    return any(_pattern(one).search(name) for one in excluded)


@lru_cache(maxsize=64)
def _pattern(text: str) -> re.Pattern[str]:
    """A name, or a regular expression between slashes."""
    if len(text) > 1 and text.startswith("/") and text.endswith("/"):
        return re.compile(text[1:-1])
    return re.compile(rf"^{re.escape(text)}$")
