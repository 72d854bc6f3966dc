"""Resources of the benchmarks' clusters, made as they are needed."""

from collections.abc import Iterator, Mapping
from itertools import islice

from tortie.api import (
    EntityRule,
    GlobalNetworkPolicy,
    GlobalNetworkPolicySpec,
    Key,
    ObjectMeta,
    Profile,
    ProfileSpec,
    Resource,
    Rule,
    WorkloadEndpoint,
    WorkloadEndpointSpec,
)
from tortie.net import format_address

HERE = "here"  # the node whose desired state is worked out
BATCH = 1000

Update = tuple[Key, Resource | None]


def endpoint(number: int, node: str, namespace: str, labels: dict[str, str]) -> WorkloadEndpoint:
    """The endpoint of a pod with the address that its number gives."""
    return WorkloadEndpoint(
        metadata=ObjectMeta(
            name=f"{node}-k8s-pod--{number}-eth0", namespace=namespace, labels=labels
        ),
        spec=WorkloadEndpointSpec(
            node=node,
            orchestrator="k8s",
            ip_networks=(f"{format_address(4, 0x0A000000 + number)}/32",),
            interface_name=f"cali{number}",
            profiles=(f"kns.{namespace}",),
        ),
    )


def namespace_profile(namespace: str, labels: Mapping[str, str]) -> Profile:
    """The profile that a namespace's labels come by."""
    allow = (Rule(action="Allow"),)
    applied = {f"pcns.{key}": value for key, value in labels.items()}
    applied["pcns.projectcalico.org/name"] = namespace
    spec = ProfileSpec(ingress=allow, egress=allow, labels_to_apply=applied)
    return Profile(metadata=ObjectMeta(name=f"kns.{namespace}"), spec=spec)


def global_policy(name: str, order: float, selector: str, *sources: str) -> GlobalNetworkPolicy:
    """A policy that allows TCP from each of these selectors."""
    allow = [
        Rule(
            action="Allow",
            protocol="TCP",
            source=EntityRule(selector=source),
            destination=EntityRule(ports=(80 + n,)),
        )
        for n, source in enumerate(sources)
    ]
    return GlobalNetworkPolicy(
        metadata=ObjectMeta(name=name),
        spec=GlobalNetworkPolicySpec(
            order=order, selector=selector, ingress=tuple(allow), types=("Ingress",)
        ),
    )


def batches(resources: Iterator[Resource]) -> Iterator[list[Update]]:
    """As sync hands them over; only the engine keeps any."""
    while found := list(islice(resources, BATCH)):
        yield [(each.key, each) for each in found]
