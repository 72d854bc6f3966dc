"""Which host endpoint each interface of the node is. Pure."""

from collections.abc import Mapping
from typing import NamedTuple

from tortie.dataplane.policy.names import UnsafeName, checked_interface
from tortie.dataplane.policy.settings import PolicySettings
from tortie.net import Prefix
from tortie.policy import Program, host_endpoint_of
from tortie.policy.program import (
    EVERY_INTERFACE,
    DefaultAction,
    EndpointId,
    HostEndpoint,
    TierPolicies,
    Tiers,
)

Addresses = Mapping[str, frozenset[Prefix]]  # of the node's interfaces, by name


class Owners(NamedTuple):
    """Which host endpoint each interface is; `every` is that of all others, if there is one."""

    named: Mapping[str, EndpointId]
    every: EndpointId | None


def owners(
    hosts: Mapping[EndpointId, HostEndpoint], addresses: Addresses, settings: PolicySettings
) -> Owners:
    """Who each interface is. One that is named need not be there yet: its packets will be asked."""
    program = Program(host_endpoints=hosts)
    names = {one.interface for one in hosts.values()} | addresses.keys()
    every = host_endpoint_of(program, "", ())
    found = {
        name: host_endpoint_of(program, name, addresses.get(name, ()))
        for name in sorted(names - {"", EVERY_INTERFACE})
        if not settings.guards(name)
    }
    return Owners({n: one for n, one in found.items() if one not in (None, every)}, every)


def impossible(host: HostEndpoint) -> str:
    """Why a host endpoint's interface can have no rules; empty if it can."""
    if host.interface in ("", EVERY_INTERFACE):
        return ""
    try:
        checked_interface(host.interface)
    except UnsafeName as error:
        return str(error)
    return ""


def closed_host(host: HostEndpoint) -> HostEndpoint:
    """What stands for one whose policy could not be programmed.

    Only failsafe ports pass, and nothing is forwarded of which its policy would have been asked.
    """
    nobody = (TierPolicies("closed", DefaultAction.DENY, ()),)
    return HostEndpoint(
        host.id,
        host.interface,
        host.addresses,
        forward=Tiers(
            nobody if host.forward.ingress else (), nobody if host.forward.egress else ()
        ),
    )
