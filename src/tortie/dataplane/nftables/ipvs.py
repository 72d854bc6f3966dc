"""Packets to services with kube-proxy in IPVS mode: policy for what never passes FORWARD. Pure.

A service's address is one of the node's own then (kube-ipvs0 has it), so that its packets come in
by INPUT; IPVS gives them a workload's address and sends them out by OUTPUT, where nothing tells any
more by which interface they came. So the packet's mark says it from the one to the other:

    INPUT    cali-forward-check → cali-set-endpoint-mark    whose interface it came by
    OUTPUT   cali-forward-endpoint-mark
             → cali-from-endpoint-mark → cali-fw-<if>, cali-fhfw-<name>    as in FORWARD
             → cali-to-wl-dispatch, cali-hep-thfw-dispatch

Which packets these are: those to addresses of the node that are no interface's but kube-ipvs0's,
and those to its others on ports of KubeNodePortRanges. The node's own packets to services are
translated before policy is asked, and go out as ever.
"""

from collections.abc import Iterator, Mapping

from tortie.dataplane.nftables import fields
from tortie.dataplane.nftables.anonymous import Span
from tortie.dataplane.nftables.chains import CLOSED, Chain, clearing, marked
from tortie.dataplane.nftables.conditions import within
from tortie.dataplane.nftables.names import ChainName, Way, endpoint_chain, host_chain
from tortie.dataplane.nftables.settings import NftSettings
from tortie.dataplane.nftables.statements import ToOwnAddress
from tortie.dataplane.nftables.terms import (
    ALL_BITS,
    RETURN,
    Begins,
    Bits,
    Is,
    Line,
    SetMark,
    goto,
    jump,
)
from tortie.dataplane.policy.families import Family
from tortie.dataplane.policy.interfaces import Owners
from tortie.dataplane.policy.plan import Passing
from tortie.linux.netlink.nfnetlink import Hook
from tortie.net.protocols import SCTP, TCP, UDP
from tortie.policy.program import EndpointId

CHECK_CHAIN, FROM_MARK_CHAIN = ChainName("cali-forward-check"), ChainName("cali-from-endpoint-mark")
_NODE_PORTS, _SET_MARK = ChainName("cali-to-node-ports"), ChainName("cali-set-endpoint-mark")
_FORWARD_MARK = ChainName("cali-forward-endpoint-mark")
_OUTPUT = Hook("filter", 3, 0, True)
_DISPATCH_TO = ChainName("cali-to-wl-dispatch")
_DISPATCH_HOSTS = ChainName("cali-hep-thfw-dispatch")
_FORWARDED_IN = "cali-fhfw-"


def ipvs_chains(passing: Passing, family: Family, settings: NftSettings) -> list[Chain]:
    """Every chain that is there for IPVS alone."""
    mask = passing.marks.mask
    leaving = ((Bits(fields.MARK, mask, negated=True), jump(_FORWARD_MARK)),)
    return [
        Chain(_NODE_PORTS, tuple(_node_ports(settings))),
        Chain(_SET_MARK, tuple(_set_mark(passing, settings))),
        Chain(CHECK_CHAIN, tuple(_check(passing, family))),
        Chain(FROM_MARK_CHAIN, tuple(_from_mark(passing, settings))),
        Chain(_FORWARD_MARK, tuple(_forward(passing, settings))),
        Chain(ChainName("cali-OUTPUT"), leaving, _OUTPUT),
    ]


def coming_in(settings: NftSettings) -> Iterator[Line]:
    """What INPUT asks first: what passes through is not asked as if it ended here."""
    yield (clearing(settings.marks.endpoints),)
    yield (jump(CHECK_CHAIN),)
    yield passes(settings)


def passes(settings: NftSettings) -> Line:
    """What the mark says of is on its way through the node: it goes on."""
    return (Bits(fields.MARK, settings.marks.endpoints, negated=True), RETURN)


def _check(passing: Passing, family: Family) -> Iterator[Line]:
    yield (Is(fields.INPUT, "lo"), RETURN)
    # A rule an address: a set that comes with its rule is empty for a moment.
    for own in passing.addresses:
        yield (Is(fields.DESTINATION[family.version], own.address), goto(_NODE_PORTS))
    yield (ToOwnAddress(), goto(_SET_MARK))


def _node_ports(settings: NftSettings) -> Iterator[Line]:
    for protocol in (TCP, UDP, SCTP):
        for ports in settings.node_ports:
            asked = within(fields.DESTINATION_PORT, (Span(int(ports.first), int(ports.last)),))
            yield (Is(fields.PROTOCOL, int(protocol)), asked, goto(_SET_MARK))


def _set_mark(passing: Passing, settings: NftSettings) -> Iterator[Line]:
    mask = passing.marks.mask
    if not mask:  # no bits are left in the mark: what can't be told apart must not pass
        yield CLOSED
    for interface, mark in sorted(passing.marks.marks.items()):
        yield (Is(fields.INPUT, interface), SetMark(keep=ALL_BITS ^ mask, add=mark), RETURN)
    for prefix in settings.interface_prefixes:
        yield (Begins(fields.INPUT, prefix), *CLOSED)
    yield (SetMark(keep=ALL_BITS ^ mask, add=passing.marks.others),)


def _from_mark(passing: Passing, settings: NftSettings) -> Iterator[Line]:
    """Policy of whom the packet came from; a mark that is nobody's is a workload that went."""
    marks, mask = passing.marks.marks, passing.marks.mask
    others = RETURN if passing.hosts.every is None else goto(_forwarded(passing.hosts.every))
    yield (Bits(fields.MARK, mask, passing.marks.others), others)
    for name, host in sorted(_marked(passing.hosts.named, marks)):
        yield (Bits(fields.MARK, mask, marks[name]), goto(_forwarded(host)))
    yield (clearing(settings.marks.decided),)
    for name in passing.workloads:
        if name in marks:
            chain = endpoint_chain(Way.FROM, name)
            yield (Bits(fields.MARK, mask, marks[name]), jump(chain))
    yield (marked(settings.marks.accept), RETURN)
    yield CLOSED


def _marked(
    hosts: Mapping[str, EndpointId], marks: Mapping[str, int]
) -> Iterator[tuple[str, EndpointId]]:
    return ((name, host) for name, host in hosts.items() if name in marks)


def _forwarded(host: EndpointId) -> ChainName:
    return host_chain(_FORWARDED_IN, host)


def _forward(passing: Passing, settings: NftSettings) -> Iterator[Line]:
    marks, has_hosts = settings.marks, passing.hosts != Owners({}, None)
    yield (jump(FROM_MARK_CHAIN),)
    for prefix in settings.interface_prefixes:
        yield (Begins(fields.OUTPUT, prefix), jump(_DISPATCH_TO))
    if has_hosts:
        yield (jump(_DISPATCH_HOSTS),)
    # The early bit has host endpoints not ask again, as if this were a packet of the node's own.
    gone = ALL_BITS ^ (passing.marks.mask | marks.decided)
    yield (SetMark(keep=gone, add=marks.early if has_hosts else 0),)
