"""Host endpoints as chains: which interface is whose, and what is asked there at each stage. Pure.

    raw PREROUTING     cali-from-host-endpoint → cali-fh-<name>    before connection tracking
    raw OUTPUT         cali-to-host-endpoint   → cali-th-<name>
    mangle PREROUTING  cali-from-host-endpoint → cali-fh-<name>    before destination NAT
    filter FORWARD     cali-from-hep-forward   → cali-fhfw-<name>, then
                       cali-to-hep-forward     → cali-thfw-<name>
    filter INPUT       cali-from-host-endpoint → cali-fh-<name>
    filter OUTPUT      cali-to-host-endpoint   → cali-th-<name>

A table's rules reach only chains of the same table, so a policy that is asked early has its chains
in raw or mangle, too. An early rule that allows sets the mark's early bit, which lets the packet
pass this host endpoint's later stages; it is cleared where a packet comes in or begins.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from msgspec.structs import replace

from tortie.dataplane.iptables.chains import (
    ACCEPT_CHAIN,
    EARLY_CHAIN,
    ESTABLISHED,
    FILTER,
    MANGLE,
    RAW,
    UNTRACKED_CHAIN,
    Chain,
    clearing,
    denied,
    marked,
    policies_text,
    policy_chains,
    profiles_text,
    tiers_text,
)
from tortie.dataplane.iptables.matches import chunks
from tortie.dataplane.iptables.names import (
    ChainName,
    Way,
    checked_interface,
    host_chain,
)
from tortie.dataplane.iptables.settings import IptablesSettings
from tortie.dataplane.policy.families import Family
from tortie.dataplane.policy.interfaces import Addresses, Owners, owners
from tortie.dataplane.policy.nets import net_text
from tortie.dataplane.policy.settings import Action as Deny
from tortie.dataplane.policy.stages import Stage, When, failsafe_ports
from tortie.net import PortRange
from tortie.policy.program import (
    EndpointId,
    Failsafe,
    HostEndpoint,
    Policy,
    PolicyId,
    TierPolicies,
)

FROM_HOST, TO_HOST = ChainName("cali-from-host-endpoint"), ChainName("cali-to-host-endpoint")
FROM_FORWARD, TO_FORWARD = ChainName("cali-from-hep-forward"), ChainName("cali-to-hep-forward")
_GO_ON = "-j RETURN"
# Without these IPv6 finds no neighbour; nothing from beyond the link has a hop limit of 255.
_DISCOVERY = (133, 134, 135, 136)


class _Place(NamedTuple):
    """One direction at one stage: the chain that is asked there, and those it leads to."""

    stage: Stage
    table: str
    base: ChainName
    option: str
    prefix: str


_UNTRACKED_IN = _Place(Stage(When.UNTRACKED, Way.TO), RAW, FROM_HOST, "-i", "cali-fh-")
_UNTRACKED_OUT = _Place(Stage(When.UNTRACKED, Way.FROM), RAW, TO_HOST, "-o", "cali-th-")
_PRE_DNAT = _Place(Stage(When.PRE_DNAT, Way.TO), MANGLE, FROM_HOST, "-i", "cali-fh-")
_FORWARD_IN = _Place(Stage(When.FORWARD, Way.TO), FILTER, FROM_FORWARD, "-i", "cali-fhfw-")
_FORWARD_OUT = _Place(Stage(When.FORWARD, Way.FROM), FILTER, TO_FORWARD, "-o", "cali-thfw-")
_NORMAL_IN = _Place(Stage(When.NORMAL, Way.TO), FILTER, FROM_HOST, "-i", "cali-fh-")
_NORMAL_OUT = _Place(Stage(When.NORMAL, Way.FROM), FILTER, TO_HOST, "-o", "cali-th-")
_PLACES = (
    *(_UNTRACKED_IN, _UNTRACKED_OUT, _PRE_DNAT),
    *(_FORWARD_IN, _FORWARD_OUT, _NORMAL_IN, _NORMAL_OUT),
)


class Hosts(NamedTuple):
    """The node's host endpoints, and the addresses by which some of them are told."""

    hosts: Mapping[EndpointId, HostEndpoint]
    addresses: Addresses


def host_chains(
    known: Hosts,
    policies: Mapping[PolicyId, Policy],
    family: Family,
    settings: IptablesSettings,
) -> list[Chain]:
    """Every chain of host endpoints; without any, the chains that are asked are empty.

    No interface may be `impossible`. Raises Unrenderable for an early policy.
    """
    found = owners(known.hosts, known.addresses, settings)
    dispatch = [
        Chain(one.base, tuple(_dispatch(one, found, settings)), one.table) for one in _PLACES
    ]
    asked = [
        Chain(
            host_chain(place.prefix, one),
            tuple(_asked(known.hosts[one], place, family, settings)),
            place.table,
        )
        for one in _used(found)
        for place in _PLACES
    ]
    silent = replace(settings, deny=Deny.DROP)  # raw and mangle know no REJECT
    early = [
        chain._replace(table=table)
        for table, name in _early_policies(known.hosts[one] for one in _used(found))
        for chain in policy_chains(policies[name], family, silent)
    ]
    return [*early, *asked, *dispatch]


def is_host_chain(table: str, name: str) -> bool:
    """Whether a chain is here because of host endpoints, by its name and table."""
    if name.startswith(("cali-fh-", "cali-th-", "cali-fhfw-", "cali-thfw-")):
        return True
    return table in (RAW, MANGLE) and name.startswith(("cali-pi-", "cali-po-"))


def _used(found: Owners) -> list[EndpointId]:
    """The host endpoints that are some interface's."""
    return sorted({*found.named.values(), *filter(None, [found.every])})


def _early_policies(hosts: Iterable[HostEndpoint]) -> list[tuple[str, PolicyId]]:
    return sorted(
        {
            (table, name)
            for host in hosts
            for table, tiers in (
                (RAW, (*host.untracked.ingress, *host.untracked.egress)),
                (MANGLE, host.pre_dnat.ingress),
            )
            for tier in tiers
            for name in tier.policies
        }
    )


def _dispatch(place: _Place, found: Owners, settings: IptablesSettings) -> Iterator[str]:
    """An interface that is nobody's is not asked; workloads' have chains of their own."""
    for name, one in found.named.items():
        yield f"{place.option} {checked_interface(name)} -g {host_chain(place.prefix, one)}"
    if found.every is not None:
        for prefix in settings.interface_prefixes:
            yield f"{place.option} {prefix}+ -j RETURN"
        # The node's talk with itself goes out and comes in by the loopback, and concerns nobody.
        yield f"{place.option} lo -j RETURN"
        yield f"-g {host_chain(place.prefix, found.every)}"


def _asked(
    host: HostEndpoint, place: _Place, family: Family, settings: IptablesSettings
) -> Iterator[str]:
    """What is asked of a packet of this host endpoint at one stage."""
    stage, tiers = place.stage, place.stage.tiers(host)
    if stage.when is When.FORWARD:
        yield from _forwarded(tiers, stage.way, settings)
    elif stage.when is When.NORMAL:
        yield from _normal(host, stage, family, settings)
    else:
        yield from _early(tiers, stage, family, settings)


def _early(
    tiers: tuple[TierPolicies, ...], stage: Stage, family: Family, settings: IptablesSettings
) -> Iterator[str]:
    """No default action and no profiles: what no rule decides goes on to the next stage."""
    if not tiers:
        return
    untracked, inward = stage.when is When.UNTRACKED, stage.way is Way.TO
    yield clearing(settings.marks.decided)
    yield from _discovery(family)
    if not untracked:
        yield f"{marked(settings.marks.early)} -j RETURN"
        yield f"{ESTABLISHED} -j RETURN"
    safe = settings.failsafes
    yield from _failsafe(stage.failsafes(safe), inward, "--dports", family)
    if untracked:  # the replies, which no tracking tells
        yield from _failsafe(stage.answers(safe), inward, "--sports", family)
    allowed = f"-g {UNTRACKED_CHAIN if untracked else EARLY_CHAIN}"
    for number, tier in enumerate(tiers):
        yield from policies_text(tier, stage.way, settings, is_first=number == 0, allowed=allowed)


def _forwarded(
    tiers: tuple[TierPolicies, ...], way: Way, settings: IptablesSettings
) -> Iterator[str]:
    """Without policy for it, and by Pass out of the last tier, what is forwarded passes."""
    if not tiers:
        return
    yield clearing(settings.marks.decided)
    if way is Way.TO:  # what came in: the bit is its own
        yield f"{marked(settings.marks.early)} -j RETURN"
    yield from _states(settings)
    yield from tiers_text(tiers, way, settings)


def _normal(
    host: HostEndpoint, stage: Stage, family: Family, settings: IptablesSettings
) -> Iterator[str]:
    way, allowed = stage.way, f"-g {ACCEPT_CHAIN}"
    yield clearing(settings.marks.decided)
    yield f"{marked(settings.marks.early)} {allowed}"
    yield from _states(settings, allowed)
    yield from _discovery(family, allowed)
    ports = stage.failsafes(settings.failsafes)
    yield from _failsafe(ports, way is Way.TO, "--dports", family, allowed)
    yield from tiers_text(stage.tiers(host), way, settings)
    yield from profiles_text(host.profiles, way, settings)
    yield denied(settings)


def _states(settings: IptablesSettings, allowed: str = _GO_ON) -> Iterator[str]:
    yield f"{ESTABLISHED} {allowed}"
    if settings.drop_invalid:
        yield "-m conntrack --ctstate INVALID -j DROP"


def _discovery(family: Family, allowed: str = _GO_ON) -> Iterator[str]:
    if family.version == 6:
        for number in _DISCOVERY:
            yield f"-p 58 -m hl --hl-eq 255 -m icmp6 --icmpv6-type {number} {allowed}"


def _failsafe(
    ports: Iterable[Failsafe], inward: bool, option: str, family: Family, allowed: str = _GO_ON
) -> Iterator[str]:
    """Rules that let failsafe ports go on, by default undecided."""
    for (protocol, net), numbers in failsafe_ports(ports, family).items():
        where = "" if net is None else f" {'-s' if inward else '-d'} {net_text(net)}"
        for chunk in chunks(tuple(PortRange(one, one) for one in numbers)):
            yield f"-p {int(protocol)}{where} -m multiport {option} {chunk} {allowed}"
