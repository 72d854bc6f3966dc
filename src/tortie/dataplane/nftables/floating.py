"""Floating addresses as rules of NAT. Pure."""

from tortie.dataplane.nftables import fields
from tortie.dataplane.nftables.chains import Chain
from tortie.dataplane.nftables.names import ChainName
from tortie.dataplane.nftables.statements import ChangeAddress, Nat
from tortie.dataplane.nftables.terms import COUNTER, Is, Line, jump
from tortie.dataplane.policy.families import Family
from tortie.dataplane.policy.floating import DESTINATION_CHAIN, SOURCE_CHAIN, Translations
from tortie.linux.netlink.nfnetlink import Hook

_FROM_OUTSIDE, _FROM_HERE = Hook("nat", 0, -100, True), Hook("nat", 3, -100, True)


def floating_chains(found: Translations, family: Family) -> list[Chain]:
    """What packets to floating addresses are asked, from outside and from the node itself."""
    source, destination = fields.SOURCE[family.version], fields.DESTINATION[family.version]
    coming: list[Line] = [
        (
            Is(destination, pair.floating.address),
            COUNTER,
            ChangeAddress(Nat(pair.own), destination=True),
        )
        for pair in found.destinations
    ]
    turning: list[Line] = [
        (
            Is(source, pair.own.address),
            Is(destination, pair.own.address),
            COUNTER,
            ChangeAddress(Nat(pair.floating)),
        )
        for pair in found.sources
    ]
    return [
        Chain(DESTINATION_CHAIN, tuple(coming)),
        Chain(SOURCE_CHAIN, tuple(turning)),
        Chain(ChainName("cali-nat-PREROUTING"), ((jump(DESTINATION_CHAIN),),), _FROM_OUTSIDE),
        Chain(ChainName("cali-nat-OUTPUT"), ((jump(DESTINATION_CHAIN),),), _FROM_HERE),
    ]
