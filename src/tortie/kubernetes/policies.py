"""Kubernetes NetworkPolicies as NetworkPolicies of the tier "default"."""

from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeVar

from tortie.api import (
    EgressRule,
    EntityRule,
    IngressRule,
    KubernetesNetworkPolicy,
    NetworkPolicy,
    NetworkPolicyPeer,
    NetworkPolicyPort,
    NetworkPolicySpec,
    ObjectMeta,
    Rule,
)
from tortie.kubernetes.labels import PODS, ConversionError, namespaces_selector, pods_selector
from tortie.kubernetes.names import converted_uid
from tortie.kubernetes.ports import Ports, in_pieces, ports_by_protocol
from tortie.net import parse_network

ORDER = 1000.0
T = TypeVar("T", IngressRule, EgressRule)


class Product(NamedTuple):
    """One rule of the product protocols x peers, before its direction is known."""

    protocol: str | None
    ports: Ports
    peer: EntityRule


def convert_policy(
    policy: KubernetesNetworkPolicy,
) -> tuple[NetworkPolicy, tuple[str, ...]]:
    """The equivalent policy, and a warning for each part that has none.

    It fails closed: rules only ever allow, so one that can't be converted is left out; where the
    choice of pods can't be, the policy applies to all pods of the namespace and allows nothing.
    """
    warnings: list[str] = []
    ingress = _rules("ingress", policy.spec.ingress, _ingress, warnings)
    egress = _rules("egress", policy.spec.egress, _egress, warnings)
    try:
        selector = pods_selector(policy.spec.pod_selector)
    except ConversionError as error:
        warnings.append(f"podSelector: {error}; no pod of the namespace is allowed anything")
        selector, ingress, egress = PODS, (), ()
    spec = NetworkPolicySpec(
        order=ORDER, selector=selector, ingress=ingress, egress=egress, types=policy.spec.directions
    )
    name = "/".join((policy.metadata.namespace, policy.metadata.name))
    said = tuple(f"Kubernetes NetworkPolicy {name}: {warning}" for warning in warnings)
    return NetworkPolicy(metadata=metadata_of(policy.metadata), spec=spec), said


def metadata_of(source: ObjectMeta) -> ObjectMeta:
    """The metadata of a policy that stands for another."""
    return ObjectMeta(
        name=source.name,
        namespace=source.namespace,
        uid=converted_uid(source.uid),
        resource_version=source.resource_version,
        creation_timestamp=source.creation_timestamp,
    )


def _rules(
    field: str,
    rules: Sequence[T],
    convert: Callable[[T], tuple[Rule, ...]],
    warnings: list[str],
) -> tuple[Rule, ...]:
    converted: list[Rule] = []
    for number, rule in enumerate(rules):
        try:
            converted.extend(convert(rule))
        except ConversionError as error:
            warnings.append(f"{field}[{number}]: {error}; the rule is left out")
    return tuple(converted)


def _ingress(rule: IngressRule) -> tuple[Rule, ...]:
    return tuple(
        Rule(
            action="Allow",
            protocol=protocol,
            source=peer,
            destination=EntityRule(ports=ports) if ports else None,
        )
        for protocol, ports, peer in _product(rule.ports, rule.from_)
    )


def _egress(rule: EgressRule) -> tuple[Rule, ...]:
    return tuple(
        Rule(
            action="Allow",
            protocol=protocol,
            destination=EntityRule(
                nets=peer.nets,
                not_nets=peer.not_nets,
                selector=peer.selector,
                namespace_selector=peer.namespace_selector,
                ports=ports,
            ),
        )
        for protocol, ports, peer in _product(rule.ports, rule.to)
    )


def _product(
    ports: Sequence[NetworkPolicyPort], peers: Sequence[NetworkPolicyPeer]
) -> list[Product]:
    """No ports: every protocol. No peers: everybody."""
    protocols: list[tuple[str | None, Ports]] = [*ports_by_protocol(ports).items()]
    ends = [_peer(peer) for peer in peers]
    return [
        Product(protocol, piece, end)
        for protocol, found in protocols or [(None, ())]
        for piece in in_pieces(found)
        for end in ends or [EntityRule()]
    ]


def _peer(peer: NetworkPolicyPeer) -> EntityRule:
    if peer.ip_block is not None:
        if peer.pod_selector is not None or peer.namespace_selector is not None:
            raise ConversionError("a peer has an ipBlock and a selector")
        return EntityRule(
            nets=(network(peer.ip_block.cidr),),
            not_nets=tuple(dict.fromkeys(network(net) for net in peer.ip_block.except_)),
        )
    if peer.pod_selector is None and peer.namespace_selector is None:
        raise ConversionError("a peer is empty: it matches nobody")
    return EntityRule(
        selector=pods_selector(peer.pod_selector),
        namespace_selector=namespaces_selector(peer.namespace_selector),
    )


def network(text: str) -> str:
    """A CIDR with its host bits zero. Raises ConversionError."""
    try:
        return str(parse_network(text))
    except ValueError as error:
        raise ConversionError(str(error)) from None
