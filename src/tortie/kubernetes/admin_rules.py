"""Rules of admin policies of both versions as rules of GlobalNetworkPolicies."""

from collections.abc import Iterable, Sequence
from typing import Literal, NamedTuple

from msgspec.structs import replace

from tortie.api import EntityRule, Rule, RuleMetadata
from tortie.api.kube.admin import AdminEgressPeer, AdminIngressPeer, NamespacedPods
from tortie.api.kube.admin_network_policy import AdminEgressRule, AdminIngressRule
from tortie.api.kube.baseline_admin_network_policy import BaselineEgressRule, BaselineIngressRule
from tortie.api.kube.cluster_network_policy import ClusterEgressRule, ClusterIngressRule
from tortie.api.kube.selector import LooseSelector
from tortie.kubernetes.admin_ports import ports_of_v1alpha1, ports_of_v1alpha2
from tortie.kubernetes.labels import ConversionError, namespaces_selector, pods_selector
from tortie.kubernetes.policies import network
from tortie.kubernetes.ports import Ports, in_pieces

IngressRule = AdminIngressRule | BaselineIngressRule | ClusterIngressRule
EgressRule = AdminEgressRule | BaselineEgressRule | ClusterEgressRule
AnyRule = IngressRule | EgressRule

_ANY = LooseSelector()
_PEER_FIELDS = {
    "namespaces": "namespaces",
    "pods": "pods",
    "nodes": "nodes",
    "networks": "networks",
    "domain_names": "domain names",
}


class Match(NamedTuple):
    """A protocol, None for each, and its ports, () for all."""

    protocol: str | None
    ports: Ports


def convert_rules(field: str, rules: Sequence[AnyRule], warnings: list[str]) -> tuple[Rule, ...]:
    """The rules of one direction in their order; one that can't be converted fails closed."""
    converted: list[Rule] = []
    for number, rule in enumerate(rules):
        try:
            converted.extend(_converted(rule))
        except ConversionError as error:
            instead = _closed(rule)
            converted.extend(instead)
            done = "denies everything" if instead else "is left out"
            warnings.append(f"{field}[{number}]: {error}; the {rule.action} rule {done}")
    return tuple(converted)


def _closed(rule: AnyRule) -> tuple[Rule, ...]:
    """Pass denies too: without it a later rule of the tier could allow what another denies."""
    if _action(rule) == "Allow":
        return ()
    return (Rule(action="Deny", metadata=_notes(rule)),)


def _converted(rule: AnyRule) -> list[Rule]:
    """One rule for each protocol and each peer. Their order does not matter, as all do the same."""
    matches = _matches(rule)
    if isinstance(rule, IngressRule):
        ends = [end for peer in rule.from_ for end in _ends(peer)]
        return [_ingress(rule, match, end) for match in matches for end in ends]
    ends = [end for peer in rule.to for end in _ends(peer)]
    if any(isinstance(port, str) and ":" not in port for _, ports in matches for port in ports):
        _refuse_networks(ends)
    return [_egress(rule, match, end) for match in matches for end in ends]


def _refuse_networks(ends: Iterable[EntityRule]) -> None:
    if any(end.nets for end in ends):
        raise ConversionError("networks have no named ports")


def _ingress(rule: AnyRule, match: Match, source: EntityRule) -> Rule:
    return Rule(
        action=_action(rule),
        protocol=match.protocol,
        source=source,
        destination=EntityRule(ports=match.ports) if match.ports else None,
        metadata=_notes(rule),
    )


def _egress(rule: AnyRule, match: Match, destination: EntityRule) -> Rule:
    return Rule(
        action=_action(rule),
        protocol=match.protocol,
        destination=replace(destination, ports=match.ports),
        metadata=_notes(rule),
    )


def _action(rule: AnyRule) -> Literal["Allow", "Deny", "Pass"]:
    return "Allow" if rule.action == "Accept" else rule.action


def _notes(rule: AnyRule) -> RuleMetadata | None:
    return RuleMetadata(annotations={"name": rule.name}) if rule.name else None


def _matches(rule: AnyRule) -> list[Match]:
    if isinstance(rule, ClusterIngressRule | ClusterEgressRule):
        found = ports_of_v1alpha2(rule.protocols)
    else:
        found = ports_of_v1alpha1(rule.ports)
    pieces = [Match(protocol, piece) for protocol in found for piece in in_pieces(found[protocol])]
    return pieces or [Match(None, ())]


def _ends(peer: AdminIngressPeer) -> list[EntityRule]:
    """Whom a peer stands for. Raises ConversionError where nothing here can tell."""
    given = [field for field in _PEER_FIELDS if getattr(peer, field, None) not in (None, ())]
    if len(given) != 1:
        raise ConversionError("a peer needs exactly one field, of those that are known here")
    match peer:
        case AdminEgressPeer(networks=networks) if networks:
            return _networks(networks)
        case AdminIngressPeer(pods=pods) if pods is not None:
            return [_pods(pods)]
        case AdminIngressPeer(namespaces=namespaces) if namespaces is not None:
            return [_pods(NamespacedPods(namespace_selector=namespaces, pod_selector=_ANY))]
    raise ConversionError(f"{_PEER_FIELDS[given[0]]} can't be matched")


def _pods(pods: NamespacedPods) -> EntityRule:
    return EntityRule(
        selector=pods_selector(pods.pod_selector),
        namespace_selector=namespaces_selector(pods.namespace_selector or _ANY),
    )


def _networks(texts: Iterable[str]) -> list[EntityRule]:
    """By family, since a rule speaks of one."""
    found = [network(text) for text in texts]
    four = tuple(net for net in found if ":" not in net)
    six = tuple(net for net in found if ":" in net)
    return [EntityRule(nets=nets) for nets in (four, six) if nets]
