"""Floating addresses as rules of NAT. Pure."""

from tortie.dataplane.iptables.chains import NAT, Chain
from tortie.dataplane.policy.floating import DESTINATION_CHAIN, SOURCE_CHAIN, Translations
from tortie.dataplane.policy.nets import net_text
from tortie.net import Prefix, format_address


def floating_chains(found: Translations) -> list[Chain]:
    """What packets to floating addresses are asked, from outside and from the node itself."""
    coming = [
        f"-d {net_text(pair.floating)} -j DNAT --to-destination {_bare(pair.own)}"
        for pair in found.destinations
    ]
    turning = [
        f"-s {own} -d {own} -j SNAT --to-source {_bare(pair.floating)}"
        for pair in found.sources
        for own in (net_text(pair.own),)
    ]
    return [
        Chain(DESTINATION_CHAIN, tuple(coming), NAT),
        Chain(SOURCE_CHAIN, tuple(turning), NAT),
    ]


def _bare(address: Prefix) -> str:
    return format_address(address.version, address.address)
