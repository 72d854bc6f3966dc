"""What is behind services, slice by slice, as small values.

A slice counts for the service that its label names, in its own namespace. All its addresses count,
ready or not: one that is about to end still has connections, and what a rule denies must stay
denied. A name (FQDN) is no address.
"""

from sys import intern
from typing import NamedTuple

from tortie.api import Key
from tortie.api.calico.bgp_configuration import BGPConfiguration
from tortie.api.kube.endpoint_slice import EndpointSlice
from tortie.engine.delta import ServiceCidrs
from tortie.engine.items import Warn, networks
from tortie.net import Prefix, parse_protocol
from tortie.policy.program import IPPort

ServiceName = tuple[str, str]  # namespace, name


class Slice(NamedTuple):
    """Some of what is behind one service: addresses, each of which has all of the ports."""

    service: ServiceName
    nets: tuple[Prefix, ...]
    ports: tuple[tuple[int, int], ...]  # protocol, port

    def ip_ports(self) -> list[IPPort]:
        """Every address with every port."""
        return [
            IPPort(net.version, net.address, protocol, port)
            for net in self.nets
            for protocol, port in self.ports
        ]


def slice_of(key: Key, value: EndpointSlice, warn: Warn) -> Slice | None:
    """Read a slice; None for one of no service or without addresses."""
    if not value.service or value.address_type == "FQDN":
        return None
    texts = [address for endpoint in value.endpoints for address in endpoint.addresses]
    nets = networks(key, "endpoints", texts, warn)
    if any(port.port is None for port in value.ports):
        warn(f"{key}: ports: one without a number can't be matched; it is left out")
    ports = [(parse_protocol(p.protocol or "TCP"), p.port) for p in value.ports if p.port]
    service = (intern(key.namespace), intern(value.service))
    return Slice(
        service, tuple([net for net in nets if net.is_single]), tuple(dict.fromkeys(ports))
    )


def service_cidrs(key: Key, value: BGPConfiguration, warn: Warn) -> ServiceCidrs:
    """Where services have addresses, as the BGPConfiguration "default" tells it."""
    spec = value.spec
    fields = {
        "serviceClusterIPs": spec.service_cluster_ips,
        "serviceExternalIPs": spec.service_external_ips,
        "serviceLoadBalancerIPs": spec.service_load_balancer_ips,
    }
    return ServiceCidrs(
        *(
            tuple(sorted(networks(key, f"spec.{name}", [block.cidr for block in blocks], warn)))
            for name, blocks in fields.items()
        )
    )
