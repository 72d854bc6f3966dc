"""The columns of each kind in tables. A cell is a path into the resource, or a function of it."""

from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

from tortie.api import Pod, Resource
from tortie.kubernetes import convert

NOTHING = "-"


class Column(NamedTuple):
    """A column; `wide` ones are shown with `-o wide` only."""

    header: str
    cell: str | Callable[[Any], object]
    wide: bool = False


def header(kind: str, wide: bool, namespaced: bool) -> list[str]:
    """The titles of a kind's columns; with its namespace where `namespaced`."""
    return ["NAMESPACE"] * namespaced + [column.header for column in _chosen(kind, wide)]


def row(resource: Resource, wide: bool, namespaced: bool) -> list[str]:
    """The cells of one resource, as text."""
    cells = [_text(_cell(resource, column.cell)) for column in _chosen(resource.kind, wide)]
    return [resource.metadata.namespace] * namespaced + cells


def _chosen(kind: str, wide: bool) -> list[Column]:
    columns = COLUMNS.get(kind, (_NAME,))
    return [column for column in (*columns, _AGE) if wide or not column.wide]


def _cell(resource: Resource, cell: str | Callable[[Any], object]) -> object:
    if callable(cell):
        return cell(resource)
    value: object = resource
    for step in cell.split("."):
        value = getattr(value, step, None)
    return value


def _text(value: object) -> str:
    if isinstance(value, str) or value is None:
        return value or NOTHING
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict):
        return ",".join(f"{key}={item}" for key, item in sorted(value.items())) or NOTHING
    if isinstance(value, Iterable):
        return ",".join(map(_text, value)) or NOTHING
    return f"{value:g}" if isinstance(value, float) else str(value)


def age(resource: Resource) -> str:
    """How long ago it was created: "5s", "3m", "7h", "12d"."""
    created = resource.metadata.creation_timestamp or ""
    try:
        since = datetime.fromisoformat(created)
    except ValueError:
        return ""
    now = datetime.now(UTC if since.tzinfo else None)
    seconds = int((now - since).total_seconds())
    for unit, length in (("d", 86400), ("h", 3600), ("m", 60)):
        if seconds >= length:
            return f"{seconds // length}{unit}"
    return f"{max(seconds, 0)}s"


def _pod_address(pod: Pod) -> object:
    endpoint = convert(pod)
    networks: Sequence[str] = getattr(getattr(endpoint, "spec", None), "ip_networks", ())
    return [network.partition("/")[0] for network in networks]


def _pod_ports(pod: Pod) -> object:
    ports = (port for container in pod.spec.containers for port in container.ports)
    return [f"{port.container_port}/{port.protocol or 'TCP'}" for port in ports]


def _pod_selector(policy: Any) -> object:
    selector = policy.spec.pod_selector
    requirements = [
        f"{item.key} {item.operator} ({' '.join(item.values)})".replace(" ()", "")
        for item in selector.match_expressions
    ]
    return [*(f"{k}={v}" for k, v in sorted(selector.match_labels.items())), *requirements]


def _encapsulation(pool: Any) -> object:
    for name, mode in (("VXLAN", pool.spec.vxlan_mode), ("IPIP", pool.spec.ipip_mode)):
        if mode not in ("", "Never"):
            return f"{name} {mode}"
    return ""


def _workload(endpoint: Any) -> object:
    return endpoint.spec.pod or endpoint.spec.workload


_NAME = Column("NAME", "metadata.name")
_LABELS = Column("LABELS", "metadata.labels", wide=True)
_AGE = Column("AGE", age)
_POLICY = (
    _NAME,
    Column("TIER", "spec.tier"),
    Column("ORDER", "spec.order"),
    Column("SELECTOR", "spec.selector", wide=True),
    Column("TYPES", "spec.directions", wide=True),
)
_SET = (_NAME, Column("NETS", lambda item: len(item.spec.nets)), Column("CIDRS", "spec.nets", True))

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
    ),
    "NetworkSet": _SET,
    "GlobalNetworkSet": _SET,
    "IPPool": (
        _NAME,
        Column("CIDR", "spec.cidr"),
        Column("ENCAPSULATION", _encapsulation),
        Column("NAT", "spec.nat_outgoing"),
        Column("DISABLED", "spec.disabled", wide=True),
        Column("BLOCKSIZE", "spec.block_size", wide=True),
        Column("SELECTOR", "spec.node_selector", wide=True),
    ),
    "Node": (
        _NAME,
        Column("IPV4", "spec.bgp.ipv4_address"),
        Column("IPV6", "spec.bgp.ipv6_address", wide=True),
        Column("VXLAN", "spec.ipv4_vxlan_tunnel_addr", wide=True),
        Column("ASN", "spec.bgp.as_number", wide=True),
    ),
    "WorkloadEndpoint": (
        Column("WORKLOAD", _workload),
        Column("NODE", "spec.node"),
        Column("NETWORKS", "spec.ip_networks"),
        Column("INTERFACE", "spec.interface_name"),
        Column("PROFILES", "spec.profiles", wide=True),
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
        Column("PEER-ASN", "spec.as_number"),
        Column("NODE", "spec.node"),
        Column("NODE-SELECTOR", "spec.node_selector", wide=True),
        Column("PEER-SELECTOR", "spec.peer_selector", wide=True),
    ),
    "BGPConfiguration": (
        _NAME,
        Column("ASN", "spec.as_number"),
        Column("MESH", "spec.node_to_node_mesh_enabled"),
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
    "ServiceAccount": (_NAME, _LABELS),
    "IPAMBlock": (
        Column("CIDR", "spec.cidr"),
        Column("AFFINITY", "spec.affinity"),
        Column("FREE", lambda block: len(block.spec.unallocated)),
    ),
    "BlockAffinity": (
        Column("CIDR", "spec.cidr"),
        Column("NODE", "spec.node"),
        Column("STATE", "spec.state"),
        Column("NAME", "metadata.name", wide=True),
    ),
    "IPAMHandle": (Column("ID", "spec.handle_id"), Column("BLOCKS", "spec.block")),
    "IPAMConfiguration": (
        _NAME,
        Column("STRICT", "spec.strict_affinity"),
        Column("AUTO", "spec.auto_allocate_blocks"),
        Column("MAXBLOCKS", "spec.max_blocks_per_host"),
    ),
}
