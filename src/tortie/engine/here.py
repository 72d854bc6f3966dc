"""What the dataplane gets of an endpoint of this node, before anything applies to it."""

import re
from typing import NamedTuple

from tortie.api import Key, WorkloadEndpoint
from tortie.api.calico.host_endpoint import HostEndpoint
from tortie.engine.floating import address_pairs
from tortie.engine.items import Item, Warn, networks
from tortie.engine.limits import host_dscp, programmable
from tortie.kubernetes import names
from tortie.policy import program
from tortie.policy.program import EVERY_INTERFACE, Endpoint, EndpointId

_INTERFACE = re.compile(r"(?!\.{1,2}$)[A-Za-z0-9_.-]{1,15}")
_MAC = re.compile(r"([0-9A-Fa-f]{2}:){5}[0-9A-Fa-f]{2}")


class Customs(NamedTuple):
    """What a node's settings say of its workloads.

    `spoofing`: they may send from the other sources that their endpoints name. `prefix`: what the
    names of pods' interfaces begin with. `floating`: they have floating addresses.
    """

    spoofing: bool = False
    prefix: str = names.INTERFACE_PREFIX
    floating: bool = False


def local_endpoint(
    key: Key, value: WorkloadEndpoint, item: Item, customs: Customs, warn: Warn
) -> Endpoint | None:
    """A workload's; None without an interface."""
    spec = value.spec
    interface = _interface(key, value, customs.prefix)
    if not _INTERFACE.fullmatch(interface):
        found = f"{interface!r} is no interface's name"
        warn(f"{key}: spec.interfaceName: {found}; the endpoint is not programmed")
        return None
    if spec.mac and not _MAC.fullmatch(spec.mac):
        warn(f"{key}: spec.mac: {spec.mac!r} is no MAC address; it is left out")
    sources = spec.allow_spoofed_source_prefixes if customs.spoofing else ()
    return Endpoint(
        id=EndpointId(*key),
        interface=interface,
        addresses=item.nets,
        profiles=item.profiles,
        allowed_sources=networks(key, "spec.allowSpoofedSourcePrefixes", sources, warn),
        mac=spec.mac if _MAC.fullmatch(spec.mac) else None,
        floating=address_pairs(key, value, item, warn) if customs.floating else (),
        qos=spec.qos_controls and programmable(key, spec.qos_controls, warn),
    )


def _interface(key: Key, value: WorkloadEndpoint, prefix: str) -> str:
    """What a Pod became has the usual name, since whoever converted it need not know this node."""
    given, pod, end = value.spec.interface_name, value.spec.pod, value.spec.endpoint
    if pod and given == names.interface_name(key.namespace, pod, endpoint=end):
        return names.interface_name(key.namespace, pod, prefix, end)
    return given


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
        id=EndpointId(*key),
        interface=name,
        addresses=item.nets,
        profiles=item.profiles,
        dscp=host_dscp(key, value, warn),
    )
