"""The columns of each kind in tables: those of Calico's schemas, and calicoctl's habits."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from tortie.api import Kind, Resource
from tortie.cli.cells import Column, age, condition, since, text_of

if TYPE_CHECKING:  # the type of pods is loaded with the first pod
    from tortie.api import Pod


def header(kind: str, wide: bool, namespaced: bool) -> list[str]:
    """The titles of a kind's columns; with its namespace where `namespaced`."""
    return ["NAMESPACE"] * namespaced + [column.header for column in _chosen(kind, wide)]


def row(resource: Resource, wide: bool, namespaced: bool) -> list[str]:
    """The cells of one resource, as text."""
    cells = [text_of(resource, column) for column in _chosen(resource.kind, wide)]
    return [resource.metadata.namespace] * namespaced + cells


def columns_named(kind: Kind) -> dict[str, Column]:
    """All columns of a kind by all their names."""
    columns = (*_chosen(kind.name, True), *[_NAMESPACE] * kind.namespaced, _NAME, _LABELS)
    return {name: column for column in columns for name in (column.header, *column.also)}


def _chosen(kind: str, wide: bool) -> list[Column]:
    columns = (*COLUMNS.get(kind, (_NAME,)), _AGE)
    return [column for column in columns if wide or not column.wide]


def _pod_address(pod: "Pod") -> object:
    from tortie.kubernetes import convert  # here, because most tables have no pods

    endpoint = convert(pod)
    networks: Sequence[str] = getattr(getattr(endpoint, "spec", None), "ip_networks", ())
    return [network.partition("/")[0] for network in networks]


def _pod_ports(pod: "Pod") -> object:
    ports = (port for container in pod.spec.containers for port in container.ports)
    return [f"{port.container_port}/{port.protocol or 'TCP'}" for port in ports]


def _pod_selector(policy: Any) -> object:
    selector = policy.spec.pod_selector
    requirements = [
        f"{item.key} {item.operator} ({' '.join(item.values)})".replace(" ()", "")
        for item in selector.match_expressions
    ]
    return [*(f"{k}={v}" for k, v in sorted(selector.match_labels.items())), *requirements]


def _workload(endpoint: Any) -> object:
    return endpoint.spec.pod or endpoint.spec.workload


def _nats(endpoint: Any) -> object:
    return [f"{nat.external_ip}->{nat.internal_ip}" for nat in endpoint.spec.ip_nats]


_NAME = Column("NAME", "metadata.name")
_NAMESPACE = Column("NAMESPACE", "metadata.namespace")
_LABELS = Column("LABELS", "metadata.labels", wide=True)
_AGE = Column("AGE", age)
_POLICY = (
    _NAME,
    Column("TIER", "spec.tier"),
    Column("ORDER", "spec.order"),
    Column("SELECTOR", "spec.selector", wide=True),
    Column("TYPES", "spec.directions", wide=True),
)
_SET = (
    _NAME,
    Column("COUNT", lambda item: len(item.spec.nets)),
    Column("NETS", "spec.nets", True),
)

_KUBERNETES_POLICY = (
    _NAME,
    Column("POD-SELECTOR", _pod_selector),
    Column("TYPES", "spec.policy_types", wide=True),
)
_PRIORITY = Column("PRIORITY", "spec.priority")
_STAGED = Column("ACTION", "spec.staged_action")

COLUMNS: dict[str, tuple[Column, ...]] = {
    "NetworkPolicy": _POLICY,
    "GlobalNetworkPolicy": _POLICY,
    "KubernetesNetworkPolicy": _KUBERNETES_POLICY,
    "KubernetesAdminNetworkPolicy": (_NAME, _PRIORITY),
    "KubernetesClusterNetworkPolicy": (_NAME, Column("TIER", "spec.tier"), _PRIORITY),
    "StagedNetworkPolicy": (*_POLICY, _STAGED),
    "StagedGlobalNetworkPolicy": (*_POLICY, _STAGED),
    "StagedKubernetesNetworkPolicy": (*_KUBERNETES_POLICY, _STAGED),
    "Tier": (
        _NAME,
        Column("ORDER", "spec.order"),
        Column("DEFAULT-ACTION", "spec.default_action"),
        Column("STATUS", condition("Ready", "reason"), True),
    ),
    "NetworkSet": _SET,
    "GlobalNetworkSet": _SET,
    "IPPool": (
        _NAME,
        Column("CIDR", "spec.cidr"),
        Column("VXLAN", "spec.vxlan_mode", also=("VXLANMODE",)),
        Column("IPIP", "spec.ipip_mode", also=("IPIPMODE",)),
        Column("NAT", "spec.nat_outgoing"),
        Column("SELECTOR", "spec.node_selector"),
        Column("ALLOCATABLE", condition("Allocatable", "status"), True),
        Column("DISABLED", "spec.disabled", True),
        Column("DISABLE-BGP-EXPORT", "spec.disable_bgp_export", True),
        Column("BLOCKSIZE", "spec.block_size", True),
        Column("USES", "spec.allowed_uses", True),
    ),
    "Node": (
        _NAME,
        Column("IPV4", "spec.bgp.ipv4_address"),
        Column("IPV6", "spec.bgp.ipv6_address", wide=True),
        Column("VXLAN", "spec.ipv4_vxlan_tunnel_addr", wide=True),
        Column("ASN", "spec.bgp.as_number"),
    ),
    "WorkloadEndpoint": (
        Column("WORKLOAD", _workload),
        Column("NODE", "spec.node"),
        Column("NETWORKS", "spec.ip_networks"),
        Column("INTERFACE", "spec.interface_name"),
        Column("PROFILES", "spec.profiles", wide=True),
        Column("NATS", _nats, wide=True),
        Column("NAME", "metadata.name", wide=True),
    ),
    "Pod": (
        _NAME,
        Column("NODE", "spec.node_name"),
        Column("IP", _pod_address),
        Column("PORTS", _pod_ports, wide=True),
        _LABELS,
    ),
    "HostEndpoint": (
        _NAME,
        Column("NODE", "spec.node"),
        Column("INTERFACE", "spec.interface_name"),
        Column("IPS", "spec.expected_ips"),
        Column("PROFILES", "spec.profiles", wide=True),
    ),
    "IPReservation": (_NAME, Column("CIDRS", "spec.reserved_cidrs")),
    "BGPPeer": (
        _NAME,
        Column("PEER-IP", "spec.peer_ip"),
        Column("NODE", "spec.node"),
        Column("PEER-ASN", "spec.as_number", also=("ASN",)),
        Column("NODE-SELECTOR", "spec.node_selector", wide=True),
        Column("PEER-SELECTOR", "spec.peer_selector", wide=True),
        Column("LOCAL-ASN", "spec.local_as_number", wide=True),
    ),
    "BGPConfiguration": (
        _NAME,
        Column("LOG-SEVERITY", "spec.log_severity_screen"),
        Column("MESH-ENABLED", "spec.node_to_node_mesh_enabled"),
        Column("AS-NUMBER", "spec.as_number", also=("ASN",)),
    ),
    "BGPFilter": (
        _NAME,
        Column("EXPORT-V4", lambda item: len(item.spec.export_v4)),
        Column("IMPORT-V4", lambda item: len(item.spec.import_v4)),
        Column("EXPORT-V6", lambda item: len(item.spec.export_v6)),
        Column("IMPORT-V6", lambda item: len(item.spec.import_v6)),
    ),
    "FelixConfiguration": (
        _NAME,
        Column("LOG-SEVERITY", "spec.log_severity_screen"),
        Column("NODE-SELECTOR", "spec.node_selector", wide=True),
    ),
    "CalicoNodeStatus": (
        _NAME,
        Column("NODE", "spec.node"),
        Column("CLASSES", "spec.classes"),
    ),
    "ClusterInformation": (
        _NAME,
        Column("VERSION", "spec.calico_version"),
        Column("READY", "spec.datastore_ready"),
        Column("TYPES", "spec.cluster_type"),
    ),
    "Profile": (_NAME, Column("LABELS", "spec.labels_to_apply", wide=True)),
    "Namespace": (_NAME, _LABELS),
    "KubernetesNode": (_NAME, _LABELS),
    "ServiceAccount": (_NAME, _LABELS),
    "IPAMBlock": (
        Column("CIDR", "spec.cidr"),
        Column("AFFINITY", "spec.affinity"),
        Column("CLAIM-TIME", lambda block: since(block.spec.affinity_claim_time)),
        Column("FREE", lambda block: len(block.spec.unallocated)),
    ),
    "BlockAffinity": (
        Column("CIDR", "spec.cidr"),
        Column("NODE", "spec.node"),
        Column("STATE", "spec.state"),
        Column("TYPE", "spec.type"),
        Column("NAME", "metadata.name", wide=True),
    ),
    "IPAMHandle": (Column("ID", "spec.handle_id"), Column("BLOCKS", "spec.block")),
    "IPAMConfiguration": (
        _NAME,
        Column("STRICT-AFFINITY", "spec.strict_affinity"),
        Column("AUTO-ALLOCATE-BLOCKS", "spec.auto_allocate_blocks"),
        Column("MAX-BLOCKS-PER-HOST", "spec.max_blocks_per_host"),
    ),
}
