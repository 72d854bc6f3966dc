"""All checks, in the order of their rows. A new one gets its line here, and nothing else."""

from tortie.requirements.checks import (
    b1_kubernetes,
    b2_cni,
    b3_others,
    b4_kube_proxy,
    b5_masquerade,
    b6_ranges,
    b7_istio,
    b10_cloud,
    k1_etcd,
    k2_kubernetes,
    k3_rights,
    l1_iptables,
    l1_nftables,
    l2_sets,
    l3_conntrack,
    l4_ipvs,
    l5_devices,
    l6_bpf,
    n1_processor,
    n2_interfaces,
    n3_kernel,
    n4_networkmanager,
    n5_managers,
    n7_rights,
    n8_tools,
    n8_variants,
    o2_migration,
    ports,
    s1_forwarding,
    s2_rpfilter,
    s3_mtu,
    s4_clock,
)
from tortie.requirements.checks.documented import DOCUMENTED
from tortie.requirements.model import Check, Documented

CHECKS: tuple[Check, ...] = (
    n1_processor.CHECK,
    n2_interfaces.CHECK,
    n3_kernel.CHECK,
    n4_networkmanager.CHECK,
    n5_managers.CHECK,
    n7_rights.CHECK,
    n8_tools.CHECK,
    n8_variants.CHECK,
    k1_etcd.CHECK,
    k2_kubernetes.CHECK,
    k3_rights.CHECK,
    *ports.CHECKS,
    b1_kubernetes.CHECK,
    b2_cni.CHECK,
    b3_others.CHECK,
    b4_kube_proxy.CHECK,
    b5_masquerade.CHECK,
    b6_ranges.CHECK,
    b7_istio.CHECK,
    b10_cloud.CHECK,
    o2_migration.CHECK,
    l1_iptables.CHECK,
    l1_nftables.CHECK,
    l2_sets.CHECK,
    l3_conntrack.CHECK,
    l4_ipvs.CHECK,
    l5_devices.VETH,
    l5_devices.IPIP,
    l5_devices.VXLAN,
    l5_devices.WIREGUARD,
    l6_bpf.CHECK,
    s1_forwarding.CHECK,
    s2_rpfilter.CHECK,
    s3_mtu.CHECK,
    s4_clock.CHECK,
)

_GROUPS = "NKPBOLS"


def place_of(one: Check | Documented) -> tuple[int, int]:
    """Where a row stands among all."""
    return _GROUPS.index(one.row[0]), int(one.row[1:])


def rows() -> list[Check | Documented]:
    """Checks and documented rows, in the order of their numbers."""
    return sorted((*CHECKS, *DOCUMENTED), key=place_of)
