"""The chains and maps that a table has before any workload: hooks, dispatch, source check, NAT.

Alone they let nothing through to or from a workload's interface: the dispatch maps are empty, and
what they don't know is dropped.

The source check stands before conntrack (raw), so that a forged packet leaves no trace there. The
policy's verdict comes back as the accept mark, and the dispatch chains drop what lacks it. From a
workload's chain an established packet also returns with the mark instead of being accepted at
once: the other end's chain is asked too, so a packet to an unknown interface never gets through.
"""

from collections.abc import Iterator
from functools import lru_cache

from tortie.dataplane.nftables import fields
from tortie.dataplane.nftables.anonymous import Span
from tortie.dataplane.nftables.chains import (
    ACCEPT_CHAIN,
    CLOSED,
    TUNNELS_CHAIN,
    Chain,
    clearing,
    ended,
    marked,
    packets_of,
)
from tortie.dataplane.nftables.conditions import icmpv6, net_spans, udp_to, within
from tortie.dataplane.nftables.fields import ESTABLISHED, RELATED, Field
from tortie.dataplane.nftables.ipvs import coming_in
from tortie.dataplane.nftables.names import ChainName, SetName, set_name
from tortie.dataplane.nftables.settings import NftSettings
from tortie.dataplane.nftables.statements import (
    ChangeAddress,
    Masquerade,
    Nat,
    RouteBack,
    reject,
)
from tortie.dataplane.nftables.terms import (
    ACCEPT,
    COUNTER,
    DROP,
    RETURN,
    Begins,
    ByMap,
    InSet,
    InState,
    Is,
    Line,
    SetMark,
    Term,
    goto,
    jump,
)
from tortie.dataplane.policy.desired import FIXED_SETS
from tortie.dataplane.policy.families import Family
from tortie.dataplane.policy.floating import SOURCE_CHAIN
from tortie.dataplane.policy.nets import disjoint_nets
from tortie.dataplane.policy.node import IPIP, NodeFacts, tunnel_ends
from tortie.dataplane.policy.settings import HostAction, LoopAction
from tortie.engine.delta import ALL_HOSTS, ServiceCidrs
from tortie.linux.netlink.nfnetlink import Hook
from tortie.net.protocols import PORT_PROTOCOLS, UDP

FROM_MAP, TO_MAP = SetName("cali-from-wl"), SetName("cali-to-wl")
SOURCES, SOURCE_NETS = SetName("cali-sources"), SetName("cali-source-nets")
LIVE = SetName("cali-live")  # interfaces with a program, of which no packet must be counted
_DISPATCH_FROM, _DISPATCH_TO = ChainName("cali-from-wl-dispatch"), ChainName("cali-to-wl-dispatch")
_RPF, _TO_HOST = ChainName("cali-rpf"), ChainName("cali-wl-to-host")
_LOOPS = ChainName("cali-cidr-block")

_RAW = Hook("filter", 0, -300, True)
_INPUT = Hook("filter", 1, 0, True)
_FORWARD = Hook("filter", 2, 0, True)
_SOURCE_NAT = Hook("nat", 4, 100, True)
DEFAULT_FACTS = NodeFacts()
_DHCP: Line = (
    Is(fields.PROTOCOL, UDP),
    Is(fields.SOURCE_PORT, 68),
    Is(fields.DESTINATION_PORT, 67),
)
HOOK_NAMES = ("prerouting", "input", "forward", "output", "postrouting")

# Neighbour discovery and multicast listener messages, without which IPv6 finds no neighbour.
_ND_TO_HOST = icmpv6(130, 131, 132, 133, 135, 136)
_ND_FROM_LINK_LOCAL = icmpv6(131, 132, 133, 135, 136, 143)
_LINK_LOCAL = (Span(0, 0), Span(0xFE80 << 112, (0xFEC0 << 112) - 1))  # ::, fe80::/10


@lru_cache(maxsize=8)
def static_chains(
    family: Family, settings: NftSettings, facts: NodeFacts = DEFAULT_FACTS
) -> tuple[Chain, ...]:
    """Every chain that does not depend on a resource."""
    into = _each(fields.INPUT, settings)
    first = (ended(settings),) if settings.ends_flows else ()
    return (
        Chain(ACCEPT_CHAIN, ((SetMark(add=settings.marks.accept),),)),
        Chain(TUNNELS_CHAIN, tuple(_no_tunnels(settings))),
        Chain(_RPF, tuple(_source_check(family, settings))),
        _dispatch(_DISPATCH_FROM, ByMap((fields.INPUT,), FROM_MAP), settings),
        _dispatch(_DISPATCH_TO, ByMap((fields.OUTPUT,), TO_MAP), settings),
        Chain(_TO_HOST, tuple(_workload_to_host(family, settings))),
        Chain(ChainName("cali-PREROUTING"), tuple((one, jump(_RPF)) for one in into), _RAW),
        Chain(
            ChainName("cali-INPUT"),
            (
                *first,
                *(coming_in(settings) if facts.is_ipvs else ()),
                *((one, goto(_TO_HOST)) for one in into),
                *_tunnel_ends(family, facts, settings),
            ),
            _INPUT,
        ),
        Chain(
            ChainName("cali-FORWARD"),
            (
                *first,
                *_going_on(settings),
                *((one, jump(_DISPATCH_FROM)) for one in into),
                *((one, jump(_DISPATCH_TO)) for one in _each(fields.OUTPUT, settings)),
                *_loops(settings),
            ),
            _FORWARD,
        ),
        Chain(
            ChainName("cali-POSTROUTING"),
            ((jump(SOURCE_CHAIN),), *_nat_outgoing(family, settings)),
            _SOURCE_NAT,
        ),
    )


def _going_on(settings: NftSettings) -> Iterator[Line]:
    """What of a connection that policy allowed is not asked again, if every end has a program.

    Most packets are such: one look-up a workload's end is what they cost. Prefixes stand before
    look-ups, since to compare a prefix is cheaper than to miss in a set.
    """
    old, into, out_of = InState(ESTABLISHED | RELATED), fields.INPUT, fields.OUTPUT
    yield (*_none_of(out_of, settings), old, InSet((into,), LIVE), ACCEPT)
    yield (*_none_of(into, settings), old, InSet((out_of,), LIVE), ACCEPT)
    yield (old, InSet((into,), LIVE), InSet((out_of,), LIVE), ACCEPT)


def _none_of(field: Field, settings: NftSettings) -> Line:
    """The interface is no workload's."""
    return tuple(Begins(field, one, negated=True) for one in settings.interface_prefixes)


def _loops(settings: NftSettings) -> tuple[Line, ...]:
    return () if settings.service_loops is LoopAction.DISABLED else ((jump(_LOOPS),),)


def _each(field: Field, settings: NftSettings) -> tuple[Term, ...]:
    """The interface is a workload's: one term a prefix."""
    return tuple(Begins(field, prefix) for prefix in settings.interface_prefixes)


def _dispatch(name: ChainName, lookup: Term, settings: NftSettings) -> Chain:
    """Unknown interface, failed look-up, chain without a verdict: all end at the drop."""
    marks = settings.marks
    undecided, allowed = (clearing(marks.decided),), (marked(marks.accept), RETURN)
    return Chain(name, (undecided, (lookup,), allowed, CLOSED))


def _no_tunnels(settings: NftSettings) -> Iterator[Line]:
    """A workload's own VXLAN or IPIP packet would be unpacked on another node as if of a node."""
    if not settings.allow_vxlan:
        yield (*udp_to(settings.vxlan_port), *CLOSED)
    if not settings.allow_ipip:
        yield (Is(fields.PROTOCOL, IPIP), *CLOSED)


def _source_check(family: Family, settings: NftSettings) -> Iterator[Line]:
    """Own addresses by the route back; allowed nets without one (nothing routes to them here)."""
    address = fields.SOURCE[family.version]
    source = (fields.INPUT, address)
    yield (InSet(source, SOURCES), RouteBack(), RETURN)
    yield (InSet(source, SOURCE_NETS), RETURN)
    if family.version == 6:
        yield (within(address, _LINK_LOCAL), *_ND_FROM_LINK_LOCAL, RETURN)
    elif settings.openstack:
        yield (Is(address, 0), *_DHCP, RETURN)
    yield CLOSED


def _tunnel_ends(family: Family, facts: NodeFacts, settings: NftSettings) -> Iterator[Line]:
    """What comes out of a tunnel is taken for a workload's: only nodes may put something in."""
    hosts = set_name(family.version, ALL_HOSTS)
    stranger = InSet((fields.SOURCE[family.version],), hosts, negated=True)
    for end in tunnel_ends(family, facts.encapsulation, settings):
        if end.is_open:
            yield (*packets_of(end), stranger, *CLOSED)


def _workload_to_host(family: Family, settings: NftSettings) -> Iterator[Line]:
    if family.version == 6:
        yield (*_ND_TO_HOST, ACCEPT)
    elif settings.openstack:
        yield (*_DHCP, ACCEPT)
        yield (*udp_to(53), ACCEPT)
    yield (jump(_DISPATCH_FROM),)
    if settings.endpoint_to_host is HostAction.DROP:
        # Answers to what the host asked still pass; what is new from the workload does not.
        yield (InState(ESTABLISHED | RELATED), ACCEPT)
        yield CLOSED
    else:
        yield (ACCEPT if settings.endpoint_to_host is HostAction.ACCEPT else RETURN,)


def _nat_outgoing(family: Family, settings: NftSettings) -> Iterator[Line]:
    """Packets of pools with natOutgoing to where no pool is leave with the node's address."""
    masquerading, pools, hosts = (set_name(family.version, one) for one in FIXED_SETS)
    source, destination = (fields.SOURCE[family.version],), (fields.DESTINATION[family.version],)
    outside: Line = (InSet(source, masquerading), InSet(destination, pools, negated=True))
    if not settings.masquerade_to_hosts:
        outside += (InSet(destination, hosts, negated=True),)
    if settings.nat_interface:
        outside += (_interface(settings.nat_interface),)
    address = settings.nat_address
    if address is not None and address.version != family.version:
        address = None
    if settings.nat_ports is not None:
        changed = _changed_source(Nat(address, settings.nat_ports, fully_random=True))
        for protocol in PORT_PROTOCOLS:
            yield (*outside, Is(fields.PROTOCOL, int(protocol)), COUNTER, changed)
    yield (*outside, COUNTER, _changed_source(Nat(address, fully_random=True)))


def _interface(name: str) -> Term:
    """The outgoing interface by its name, or with "+" by what names begin with."""
    if name.endswith("+"):
        return Begins(fields.OUTPUT, name.removesuffix("+"))
    return Is(fields.OUTPUT, name)


def _changed_source(to: Nat) -> Term:
    return Masquerade(to) if to.address is None else ChangeAddress(to)


def loop_chain(services: ServiceCidrs, family: Family, settings: NftSettings) -> Chain:
    """Where what is forwarded to a service's address ends: nothing has it, so that it would go to
    and fro between this node and its router until it is worn out.
    """
    nets = net_spans(disjoint_nets((net for cidrs in services for net in cidrs), family))
    if not nets or settings.service_loops is LoopAction.DISABLED:
        return Chain(_LOOPS, ())
    action = DROP if settings.service_loops is LoopAction.DROP else reject(family)
    return Chain(_LOOPS, ((within(fields.DESTINATION[family.version], nets), COUNTER, action),))
