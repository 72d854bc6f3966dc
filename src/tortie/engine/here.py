"""What the dataplane gets of an endpoint of this node, before anything applies to it."""

import re

from tortie.api import Key, WorkloadEndpoint
from tortie.api.calico.host_endpoint import HostEndpoint
from tortie.engine.items import Item, Warn, networks
from tortie.net import Prefix, parse_prefix
from tortie.policy import program
from tortie.policy.program import EVERY_INTERFACE, AddressPair, Endpoint, EndpointId

_INTERFACE = re.compile(r"(?!\.{1,2}$)[A-Za-z0-9_.-]{1,15}")
_MAC = re.compile(r"([0-9A-Fa-f]{2}:){5}[0-9A-Fa-f]{2}")


def local_endpoint(
    key: Key, value: WorkloadEndpoint, item: Item, *, spoofing: bool, warn: Warn
) -> Endpoint | None:
    """A workload's; None without an interface. Other sources than its own need `spoofing`."""
    spec = value.spec
    if not _INTERFACE.fullmatch(spec.interface_name):
        found = f"{spec.interface_name!r} is no interface's name"
        warn(f"{key}: spec.interfaceName: {found}; the endpoint is not programmed")
        return None
    if spec.mac and not _MAC.fullmatch(spec.mac):
        warn(f"{key}: spec.mac: {spec.mac!r} is no MAC address; it is left out")
    sources = spec.allow_spoofed_source_prefixes if spoofing else ()
    return Endpoint(
        id=EndpointId(*key),
        interface=spec.interface_name,
        addresses=item.nets,
        profiles=item.profiles,
        allowed_sources=networks(key, "spec.allowSpoofedSourcePrefixes", sources, warn),
        mac=spec.mac if _MAC.fullmatch(spec.mac) else None,
        floating=_floating(key, value, item, warn) if spec.ip_nats else (),
        qos=spec.qos_controls,
    )


def local_host_endpoint(
    key: Key, value: HostEndpoint, item: Item, warn: Warn
) -> program.HostEndpoint | None:
    """A host's; None where it can't be any interface's."""
    name = value.spec.interface_name
    problem = ""
    if name and name != EVERY_INTERFACE and not _INTERFACE.fullmatch(name):
        problem = f"spec.interfaceName: {name!r} is no interface's name"
    elif not name and not item.nets:
        problem = "spec: neither an interface nor an address that can be read"
    if problem:
        warn(f"{key}: {problem}; it applies to nothing")
        return None
    return program.HostEndpoint(
        id=EndpointId(*key), interface=name, addresses=item.nets, profiles=item.profiles
    )


def _floating(key: Key, value: WorkloadEndpoint, item: Item, warn: Warn) -> tuple[AddressPair, ...]:
    """Pairs that lead to an address that the workload really has."""
    found = []
    for nat in value.spec.ip_nats:
        try:
            floating, own = _single(nat.external_ip), _single(nat.internal_ip)
        except ValueError as error:
            warn(f"{key}: spec.ipNATs: {error}; it is left out")
            continue
        if floating.version == own.version and own in item.nets:
            found.append(AddressPair(floating, own))
        else:
            warn(f"{key}: spec.ipNATs: {own} is no address of it for {floating}; it is left out")
    return tuple(dict.fromkeys(found))


def _single(text: str) -> Prefix:
    found = parse_prefix(text)
    if not found.is_single:
        raise ValueError(f"{text!r} is more than one address")
    return found
