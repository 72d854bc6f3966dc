"""Installations that tests try: every choice that makes another object, once at least."""

from tortie.install.manifests.choices import (
    Choices,
    Dataplane,
    Encap,
    EtcdFiles,
    Kept,
    Networking,
    pool_of,
)
from tortie.install.manifests.files import WHOLE_INSTALLATIONS

ETCD = ("https://10.0.0.1:2379", "https://10.0.0.2:2379")
INSTALLATIONS = {
    **WHOLE_INSTALLATIONS,
    "native": Choices(group="projectcalico.org", typha=2),
    "iptables": Choices(dataplane=Dataplane.IPTABLES, encap=Encap.IPIP, cross_subnet=True),
    "dual": Choices(
        encap=Encap.VXLAN, ipv4_pool=pool_of("10.1.0.0/16", 4), ipv6_pool=pool_of("fd00::/48", 6)
    ),
    "none": Choices(encap=Encap.NONE, mtu=1400, plugin_folder="/usr/libexec/cni"),
    "etcd-tls": Choices(
        kept=Kept.ETCD, etcd_endpoints=ETCD, etcd_files=EtcdFiles(b"authority", b"pair", b"key")
    ),
    "aws": Choices(networking=Networking.POLICY_ONLY, cloud="aws"),
    "canal-whole": Choices(networking=Networking.FLANNEL, flannel_image="flannel:v0.25"),
    "canal-etcd": Choices(
        networking=Networking.FLANNEL, kept=Kept.ETCD, etcd_endpoints=("http://10.0.0.1:2379",)
    ),
}
