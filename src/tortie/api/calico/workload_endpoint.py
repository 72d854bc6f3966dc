"""WorkloadEndpoint: one interface of a pod, VM or container."""

from typing import Annotated

from msgspec import Meta

from tortie.api import checks
from tortie.api.calico import API_VERSION
from tortie.api.fields import Fields, InterfaceText, IntOrText, Port
from tortie.api.meta import Resource
from tortie.api.rules import each, inside, items, number_or_text, text, unique


class EndpointPort(Fields, frozen=True, kw_only=True):
    """A port that rules may name."""

    name: str = ""
    """The name; absent: the port only tells of a `host_port`."""
    protocol: IntOrText
    """TCP, UDP or SCTP."""
    port: Port
    """The port inside the workload."""
    host_port: Annotated[int, Meta(ge=0, le=65535)] | None = None
    """The port of the node that leads to it."""
    host_ip: str = ""
    """The node's address for `host_port`. Absent: every one."""


class IPNat(Fields, frozen=True, kw_only=True):
    """One-to-one NAT: a floating IP."""

    internal_ip: str
    """The workload's own address."""
    external_ip: str
    """The address that the outside knows."""


class QosControls(Fields, frozen=True, kw_only=True):
    """Limits of traffic; absent: none. Bandwidth in bits/s, bursts in bits, minburst in bytes."""

    ingress_bandwidth: int | None = None
    """The most that comes in, in bits per second."""
    egress_bandwidth: int | None = None
    """The most that goes out, in bits per second."""
    ingress_burst: int | None = None
    """What may come in at once beyond `ingress_bandwidth`, in bits."""
    egress_burst: int | None = None
    """What may go out at once beyond `egress_bandwidth`, in bits."""
    ingress_peakrate: int | None = None
    """The most that comes in while a burst lasts, in bits per second."""
    egress_peakrate: int | None = None
    """The most that goes out while a burst lasts, in bits per second."""
    ingress_minburst: int | None = None
    """What may come in at once beyond `ingress_peakrate`, in bytes."""
    egress_minburst: int | None = None
    """What may go out at once beyond `egress_peakrate`, in bytes."""
    ingress_packet_rate: int | None = None
    """The most packets that come in, per second."""
    egress_packet_rate: int | None = None
    """The most packets that go out, per second."""
    ingress_packet_burst: int | None = None
    """Packets that may come in at once beyond `ingress_packet_rate`."""
    egress_packet_burst: int | None = None
    """Packets that may go out at once beyond `egress_packet_rate`."""
    ingress_max_connections: int | None = None
    """The most connections from others at once."""
    egress_max_connections: int | None = None
    """The most connections to others at once."""
    dscp: IntOrText | None = None
    """The DSCP of packets that leave: 0 to 63, or a name such as AF11."""


class WorkloadEndpointSpec(Fields, frozen=True, kw_only=True):
    """Where the interface is, its addresses, and what applies to it."""

    orchestrator: str = ""
    """Who runs the workload: "k8s", "cni", "openstack"."""
    workload: str = ""
    """The workload's name, where it is no pod."""
    node: str = ""
    """The node that it runs on."""
    container_id: str = ""
    """The container runtime's id of it."""
    pod: str = ""
    """The pod's name."""
    endpoint: str = ""
    """The interface's name inside the workload, such as "eth0"."""
    service_account_name: str = ""
    """The service account that it runs as."""
    ip_networks: tuple[str, ...] = ()
    """Its addresses, each a /32 or /128."""
    ip_nats: tuple[IPNat, ...] = ()
    """Its floating IPs."""
    ipv4_gateway: str = ""
    """The gateway that it is told; absent: 169.254.1.1."""
    ipv6_gateway: str = ""
    """The IPv6 gateway that it is told."""
    profiles: tuple[str, ...] = ()
    """The profiles whose rules are asked after all tiers, and whose labels it gets."""
    interface_name: InterfaceText = ""
    """The host's end of the interface, such as "cali0a1b2c3d4e5"."""
    mac: str = ""
    """The MAC address of the workload's end."""
    ports: tuple[EndpointPort, ...] = ()
    """Ports that rules may name."""
    allow_spoofed_source_prefixes: tuple[str, ...] = ()
    """Source addresses that it may send from beside its own."""
    qos_controls: QosControls | None = None
    """Limits of its traffic."""


class WorkloadEndpoint(Resource, frozen=True, kw_only=True):
    """One interface of a pod, VM or container."""

    api_version = API_VERSION
    kind = "WorkloadEndpoint"

    spec: WorkloadEndpointSpec


PORT_RULES = (number_or_text("protocol", checks.port_protocol), text("host_ip", checks.address))

RULES = (
    inside(
        "spec",
        (
            each("ip_networks", checks.single),
            items(
                "ip_nats",
                (text("internal_ip", checks.address), text("external_ip", checks.address)),
            ),
            text("ipv4_gateway", checks.address4),
            text("ipv6_gateway", checks.address6),
            text("interface_name", checks.interface),
            text("mac", checks.mac),
            unique("profiles"),
            items("ports", PORT_RULES),
            each("allow_spoofed_source_prefixes", checks.network),
            inside("qos_controls", (number_or_text("dscp", checks.dscp),)),
        ),
    ),
)
