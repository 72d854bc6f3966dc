"""The chains that are there before any workload, and those that lead to workloads' chains. Pure.

Alone they let nothing through to or from a workload's interface: what the dispatch does not know is
dropped. The way back is asked before connection tracking (table raw); whether the address is the
workload's own is asked in its own chain.
"""

from collections.abc import Iterable, Iterator
from functools import lru_cache
from itertools import groupby
from typing import NamedTuple

from tortie.dataplane.iptables.chains import (
    ESTABLISHED,
    FILTER,
    MANGLE,
    NAT,
    RAW,
    TUNNELS_CHAIN,
    Chain,
    clearing,
    denied,
    marked,
    marking_chains,
)
from tortie.dataplane.iptables.hosts import (
    FROM_FORWARD,
    FROM_HOST,
    TO_FORWARD,
    TO_HOST,
)
from tortie.dataplane.iptables.ipvs import coming_in, going_out, passing_mark
from tortie.dataplane.iptables.names import (
    ChainName,
    Way,
    branch_chain,
    endpoint_chain,
    set_name,
)
from tortie.dataplane.iptables.settings import IptablesSettings
from tortie.dataplane.policy.desired import FIXED_SETS
from tortie.dataplane.policy.dscp import CLASS_CHAIN
from tortie.dataplane.policy.families import Family
from tortie.dataplane.policy.floating import DESTINATION_CHAIN, SOURCE_CHAIN
from tortie.dataplane.policy.nets import disjoint_nets, net_text
from tortie.dataplane.policy.node import NodeFacts, TunnelEnd, tunnel_ends
from tortie.dataplane.policy.settings import Action, HostAction, LoopAction
from tortie.engine.delta import ALL_HOSTS, ServiceCidrs
from tortie.net import format_address
from tortie.net.protocols import PORT_PROTOCOLS
from tortie.policy.program import Endpoint

_DISPATCH = {Way.FROM: ChainName("cali-from-wl-dispatch"), Way.TO: ChainName("cali-to-wl-dispatch")}
_ROOTS = {Way.FROM: ChainName("cali-from-wl-ifaces"), Way.TO: ChainName("cali-to-wl-ifaces")}
_OPTIONS = {Way.FROM: "-i", Way.TO: "-o"}
_RPF, _RPF_SKIP = ChainName("cali-rpf"), ChainName("cali-rpf-skip")
_TO_HOST, _LOOPS = ChainName("cali-wl-to-host"), ChainName("cali-cidr-block")
DEFAULT_FACTS = NodeFacts()
_FLAT = 12  # so many interfaces are asked one by one; more are told apart by their letters

# Neighbour discovery and multicast listener messages, without which IPv6 finds no neighbour.
_ND_TO_HOST = (130, 131, 132, 133, 135, 136)
_ND_FROM_LINK_LOCAL = (131, 132, 133, 135, 136, 143)


class Jump(NamedTuple):
    """A jump out of a chain of the kernel's; it stands first there."""

    table: str
    hook: str
    chain: ChainName


JUMPS = (
    Jump(FILTER, "FORWARD", ChainName("cali-FORWARD")),
    Jump(FILTER, "INPUT", ChainName("cali-INPUT")),
    Jump(FILTER, "OUTPUT", ChainName("cali-OUTPUT")),
    Jump(RAW, "PREROUTING", ChainName("cali-PREROUTING")),
    Jump(RAW, "OUTPUT", ChainName("cali-OUTPUT")),
    Jump(MANGLE, "PREROUTING", ChainName("cali-PREROUTING")),
    Jump(MANGLE, "POSTROUTING", ChainName("cali-POSTROUTING")),
    Jump(NAT, "PREROUTING", ChainName("cali-PREROUTING")),
    Jump(NAT, "OUTPUT", ChainName("cali-OUTPUT")),
    Jump(NAT, "POSTROUTING", ChainName("cali-POSTROUTING")),
)


@lru_cache(maxsize=8)
def static_chains(
    family: Family, settings: IptablesSettings, facts: NodeFacts = DEFAULT_FACTS
) -> tuple[Chain, ...]:
    """Every chain that does not depend on a resource."""
    first = (ended(settings),) if settings.ends_flows else ()
    begins = (f"{passing_mark(settings)} -j RETURN",) if facts.is_ipvs else ()
    return (
        *marking_chains(settings),
        Chain(TUNNELS_CHAIN, tuple(_no_tunnels(settings))),
        *(_dispatch(way, settings) for way in Way),
        Chain(_TO_HOST, tuple(_workload_to_host(family, settings))),
        Chain(
            ChainName("cali-INPUT"),
            (
                *first,
                *(coming_in(settings) if facts.is_ipvs else ()),
                *_each("-i", f"-g {_TO_HOST}", settings),
                *_tunnel_ends(family, facts, settings),
                *_host(FROM_HOST, settings),
            ),
        ),
        Chain(
            ChainName("cali-OUTPUT"),
            (
                *first,
                *((going_out(settings),) if facts.is_ipvs else ()),
                *_to_tunnel_ends(family, facts, settings),
                *_host(TO_HOST, settings),
            ),
        ),
        Chain(ChainName("cali-FORWARD"), (*first, *_forward(settings))),
        Chain(_RPF, tuple(_way_back(family, settings)), RAW),
        Chain(
            ChainName("cali-PREROUTING"),
            (
                clearing(settings.marks.early),
                *_each("-i", f"-j {_RPF}", settings),
                f"-j {FROM_HOST}",
            ),
            RAW,
        ),
        Chain(
            ChainName("cali-OUTPUT"),
            (*begins, clearing(settings.marks.early), f"-j {TO_HOST}"),
            RAW,
        ),
        Chain(ChainName("cali-PREROUTING"), tuple(_before_nat(settings)), MANGLE),
        Chain(ChainName("cali-POSTROUTING"), (f"-j {CLASS_CHAIN}",), MANGLE),
        Chain(ChainName("cali-PREROUTING"), (f"-j {DESTINATION_CHAIN}",), NAT),
        Chain(ChainName("cali-OUTPUT"), (f"-j {DESTINATION_CHAIN}",), NAT),
        Chain(
            ChainName("cali-POSTROUTING"),
            (f"-j {SOURCE_CHAIN}", *_nat_outgoing(family, settings)),
            NAT,
        ),
    )


def workload_chains(
    endpoints: Iterable[Endpoint], interfaces: Iterable[str], family: Family
) -> list[Chain]:
    """The chains that know all workloads: who has which chain, and who may send without a route."""
    names = sorted(interfaces)
    ways = [chain for way in Way for chain in _branches(_ROOTS[way], names, way)]
    return [*ways, Chain(_RPF_SKIP, (*_allowed_sources(endpoints, family), "-j DROP"), RAW)]


def loop_chain(services: ServiceCidrs, family: Family, settings: IptablesSettings) -> Chain:
    """Where what is forwarded to a service's address ends: nothing has it, so that it would go to
    and fro between this node and its router until it is worn out.
    """
    nets = disjoint_nets((net for cidrs in services for net in cidrs), family)
    if settings.service_loops is LoopAction.DISABLED:
        return Chain(_LOOPS, ())
    action = settings.service_loops.upper()
    return Chain(_LOOPS, tuple(f"-d {net_text(net)} -j {action}" for net in nets if net.length))


def is_branch(chain: str) -> bool:
    """Whether a chain leads to workloads' chains, by its name."""
    return chain.startswith(("cali-td-", "cali-fd-"))


def _each(option: str, statement: str, settings: IptablesSettings) -> tuple[str, ...]:
    return tuple(f"{option} {prefix}+ {statement}" for prefix in settings.interface_prefixes)


def _host(chain: ChainName, settings: IptablesSettings) -> Iterator[str]:
    """What policy of a host endpoint allows; others' rules decide of what has none."""
    yield clearing(settings.marks.decided)
    yield f"-j {chain}"
    yield from _allowed(settings)


def _before_nat(settings: IptablesSettings) -> Iterator[str]:
    yield f"-j {FROM_HOST}"
    if settings.mangle_allow is Action.ACCEPT:
        yield f"{marked(settings.marks.early)} -j ACCEPT"


def _allowed(settings: IptablesSettings) -> Iterator[str]:
    """By default no later rule of others' asks again."""
    if settings.filter_allow is Action.ACCEPT:
        yield f"{marked(settings.marks.accept)} -j ACCEPT"


def _forward(settings: IptablesSettings) -> Iterator[str]:
    """What policy allows is accepted here, so that no later rule of others' asks again."""
    yield f"-j {FROM_FORWARD}"
    yield f"-j {TO_FORWARD}"
    yield clearing(settings.marks.decided)
    yield from _each("-i", f"-j {_DISPATCH[Way.FROM]}", settings)
    yield from _each("-o", f"-j {_DISPATCH[Way.TO]}", settings)
    if settings.service_loops is not LoopAction.DISABLED:
        yield f"-j {_LOOPS}"
    yield from _allowed(settings)


def _dispatch(way: Way, settings: IptablesSettings) -> Chain:
    """Unknown interface, chain without a verdict: all end at the drop."""
    marks = settings.marks
    return Chain(
        _DISPATCH[way],
        (
            clearing(marks.decided),
            f"-j {_ROOTS[way]}",
            f"{marked(marks.accept)} -j RETURN",
            denied(settings),
        ),
    )


def _branches(name: ChainName, interfaces: list[str], way: Way) -> Iterator[Chain]:
    """A chain that finds each interface's chain, and the chains that it needs for that."""
    option = _OPTIONS[way]
    if len(interfaces) <= _FLAT:
        yield Chain(name, tuple(_leaf(option, one, way) for one in interfaces))
        return
    shared = _shared_length(interfaces[0], interfaces[-1])
    rules: list[str] = []
    for beginning, group in groupby(interfaces, lambda one: one[: shared + 1]):
        members = list(group)
        if len(members) == 1:
            rules.append(_leaf(option, members[0], way))
        else:
            branch = branch_chain(way, beginning)
            rules.append(f"{option} {beginning}+ -g {branch}")
            yield from _branches(branch, members, way)
    yield Chain(name, tuple(rules))


def _shared_length(first: str, last: str) -> int:
    """How many letters all of a sorted list begin with, by its first and last."""
    pairs = enumerate(zip(first, last, strict=False))
    return next((place for place, (one, other) in pairs if one != other), len(first))


def _leaf(option: str, interface: str, way: Way) -> str:
    return f"{option} {interface} -g {endpoint_chain(way, interface)}"


def _no_tunnels(settings: IptablesSettings) -> Iterator[str]:
    """A workload's own VXLAN or IPIP packet would be unpacked on another node as if of a node."""
    if not settings.allow_vxlan:
        yield f"-p 17 -m multiport --dports {settings.vxlan_port} -j DROP"
    if not settings.allow_ipip:
        yield "-p 4 -j DROP"


def _way_back(family: Family, settings: IptablesSettings) -> Iterator[str]:
    """What comes from where no route leads back by the same interface is dropped or excused."""
    yield "-m rpfilter --validmark -j RETURN"
    if family.version == 6:
        for source in ("::/128", "fe80::/10"):
            for number in _ND_FROM_LINK_LOCAL:
                yield f"-s {source} -p 58 -m icmp6 --icmpv6-type {number} -j RETURN"
    elif settings.openstack:
        yield "-s 0.0.0.0/32 -p 17 -m udp --sport 68 --dport 67 -j RETURN"
    yield f"-g {_RPF_SKIP}"


def _allowed_sources(endpoints: Iterable[Endpoint], family: Family) -> Iterator[str]:
    for endpoint in sorted(endpoints, key=lambda one: one.interface):
        for net in disjoint_nets(endpoint.allowed_sources, family):
            source = f"-s {net_text(net)} " if net.length else ""
            yield f"-i {endpoint.interface} {source}-j RETURN"


def _tunnel_ends(family: Family, facts: NodeFacts, settings: IptablesSettings) -> Iterator[str]:
    """What comes out of a tunnel is taken for a workload's: only nodes may put something in.

    Nodes reach each other whatever host endpoints say.
    """
    hosts, allowed = set_name(family.version, ALL_HOSTS), f"-j {settings.filter_allow.upper()}"
    for end in tunnel_ends(family, facts.encapsulation, settings):
        if end.is_open:
            yield f"{_packets_of(end)} -m set ! --match-set {hosts} src -j DROP"
        yield f"{_packets_of(end)} -m set --match-set {hosts} src {allowed}"


def _to_tunnel_ends(family: Family, facts: NodeFacts, settings: IptablesSettings) -> Iterator[str]:
    hosts, allowed = set_name(family.version, ALL_HOSTS), f"-j {settings.filter_allow.upper()}"
    for end in tunnel_ends(family, facts.encapsulation, settings):
        yield f"{_packets_of(end)} -m set --match-set {hosts} dst {allowed}"


def _packets_of(end: TunnelEnd) -> str:
    protocol = f"-p {int(end.protocol)}"
    return protocol if end.port is None else f"{protocol} -m multiport --dports {end.port}"


def ended(settings: IptablesSettings) -> str:
    """A connection that policy allowed once and denies now (EndDeniedFlows)."""
    bit = settings.marks.ended
    return f"-m connmark --mark {bit:#x}/{bit:#x} -j DROP"


def _workload_to_host(family: Family, settings: IptablesSettings) -> Iterator[str]:
    if family.version == 6:
        for number in _ND_TO_HOST:
            yield f"-p 58 -m icmp6 --icmpv6-type {number} -j ACCEPT"
    elif settings.openstack:
        yield "-p 17 -m udp --sport 68 --dport 67 -j ACCEPT"
        yield "-p 17 -m udp --dport 53 -j ACCEPT"
    yield f"-j {_DISPATCH[Way.FROM]}"
    if settings.endpoint_to_host is HostAction.DROP:
        # Answers to what the host asked still pass; what is new from the workload does not.
        yield f"{ESTABLISHED} -j ACCEPT"
    yield f"-j {settings.endpoint_to_host.upper()}"


def _nat_outgoing(family: Family, settings: IptablesSettings) -> Iterator[str]:
    """Packets of pools with natOutgoing to where no pool is leave with the node's address."""
    masquerading, pools, hosts = (set_name(family.version, one) for one in FIXED_SETS)
    outside = f"-m set --match-set {masquerading} src -m set ! --match-set {pools} dst"
    if not settings.masquerade_to_hosts:
        outside += f" -m set ! --match-set {hosts} dst"
    if settings.nat_interface:
        outside = f"-o {settings.nat_interface} {outside}"
    if settings.nat_ports is not None:
        first, last = map(int, settings.nat_ports)
        for protocol in sorted(PORT_PROTOCOLS):
            yield f"-p {protocol} {outside} {_nat(family, settings, f'{first}-{last}')}"
    yield f"{outside} {_nat(family, settings)}"


def _nat(family: Family, settings: IptablesSettings, ports: str = "") -> str:
    address = settings.nat_address
    if address is None or address.version != family.version:
        chosen = f" --to-ports {ports}" if ports else ""
        return f"-j MASQUERADE{chosen} --random-fully"
    chosen = f":{ports}" if ports else ""
    return f"-j SNAT --to-source {format_address(4, address.address)}{chosen} --random-fully"
