"""What carries labels: endpoints of the whole cluster, and network sets, as small values.

A cluster has hundreds of thousands of them and a node is interested in a few hundred, so an item
keeps only what selectors and sets need: its own labels, the profiles that it inherits labels
from, its networks and its named ports.
"""

import re
from collections.abc import Callable, Mapping
from itertools import chain
from sys import intern
from typing import NamedTuple

from tortie.api import GlobalNetworkSet, Key, NetworkSet, WorkloadEndpoint
from tortie.kubernetes.names import (
    NAMESPACE_LABEL,
    ORCHESTRATOR_LABEL,
    SERVICE_ACCOUNT_LABEL,
    namespace_profile,
)
from tortie.net import Prefix, parse_prefix, parse_protocol
from tortie.policy.program import Endpoint, EndpointId

Warn = Callable[[str], None]
_INTERFACE = re.compile(r"(?!\.{1,2}$)[A-Za-z0-9_.-]{1,15}")
_MAC = re.compile(r"([0-9A-Fa-f]{2}:){5}[0-9A-Fa-f]{2}")
_LABEL_LENGTH = 63  # Kubernetes' limit of a label's value


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
    own = dict(value.metadata.labels)
    own[NAMESPACE_LABEL] = key.namespace  # never what the object claims
    if spec.orchestrator:
        own[ORCHESTRATOR_LABEL] = spec.orchestrator
    if spec.service_account_name and len(spec.service_account_name) < _LABEL_LENGTH:
        own[SERVICE_ACCOUNT_LABEL] = spec.service_account_name
    return Item(
        _flat(own),
        tuple([intern(name) for name in spec.profiles]),
        _addresses(key, spec.ip_networks, warn),
        _ports(key, value, warn) if spec.ports else (),
    )


def item_of_network_set(key: Key, value: NetworkSet | GlobalNetworkSet, warn: Warn) -> Item:
    """A network set; one of a namespace has the namespace's labels, as its endpoints have."""
    own = dict(value.metadata.labels)
    own.pop(NAMESPACE_LABEL, None)
    profiles: tuple[str, ...] = ()
    if key.namespace:
        own[NAMESPACE_LABEL] = key.namespace
        profiles = (intern(namespace_profile(key.namespace)),)
    return Item(_flat(own), profiles, _networks(key, "spec.nets", value.spec.nets, warn))


def effective_labels(item: Item, inherited: Mapping[str, Mapping[str, str]]) -> dict[str, str]:
    """An item's labels with those of its profiles below; the first profile named wins."""
    found = [labels for name in item.profiles if (labels := inherited.get(name))]
    merged: dict[str, str] = {}
    for labels in reversed(found):
        merged.update(labels)
    merged.update(zip(item.labels[::2], item.labels[1::2], strict=True))
    return merged


def local_endpoint(key: Key, value: WorkloadEndpoint, item: Item, warn: Warn) -> Endpoint | None:
    """What the dataplane gets of a local endpoint, no tiers yet; None without an interface."""
    spec = value.spec
    if not _INTERFACE.fullmatch(spec.interface_name):
        found = f"{spec.interface_name!r} is no interface's name"
        warn(f"{key}: spec.interfaceName: {found}; the endpoint is not programmed")
        return None
    if spec.mac and not _MAC.fullmatch(spec.mac):
        warn(f"{key}: spec.mac: {spec.mac!r} is no MAC address; it is left out")
    return Endpoint(
        id=EndpointId(*key),
        interface=spec.interface_name,
        addresses=item.nets,
        profiles=item.profiles,
        mac=spec.mac if _MAC.fullmatch(spec.mac) else None,
    )


def _flat(labels: Mapping[str, str]) -> tuple[str, ...]:
    """Interned, since the same few strings come hundreds of thousands of times."""
    return tuple(map(intern, chain.from_iterable(labels.items())))


def _addresses(key: Key, texts: tuple[str, ...], warn: Warn) -> tuple[Prefix, ...]:
    """Single addresses only: a workload that owned a whole network could pose as its neighbours."""
    found = _networks(key, "spec.ipNetworks", texts, warn)
    if all(net.is_single for net in found):
        return found
    wide = ", ".join(str(net) for net in found if not net.is_single)
    warn(f"{key}: spec.ipNetworks: {wide} is more than one address; it is left out")
    return tuple([net for net in found if net.is_single])


def _networks(key: Key, field: str, texts: tuple[str, ...], warn: Warn) -> tuple[Prefix, ...]:
    found = []
    for text in texts:
        try:
            prefix = parse_prefix(text)
            found.append(prefix if prefix.is_single else prefix.network)
        except ValueError as error:
            warn(f"{key}: {field}: {error}; it is left out")
    return tuple(dict.fromkeys(found)) if len(found) > 1 else tuple(found)


def _ports(key: Key, value: WorkloadEndpoint, warn: Warn) -> tuple[NamedPort, ...]:
    found = []
    for port in value.spec.ports:
        try:
            if port.name:
                found.append(NamedPort(intern(port.name), parse_protocol(port.protocol), port.port))
        except ValueError as error:
            warn(f"{key}: spec.ports: {error}; port {port.name!r} is left out")
    return tuple(dict.fromkeys(found))
