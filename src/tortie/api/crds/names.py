"""How kubectl speaks of each kind: short names, the columns of its tables, fields to select by."""

from typing import NamedTuple

_AGE = ("Age", "date", ".metadata.creationTimestamp")
_POLICY = (("Tier", "string", ".spec.tier"), ("Order", "number", ".spec.order"))


class Shown(NamedTuple):
    """One kind for kubectl. Columns are (header, type, JSON path); `selectable` are JSON paths."""

    short: tuple[str, ...] = ()
    columns: tuple[tuple[str, str, str], ...] = ()
    selectable: tuple[str, ...] = ()


def _policy(*short: str, columns: tuple[tuple[str, str, str], ...] = _POLICY) -> Shown:
    return Shown(short, columns, (".spec.tier",))


def _condition(header: str, type_: str, field: str) -> tuple[str, str, str]:
    return header, "string", f".status.conditions[?(@.type=='{type_}')].{field}"


CUSTOM_KINDS: dict[str, Shown] = {
    "BGPConfiguration": Shown(("bgpconfig", "bgpconfigs")),
    "BGPFilter": Shown(),
    "BGPPeer": Shown(
        columns=(
            ("Node Selector", "string", ".spec.nodeSelector"),
            ("Node", "string", ".spec.node"),
            ("Local ASN", "string", ".spec.localASNumber"),
            ("Peer Selector", "string", ".spec.peerSelector"),
            ("Peer IP", "string", ".spec.peerIP"),
            ("Peer ASN", "string", ".spec.asNumber"),
        )
    ),
    "BlockAffinity": Shown(
        ("affinity", "affinities"),
        (
            ("CIDR", "string", ".spec.cidr"),
            ("Node", "string", ".spec.node"),
            ("Type", "string", ".spec.type"),
        ),
    ),
    "CalicoNodeStatus": Shown(
        columns=(("Node", "string", ".spec.node"), ("Classes", "string", ".spec.classes"))
    ),
    "ClusterInformation": Shown(
        ("clusterinfo", "clusterinfos"),
        (
            ("Version", "string", ".spec.calicoVersion"),
            ("Ready", "boolean", ".spec.datastoreReady"),
            ("Types", "string", ".spec.clusterType"),
        ),
    ),
    "FelixConfiguration": Shown(),
    "GlobalNetworkPolicy": _policy("gnp", "cgnp", columns=(*_POLICY, _AGE)),
    "GlobalNetworkSet": Shown(("gns",), (_AGE,)),
    "HostEndpoint": Shown(
        ("hep", "heps"),
        (("Node", "string", ".spec.node"), ("Interface", "string", ".spec.interfaceName")),
    ),
    "IPAMBlock": Shown(
        columns=(
            ("CIDR", "string", ".spec.cidr"),
            ("Affinity", "string", ".spec.affinity"),
            ("ClaimTime", "date", ".spec.affinityClaimTime"),
        )
    ),
    "IPAMConfiguration": Shown(
        ("ipamconfig", "ipamconfigs"),
        (
            ("StrictAffinity", "boolean", ".spec.strictAffinity"),
            ("MaxBlocksPerHost", "integer", ".spec.maxBlocksPerHost"),
            ("AutoAllocateBlocks", "boolean", ".spec.autoAllocateBlocks"),
        ),
    ),
    "IPAMHandle": Shown(columns=(("ID", "string", ".spec.handleID"),)),
    "IPPool": Shown(
        columns=(
            ("CIDR", "string", ".spec.cidr"),
            ("VXLAN", "string", ".spec.vxlanMode"),
            ("IPIP", "string", ".spec.ipipMode"),
            ("NAT", "boolean", ".spec.natOutgoing"),
            _condition("Allocatable", "Allocatable", "status"),
            _AGE,
        )
    ),
    "IPReservation": Shown(),
    "KubeControllersConfiguration": Shown(("kcc", "kccs")),
    "NetworkPolicy": _policy("cnp", "caliconetworkpolicy"),
    "NetworkSet": Shown(),
    "StagedGlobalNetworkPolicy": _policy("sgnp"),
    "StagedKubernetesNetworkPolicy": Shown(("sknp",)),
    "StagedNetworkPolicy": _policy("scnp", "snp"),
    "Tier": Shown(
        columns=(
            ("Order", "integer", ".spec.order"),
            ("DefaultAction", "string", ".spec.defaultAction"),
            _condition("Status", "Ready", "reason"),
        )
    ),
}
"""Every kind that API servers keep for us, by its name in the registry."""
