"""What carries labels: endpoints of workloads and hosts of the whole cluster, and network sets.

A cluster has hundreds of thousands of them and a node is interested in a few hundred, so an item
keeps only what selectors and sets need: its own labels, the profiles that it inherits labels
from, its networks and its named ports.
"""

from collections.abc import Callable, Iterable, Mapping
from itertools import chain
from sys import intern
from typing import NamedTuple

from tortie.api import GlobalNetworkSet, Key, NetworkSet, WorkloadEndpoint
from tortie.api.calico.host_endpoint import HostEndpoint
from tortie.kubernetes.names import (
    NAMESPACE_LABEL,
    NAMESPACE_PREFIX,
    ORCHESTRATOR_LABEL,
    SERVICE_ACCOUNT_LABEL,
    SERVICE_ACCOUNT_PREFIX,
    namespace_profile,
)
from tortie.net import Prefix, parse_prefix, parse_protocol, unmapped

Warn = Callable[[str], None]
_LABEL_LENGTH = 63  # Kubernetes' limit of a label's value
_GIVEN = frozenset((NAMESPACE_LABEL, ORCHESTRATOR_LABEL, SERVICE_ACCOUNT_LABEL))
_INHERITED = (NAMESPACE_PREFIX, SERVICE_ACCOUNT_PREFIX)


class NamedPort(NamedTuple):
    """A port that rules may name."""

    name: str
    protocol: int
    port: int


class Item(NamedTuple):
    """An endpoint or network set. `labels` are its own, as key, value, key, value…"""

    labels: tuple[str, ...]
    profiles: tuple[str, ...]
    nets: tuple[Prefix, ...]
    ports: tuple[NamedPort, ...] = ()


def item_of_endpoint(key: Key, value: WorkloadEndpoint, warn: Warn) -> Item:
    """A workload endpoint, local or remote. What can't be read is left out, with a warning."""
    spec = value.spec
    own = _claimable(value.metadata.labels)
    own[NAMESPACE_LABEL] = key.namespace
    if spec.orchestrator:
        own[ORCHESTRATOR_LABEL] = spec.orchestrator
    if spec.service_account_name and len(spec.service_account_name) < _LABEL_LENGTH:
        own[SERVICE_ACCOUNT_LABEL] = spec.service_account_name
    return Item(
        _flat(own),
        tuple([intern(name) for name in spec.profiles]),
        _addresses(key, "spec.ipNetworks", spec.ip_networks, warn),
        _ports(key, value, warn) if spec.ports else (),
    )


def item_of_host_endpoint(key: Key, value: HostEndpoint, warn: Warn) -> Item:
    """A host endpoint, local or remote; it is in no namespace, whatever it claims."""
    return Item(
        _flat(_claimable(value.metadata.labels)),
        tuple([intern(name) for name in value.spec.profiles]),
        _addresses(key, "spec.expectedIPs", value.spec.expected_ips, warn),
        _ports(key, value, warn) if value.spec.ports else (),
    )


def item_of_network_set(key: Key, value: NetworkSet | GlobalNetworkSet, warn: Warn) -> Item:
    """A network set; one of a namespace has the namespace's labels, as its endpoints have."""
    own = _claimable(value.metadata.labels)
    profiles: tuple[str, ...] = ()
    if key.namespace:
        own[NAMESPACE_LABEL] = key.namespace
        profiles = (intern(namespace_profile(key.namespace)),)
    return Item(_flat(own), profiles, networks(key, "spec.nets", value.spec.nets, warn))


def effective_labels(item: Item, inherited: Mapping[str, Mapping[str, str]]) -> dict[str, str]:
    """An item's labels with those of its profiles below; the first profile named wins."""
    found = [labels for name in item.profiles if (labels := inherited.get(name))]
    merged: dict[str, str] = {}
    for labels in reversed(found):
        merged.update(labels)
    merged.update(zip(item.labels[::2], item.labels[1::2], strict=True))
    return merged


def _claimable(labels: Mapping[str, str]) -> dict[str, str]:
    """The labels that an object may give itself.

    Where it is, and as whom it runs, follow from its key, its spec and its profiles: whoever may
    make a pod could pose as one of another namespace otherwise.
    """
    return {
        key: value
        for key, value in labels.items()
        if key not in _GIVEN and not key.startswith(_INHERITED)
    }


def _flat(labels: Mapping[str, str]) -> tuple[str, ...]:
    """Interned, since the same few strings come hundreds of thousands of times."""
    return tuple(map(intern, chain.from_iterable(labels.items())))


def _addresses(key: Key, field: str, texts: tuple[str, ...], warn: Warn) -> tuple[Prefix, ...]:
    """Single addresses only: a workload that owned a whole network could pose as its neighbours."""
    found = networks(key, field, texts, warn)
    if all(net.is_single for net in found):
        return found
    wide = ", ".join(str(net) for net in found if not net.is_single)
    warn(f"{key}: {field}: {wide} is more than one address; it is left out")
    return tuple([net for net in found if net.is_single])


def networks(key: Key, field: str, texts: Iterable[str], warn: Warn) -> tuple[Prefix, ...]:
    """The networks of a field, each once; what can't be read is left out, with a warning."""
    found = []
    for text in texts:
        try:
            prefix = unmapped(parse_prefix(text))
            found.append(prefix if prefix.is_single else prefix.network)
        except ValueError as error:
            warn(f"{key}: {field}: {error}; it is left out")
    return tuple(dict.fromkeys(found)) if len(found) > 1 else tuple(found)


def _ports(key: Key, value: WorkloadEndpoint | HostEndpoint, warn: Warn) -> tuple[NamedPort, ...]:
    found = []
    for port in value.spec.ports:
        try:
            if port.name:
                found.append(NamedPort(intern(port.name), parse_protocol(port.protocol), port.port))
        except ValueError as error:
            warn(f"{key}: spec.ports: {error}; port {port.name!r} is left out")
    return tuple(dict.fromkeys(found))
