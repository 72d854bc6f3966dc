"""Kubernetes' EndpointSlice (`discovery.k8s.io/v1`): some of the addresses behind a Service."""

from typing import Annotated, Literal

from msgspec import Meta

from tortie.api import checks
from tortie.api.fields import Fields, Unset, Unused
from tortie.api.meta import Resource
from tortie.api.rules import Validators, items, must, text

SERVICE_LABEL = "kubernetes.io/service-name"


class EndpointConditions(Fields, frozen=True, kw_only=True):
    """Whether an endpoint takes traffic; absent means yes for `ready` and `serving`."""

    ready: bool | None = None
    """It takes new connections. Absent: true."""
    serving: bool | None = None
    """It takes connections, though it may be about to end. Absent: as `ready`."""
    terminating: bool | None = None
    """It is about to end. Absent: false."""


class ServiceEndpoint(Fields, frozen=True, kw_only=True):
    """One backend: the first address counts."""

    addresses: Annotated[tuple[str, ...], Meta(min_length=1, max_length=100)]
    """Its addresses, of the slice's type."""
    conditions: EndpointConditions | None = None
    """Whether it takes traffic."""
    node_name: str = ""
    """The node that it is on."""

    deprecated_topology: Unused = None
    hints: Unused = None
    hostname: Unused = None
    target_ref: Unused = None
    zone: Unused = None


class EndpointSlicePort(Fields, frozen=True, kw_only=True):
    """A port of all endpoints of the slice."""

    name: str = ""
    """The Service's name of it."""
    protocol: Literal["TCP", "UDP", "SCTP"] | Unset = ""
    """The protocol. Absent: TCP."""
    port: Annotated[int, Meta(ge=1, le=65535)] | None = None
    """The endpoints' port. Absent: every one."""
    app_protocol: Unused = None


class EndpointSlice(Resource, frozen=True, kw_only=True):
    """Some of the addresses behind the Service that the label kubernetes.io/service-name names."""

    api_version = "discovery.k8s.io/v1"
    kind = "EndpointSlice"

    address_type: Literal["IPv4", "IPv6", "FQDN"]
    """What `addresses` are."""
    endpoints: Annotated[tuple[ServiceEndpoint, ...], Meta(max_length=1000)] = ()
    """The backends."""
    ports: Annotated[tuple[EndpointSlicePort, ...], Meta(max_length=100)] = ()
    """Their ports."""

    @property
    def service(self) -> str:
        """The name of the Service, in the slice's own namespace; "" where it has none."""
        return self.metadata.labels.get(SERVICE_LABEL, "")


_VERSIONS = {"IPv4": 4, "IPv6": 6}


def _is_of_its_type(piece: EndpointSlice) -> bool:
    version = _VERSIONS.get(piece.address_type)
    addresses = (address for endpoint in piece.endpoints for address in endpoint.addresses)
    return version is None or all(checks.is_address(address, version) for address in addresses)


RULES: Validators[EndpointSlice] = (
    must("endpoints", "has an address that is not of addressType", _is_of_its_type),
    items("ports", (text("name", checks.dns_label),)),
)
