"""What a datastore's cluster says of itself, as far as checks ask. Pure data."""

from typing import NamedTuple

from tortie.net import Prefix


class Pool(NamedTuple):
    """An address pool of ours, with the modes of its tunnels ("", "Never", "Always", ...)."""

    name: str
    cidr: str
    ipip: str = ""
    vxlan: str = ""


class KubeProxy(NamedTuple):
    """How kube-proxy runs. `mode` is empty where it says none, which means iptables.

    `found` says where that was read; empty where there was nothing to read.
    """

    mode: str = ""
    masquerade_all: bool = False
    found: str = ""


class Kubernetes(NamedTuple):
    """What the API server says. `denied`: what we may not ask, as rows of "verb resource"."""

    server: str
    version: str = ""
    proxy: KubeProxy = KubeProxy()
    service_ranges: tuple[Prefix, ...] = ()
    node_addresses: tuple[Prefix, ...] = ()
    istio: str = ""
    denied: tuple[str, ...] = ()
    problem: str = ""


class Etcd(NamedTuple):
    """What etcd's members say; `silent` are those that don't answer, `problem`: none does."""

    endpoints: tuple[str, ...]
    version: str = ""
    encrypted: bool = False
    authenticated: bool = False
    problem: str = ""
    silent: tuple[str, ...] = ()


class Cluster(NamedTuple):
    """All of it. `clock`: seconds that the datastore's clock is ahead of ours; None: unknown."""

    name: str
    kubernetes: Kubernetes | None = None
    etcd: Etcd | None = None
    pools: tuple[Pool, ...] = ()
    wireguard: bool = False
    clock: float | None = None
    problem: str = ""
