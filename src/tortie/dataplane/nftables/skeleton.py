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

from tortie.dataplane.nftables.chains import ACCEPT_CHAIN, TUNNELS_CHAIN, Chain
from tortie.dataplane.nftables.names import ChainName, SetName, set_name
from tortie.dataplane.nftables.settings import NftSettings
from tortie.dataplane.policy.desired import FIXED_SETS
from tortie.dataplane.policy.families import Family
from tortie.dataplane.policy.nets import disjoint_nets, net_text
from tortie.dataplane.policy.settings import HostAction, LoopAction
from tortie.engine.delta import ALL_HOSTS, ServiceCidrs
from tortie.linux.netlink.nfnetlink import Hook
from tortie.net import format_address
from tortie.net.protocols import PORT_PROTOCOLS

FROM_MAP, TO_MAP = SetName("cali-from-wl"), SetName("cali-to-wl")
SOURCES, SOURCE_NETS = SetName("cali-sources"), SetName("cali-source-nets")
_DISPATCH_FROM, _DISPATCH_TO = ChainName("cali-from-wl-dispatch"), ChainName("cali-to-wl-dispatch")
_RPF, _TO_HOST = ChainName("cali-rpf"), ChainName("cali-wl-to-host")
_LOOPS = ChainName("cali-cidr-block")

_RAW = Hook("filter", 0, -300, True)
_INPUT = Hook("filter", 1, 0, True)
_FORWARD = Hook("filter", 2, 0, True)
_SOURCE_NAT = Hook("nat", 4, 100, True)
HOOK_NAMES = ("prerouting", "input", "forward", "output", "postrouting")

# Neighbour discovery and multicast listener messages, without which IPv6 finds no neighbour.
_ND_TO_HOST = "{ 130, 131, 132, 133, 135, 136 }"
_ND_FROM_LINK_LOCAL = "{ 131, 132, 133, 135, 136, 143 }"


@lru_cache(maxsize=8)
def static_chains(family: Family, settings: NftSettings) -> tuple[Chain, ...]:
    """Every chain that does not depend on a resource."""
    return (
        Chain(ACCEPT_CHAIN, (f"meta mark set meta mark | {settings.marks.accept:#x}",)),
        Chain(TUNNELS_CHAIN, tuple(_no_tunnels(settings))),
        Chain(_RPF, tuple(_source_check(family, settings))),
        _dispatch(_DISPATCH_FROM, f"iifname vmap @{FROM_MAP}", settings),
        _dispatch(_DISPATCH_TO, f"oifname vmap @{TO_MAP}", settings),
        Chain(_TO_HOST, tuple(_workload_to_host(family, settings))),
        Chain(ChainName("cali-PREROUTING"), _each("iifname", f"jump {_RPF}", settings), _RAW),
        Chain(
            ChainName("cali-INPUT"),
            (*_each("iifname", f"goto {_TO_HOST}", settings), _tunnel_ends(family, settings)),
            _INPUT,
        ),
        Chain(
            ChainName("cali-FORWARD"),
            _each("iifname", f"jump {_DISPATCH_FROM}", settings)
            + _each("oifname", f"jump {_DISPATCH_TO}", settings)
            + _loops(settings),
            _FORWARD,
        ),
        Chain(ChainName("cali-POSTROUTING"), tuple(_nat_outgoing(family, settings)), _SOURCE_NAT),
    )


def _loops(settings: NftSettings) -> tuple[str, ...]:
    return () if settings.service_loops is LoopAction.DISABLED else (f"jump {_LOOPS}",)


def _each(field: str, statement: str, settings: NftSettings) -> tuple[str, ...]:
    return tuple(f'{field} "{prefix}*" {statement}' for prefix in settings.interface_prefixes)


def _dispatch(name: ChainName, lookup: str, settings: NftSettings) -> Chain:
    """Unknown interface, failed look-up, chain without a verdict: all end at the drop."""
    marks = settings.marks
    return Chain(
        name,
        (
            f"meta mark set meta mark & {0xFFFFFFFF ^ marks.decided:#x}",
            lookup,
            f"meta mark & {marks.accept:#x} == {marks.accept:#x} return",
            "counter drop",
        ),
    )


def _no_tunnels(settings: NftSettings) -> Iterator[str]:
    """A workload's own VXLAN or IPIP packet would be unpacked on another node as if of a node."""
    if not settings.allow_vxlan:
        yield f"udp dport {settings.vxlan_port} counter drop"
    if not settings.allow_ipip:
        yield "meta l4proto 4 counter drop"


def _source_check(family: Family, settings: NftSettings) -> Iterator[str]:
    """Own addresses by the route back; allowed nets without one (nothing routes to them here)."""
    source = f"iifname . {family.nft} saddr"
    yield f"{source} @{SOURCES} fib saddr . iif oif exists return"
    yield f"{source} @{SOURCE_NETS} return"
    if family.version == 6:
        yield f"ip6 saddr {{ ::, fe80::/10 }} icmpv6 type {_ND_FROM_LINK_LOCAL} return"
    elif settings.openstack:
        yield "ip saddr 0.0.0.0 udp sport 68 udp dport 67 return"
    yield "counter drop"


def _tunnel_ends(family: Family, settings: NftSettings) -> str:
    """What comes out of the tunnel is taken for a workload's: only nodes may put something in."""
    hosts = set_name(family.version, ALL_HOSTS)
    return f"udp dport {settings.vxlan_port} {family.nft} saddr != @{hosts} counter drop"


def _workload_to_host(family: Family, settings: NftSettings) -> Iterator[str]:
    if family.version == 6:
        yield f"icmpv6 type {_ND_TO_HOST} accept"
    elif settings.openstack:
        yield "udp sport 68 udp dport 67 accept"
        yield "udp dport 53 accept"
    yield f"jump {_DISPATCH_FROM}"
    if settings.endpoint_to_host is HostAction.DROP:
        # Answers to what the host asked still pass; what is new from the workload does not.
        yield "ct state established,related accept"
        yield "counter drop"
    else:
        yield str(settings.endpoint_to_host)


def _nat_outgoing(family: Family, settings: NftSettings) -> Iterator[str]:
    """Packets of pools with natOutgoing to where no pool is leave with the node's address."""
    masquerading, pools, hosts = (set_name(family.version, one) for one in FIXED_SETS)
    outside = f"{family.nft} saddr @{masquerading} {family.nft} daddr != @{pools}"
    if not settings.masquerade_to_hosts:
        outside += f" {family.nft} daddr != @{hosts}"
    if settings.nat_interface:
        outside += f' oifname "{settings.nat_interface.replace("+", "*")}"'
    address = settings.nat_address
    if address is None or address.version != family.version:
        action, where = "masquerade", ""
    else:
        action, where = "snat", f" to {format_address(address.version, address.address)}"
    if settings.nat_ports is not None:
        first, last = map(int, settings.nat_ports)
        ports = f":{first}-{last}" if first != last else f":{first}"
        for protocol in PORT_PROTOCOLS:
            to = f"{where}{ports}" if where else f" to {ports}"
            yield f"{outside} meta l4proto {int(protocol)} counter {action}{to} fully-random"
    yield f"{outside} counter {action}{where} fully-random"


def loop_chain(services: ServiceCidrs, family: Family, settings: NftSettings) -> Chain:
    """Where what is forwarded to a service's address ends: nothing has it, so that it would go to
    and fro between this node and its router until it is worn out.
    """
    nets = disjoint_nets((net for cidrs in services for net in cidrs), family)
    listed = ", ".join(map(net_text, nets))
    rule = f"{family.nft} daddr {{ {listed} }} counter {settings.service_loops}"
    is_asked = nets and settings.service_loops is not LoopAction.DISABLED
    return Chain(_LOOPS, (rule,) if is_asked else ())
