"""Verdicts straight from resources and labels, with no index, no sets and no lowering.

Slow and plain on purpose: every question is asked of every object, every time. It shares with the
engine only the selector language and the parsing of addresses.
"""

from dataclasses import dataclass

from tortie.api import EntityRule, Key, Resource, Rule
from tortie.net import parse_network, parse_port_range, parse_protocol
from tortie.net.protocols import TCP
from tortie.policy import Packet, Path
from tortie.policy.packet import End, destination_of, source_of
from tortie.selectors import parse

Resources = dict[Key, Resource]
FIXED_TIERS = {"default": (1_000_000, "Deny"), "kube-admin": (1_000, "Pass")}


@dataclass
class Thing:
    """An endpoint or network set with its labels in effect."""

    namespace: str
    labels: dict[str, str]
    nets: list
    ports: tuple = ()


FAILSAFE_TCP = [179, 2379, 2380, 5473, 6443, 6666, 6667]
FAILSAFES = {
    "ingress": {(17, 68), (6, 22), *((6, port) for port in FAILSAFE_TCP)},
    "egress": {(17, 53), (17, 67), *((6, port) for port in FAILSAFE_TCP)},
}


def allowed(resources: Resources, packet: Packet) -> bool:
    """Whether both ends of the packet, and the host endpoints on its way, allow it."""
    things = things_of(resources)
    hosts = (("ingress", packet.entered), ("egress", packet.left))
    for direction, key in hosts:
        if key is not None and not host_allows(resources, things, packet, direction, Key(*key)):
            return False
    if packet.path is Path.FROM_HOST:
        return True
    sides = (("egress", packet.source_endpoint), ("ingress", packet.destination_endpoint))
    if packet.source_endpoint is not None:
        own = [parse_network(t) for t in resources[packet.source_endpoint].spec.ip_networks]
        if source_of(packet).host not in own:
            return False
    return all(
        side_allows(resources, things, packet, direction, Key(*endpoint))
        for direction, endpoint in sides
        if endpoint is not None
    )


def things_of(resources: Resources) -> dict[Key, Thing]:
    found = {}
    for key, value in resources.items():
        if key.kind == "WorkloadEndpoint":
            spec = value.spec
            labels = {}
            for name in reversed(spec.profiles):
                profile = resources.get(Key("Profile", "", name))
                labels |= profile.spec.labels_to_apply if profile else {}
            labels |= value.metadata.labels
            labels["projectcalico.org/namespace"] = key.namespace
            labels["projectcalico.org/orchestrator"] = spec.orchestrator
            if spec.service_account_name:
                labels["projectcalico.org/serviceaccount"] = spec.service_account_name
            nets = [parse_network(text) for text in spec.ip_networks]
            found[key] = Thing(key.namespace, labels, nets, spec.ports)
        elif key.kind == "HostEndpoint":
            labels = {}
            for name in reversed(value.spec.profiles):
                profile = resources.get(Key("Profile", "", name))
                labels |= profile.spec.labels_to_apply if profile else {}
            nets = [parse_network(text) for text in value.spec.expected_ips]
            found[key] = Thing("", labels | value.metadata.labels, nets, value.spec.ports)
        elif key.kind in ("NetworkSet", "GlobalNetworkSet"):
            labels = dict(value.metadata.labels)
            if key.namespace:
                profile = resources.get(Key("Profile", "", f"kns.{key.namespace}"))
                labels = {**(profile.spec.labels_to_apply if profile else {}), **labels}
                labels["projectcalico.org/namespace"] = key.namespace
            found[key] = Thing(key.namespace, labels, [parse_network(n) for n in value.spec.nets])
    return found


def namespace_matches(thing: Thing, selector: str) -> bool:
    if selector == "global()":
        return not thing.namespace
    if selector == "all()":
        return bool(thing.namespace)
    return parse(selector).matches(without(thing.labels, "pcns."))


def account_matches(thing: Thing, selector: str) -> bool:
    return parse(selector).matches(without(thing.labels, "pcsa."))


def without(labels: dict[str, str], prefix: str) -> dict[str, str]:
    return {k.removeprefix(prefix): v for k, v in labels.items() if k.startswith(prefix)}


def side_allows(
    resources: Resources, things: dict[Key, Thing], packet: Packet, direction: str, key: Key
) -> bool:
    return ends_in_allow(resources, things, packet, direction, key, "workload")


def host_allows(resources, things, packet: Packet, direction: str, key: Key) -> bool:
    before = packet.before_nat
    early = ["untracked"] if direction == "ingress" or packet.path is Path.FROM_HOST else []
    early += ["pre-dnat"] if direction == "ingress" else []
    for place in early:
        if is_failsafe(before, direction, place):
            continue
        for _, policies in tiers_of(resources, things[key], direction, place):
            verdict = walk(resources, things, before, direction, policies)
            if verdict in ("Allow", "Deny"):
                return verdict == "Allow"
    if packet.path is Path.FORWARD:
        for action, policies in tiers_of(resources, things[key], direction, "forward"):
            verdict = walk(resources, things, packet, direction, policies) or action
            if verdict in ("Allow", "Deny"):
                return verdict == "Allow"
        return True
    if is_failsafe(packet, direction, "normal"):
        return True
    return ends_in_allow(resources, things, packet, direction, key, "normal")


def is_failsafe(packet: Packet, direction: str, place: str) -> bool:
    other = "egress" if direction == "ingress" else "ingress"
    is_reply = (packet.protocol, packet.source_port) in FAILSAFES[other]
    return (packet.protocol, packet.destination_port) in FAILSAFES[direction] or (
        place == "untracked" and is_reply
    )


def ends_in_allow(resources, things, packet, direction: str, key: Key, place: str) -> bool:
    """Tiers, then profiles, then no."""
    for action, policies in tiers_of(resources, things[key], direction, place):
        verdict = walk(resources, things, packet, direction, policies) or action
        if verdict in ("Allow", "Deny"):
            return verdict == "Allow"
    for name in resources[key].spec.profiles:
        profile = resources.get(Key("Profile", "", name))
        verdict = profile and walk(resources, things, packet, direction, [("", profile)])
        if verdict in ("Allow", "Deny"):
            return verdict == "Allow"
    return False


def walk(resources, things, packet, direction, policies) -> str | None:
    for namespace, policy in policies:
        for rule in getattr(policy.spec, direction):
            if (
                rule.action != "Log"
                and rule.http is None
                and service_matches(resources, packet, rule, namespace, direction)
                and rule_matches(things, packet, rule, namespace)
            ):
                return rule.action
    return None


def service_matches(resources, packet, rule: Rule, namespace: str, direction: str) -> bool:
    """Ingress: from an address behind the service; egress: to an address and port behind it."""
    peer, end = (
        (rule.source, source_of(packet))
        if direction == "ingress"
        else (rule.destination, destination_of(packet))
    )
    if peer is None or peer.services is None:
        return True
    wanted = (peer.services.namespace or namespace, peer.services.name)
    for key, piece in resources.items():
        if key.kind == "EndpointSlice" and (key.namespace, piece.service) == wanted:
            nets = [parse_network(a) for each in piece.endpoints for a in each.addresses]
            ports = {(parse_protocol(p.protocol or "TCP"), p.port) for p in piece.ports}
            if end.host in nets and (direction == "ingress" or (end.protocol, end.port) in ports):
                return True
    return False


def tiers_of(
    resources: Resources, endpoint: Thing, direction: str, place: str
) -> list[tuple[str, list]]:
    by_tier: dict[str, list] = {}
    for key, policy in resources.items():
        if (
            key.kind.endswith("NetworkPolicy")
            and is_for(policy.spec, place)
            and applies(key, policy, endpoint, direction)
        ):
            by_tier.setdefault(policy.spec.tier, []).append((key, policy))

    def place(name: str):
        if name in FIXED_TIERS:
            return (0, FIXED_TIERS[name][0], name), FIXED_TIERS[name][1]
        tier = resources.get(Key("Tier", "", name))
        if tier is None:
            return (1, 0, name), "Deny"
        return (0, infinite(tier.spec.order), name), tier.spec.default_action

    return [
        (place(name)[1], [(key.namespace, policy) for key, policy in sorted(found, key=turn)])
        for name, found in sorted(by_tier.items(), key=lambda item: place(item[0])[0])
    ]


def turn(found: tuple[Key, Resource]):
    key, policy = found
    return infinite(policy.spec.order), f"{key.name}/{key.namespace}/{key.kind}"


def infinite(order: float | None) -> float:
    return float("inf") if order is None else order


def is_for(spec, place: str) -> bool:
    """Whether a policy has a say at this place of a packet's way."""
    if getattr(spec, "do_not_track", False):
        return place == "untracked"
    if getattr(spec, "pre_dnat", False):
        return place == "pre-dnat"
    if place == "forward":
        return getattr(spec, "apply_on_forward", False)
    return place in ("workload", "normal")


def applies(key: Key, policy: Resource, endpoint: Thing, direction: str) -> bool:
    spec = policy.spec
    types = [t.lower() for t in spec.types]
    if not types:
        types = (["ingress"] if spec.ingress or not spec.egress else []) + (
            ["egress"] if spec.egress else []
        )
    if direction not in types:
        return False
    if key.namespace and endpoint.namespace != key.namespace:
        return False
    namespaces = getattr(spec, "namespace_selector", "")
    if namespaces and not namespace_matches(endpoint, namespaces):
        return False
    accounts = spec.service_account_selector
    if accounts and not account_matches(endpoint, accounts):
        return False
    return not spec.selector or parse(spec.selector).matches(endpoint.labels)


def rule_matches(things: dict[Key, Thing], packet: Packet, rule: Rule, namespace: str) -> bool:
    peers = (rule.source or EntityRule(), rule.destination or EntityRule())
    families = {parse_network(n).version for peer in peers for n in (*peer.nets, *peer.not_nets)}
    protocol = None if rule.protocol is None else parse_protocol(rule.protocol)
    return (
        rule.ip_version in (None, packet.version)
        and families <= {packet.version}
        and protocol in (None, packet.protocol)
        and (rule.not_protocol is None or parse_protocol(rule.not_protocol) != packet.protocol)
        and (rule.icmp is None or is_icmp(rule.icmp, packet))
        and (rule.not_icmp is None or (packet.version == 4 and not is_icmp(rule.not_icmp, packet)))
        and peer_matches(things, peers[0], source_of(packet), namespace, protocol)
        and peer_matches(things, peers[1], destination_of(packet), namespace, protocol)
    )


def is_icmp(match, packet: Packet) -> bool:
    return packet.version == 4 and (match.type, match.code) in (
        (packet.icmp_type, None),
        (packet.icmp_type, packet.icmp_code),
    )


def peer_matches(things, peer: EntityRule, end: End, namespace: str, protocol) -> bool:
    here = [t for t in things.values() if any(net.contains(end.host) for net in t.nets)]
    chosen = [t for t in here if selected(t, peer, namespace)]
    limited = any((peer.selector, peer.namespace_selector, restricts(peer.service_accounts)))
    limited = limited or bool(namespace and peer.not_selector)
    if limited and not chosen:
        return False
    if peer.not_selector and any(parse(peer.not_selector).matches(t.labels) for t in here):
        return False
    if peer.nets and not any(parse_network(n).contains(end.host) for n in peer.nets):
        return False
    if any(parse_network(n).contains(end.host) for n in peer.not_nets):
        return False
    named = chosen if limited else here
    if peer.ports and not any(port_is(p, end, named, protocol) for p in peer.ports):
        return False
    return not any(port_is(p, end, named, protocol) for p in peer.not_ports)


def restricts(accounts) -> bool:
    return accounts is not None and bool(accounts.names or accounts.selector)


def selected(thing: Thing, peer: EntityRule, namespace: str) -> bool:
    if peer.namespace_selector:
        if not namespace_matches(thing, peer.namespace_selector):
            return False
    elif namespace and thing.namespace != namespace:
        return False
    if peer.selector and not parse(peer.selector).matches(thing.labels):
        return False
    accounts = peer.service_accounts
    if accounts is None:
        return True
    if accounts.names and (
        thing.labels.get("projectcalico.org/serviceaccount") not in accounts.names
    ):
        return False
    return not accounts.selector or account_matches(thing, accounts.selector)


def port_is(port: int | str, end: End, named: list[Thing], protocol: int | None) -> bool:
    text = str(port)
    if text.isdigit() or ":" in text:
        return end.port is not None and end.port in parse_port_range(text)
    return end.protocol == (protocol or TCP) and any(
        (p.name, parse_protocol(p.protocol), p.port) == (text, end.protocol, end.port)
        for thing in named
        for p in thing.ports
    )
