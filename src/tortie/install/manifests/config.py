"""The ConfigMap that people edit and scripts read; its names and keys are Calico's."""

import json
from typing import Any

from tortie.install.manifests.choices import CLOUDS, Choices, Kept, Networking
from tortie.install.manifests.objects import Object, of_namespace

ETCD_FOLDER = "/calico-secrets"
ETCD_SECRET = "calico-etcd-secrets"
ETCD_KEYS = {"etcd_ca": "etcd-ca", "etcd_cert": "etcd-cert", "etcd_key": "etcd-key"}
"""Keys of the ConfigMap, each the path of a file that a key of the Secret is mounted as."""


def config_name(made: Choices) -> str:
    """Canal has a name of its own, since both could be in one cluster's history."""
    return "canal-config" if made.networking is Networking.FLANNEL else "calico-config"


def config_map(made: Choices) -> Object:
    """What is the same on all nodes."""
    data = {
        "typha_service_name": "calico-typha" if made.typha else "none",
        "calico_backend": made.backend,
        "veth_mtu": str(made.mtu),
    }
    if made.kept is Kept.ETCD:
        data["etcd_endpoints"] = ",".join(made.etcd_endpoints)
        data |= {key: _etcd_path(made, file) for key, file in ETCD_KEYS.items()}
    if made.networking is not Networking.POLICY_ONLY:
        data["cni_network_config"] = network_config(made)
    if made.networking is Networking.FLANNEL:
        data["net-conf.json"] = json.dumps(
            {"Network": "10.244.0.0/16", "Backend": {"Type": "vxlan"}}, indent=2
        )
    return {**of_namespace("ConfigMap", config_name(made)), "data": data}


def _etcd_path(made: Choices, file: str) -> str:
    return f"{ETCD_FOLDER}/{file}" if made.etcd_tls else ""


def network_config(made: Choices) -> str:
    """What the plugin is told; `tortie cni install` fills in what stands between underscores."""
    flannel = made.networking is Networking.FLANNEL
    ipam = {"type": "host-local", "subnet": "usePodCidr"} if flannel else {"type": "calico-ipam"}
    plugin: dict[str, Any] = {
        "type": "calico",
        "log_level": "info",
        "datastore_type": "etcdv3" if made.kept is Kept.ETCD else "kubernetes",
        "nodename": "__KUBERNETES_NODE_NAME__",
        "mtu": "__CNI_MTU__",
        "ipam": ipam,
        "policy": {"type": "k8s"},
    }
    chained = {"type": "portmap", "snat": True, "capabilities": {"portMappings": True}}
    config = {"name": "k8s-pod-network", "cniVersion": "0.3.1", "plugins": [plugin, chained]}
    return json.dumps(config, indent=2).replace('"__CNI_MTU__"', "__CNI_MTU__")


def agents_settings(made: Choices) -> dict[str, str]:
    """What Felix is told by its environment."""
    found = {
        "FELIX_HEALTHENABLED": "true",
        "FELIX_DEFAULTENDPOINTTOHOSTACTION": "ACCEPT",
        "FELIX_IPV6SUPPORT": "true" if made.ipv6_pool else "false",
        "FELIX_NFTABLESMODE": "Enabled" if made.dataplane == "nftables" else "Disabled",
    }
    if made.networking is Networking.POLICY_ONLY:
        found["FELIX_ROUTESYNCDISABLED"] = "true"  # the routes are the other plugin's
        return found | ({"FELIX_INTERFACEPREFIX": CLOUDS[made.cloud]} if made.cloud else {})
    if made.networking is Networking.FLANNEL:
        return found
    if made.encap in ("none", "wireguard"):
        found["FELIX_PROGRAMCLUSTERROUTES"] = "Enabled"
    if made.encap == "wireguard":
        found["FELIX_WIREGUARDENABLED"] = "true"
        found["FELIX_WIREGUARDENABLEDV6"] = "true" if made.ipv6_pool else "false"
    return found


def nodes_settings(made: Choices) -> dict[str, str]:
    """What `tortie node start` makes of a node and a cluster that have nothing yet."""
    cluster = {"own": "k8s", "flannel": "k8s,canal", "policy-only": "k8s"}[made.networking]
    found = {
        "WAIT_FOR_DATASTORE": "true",
        "CLUSTER_TYPE": f"{cluster},bgp" if made.bgp else cluster,
        "CALICO_DISABLE_FILE_LOGGING": "true",
    }
    if made.networking is not Networking.OWN:
        return {**found, "IP": "", "NO_DEFAULT_POOLS": "true"}
    found["IP"] = "autodetect"
    mode = "CrossSubnet" if made.cross_subnet else "Always"
    found["CALICO_IPV4POOL_IPIP"] = mode if made.encap == "ipip" else "Never"
    found["CALICO_IPV4POOL_VXLAN"] = mode if made.encap == "vxlan" else "Never"
    if made.ipv4_pool:
        found["CALICO_IPV4POOL_CIDR"] = str(made.ipv4_pool)
    if made.ipv6_pool:
        found |= {"IP6": "autodetect", "CALICO_IPV6POOL_CIDR": str(made.ipv6_pool)}
        found["CALICO_IPV6POOL_VXLAN"] = mode if made.encap == "vxlan" else "Never"
        found["CALICO_IPV6POOL_NAT_OUTGOING"] = "true"
    return found
