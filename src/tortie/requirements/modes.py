"""What a node is going to be used for: it decides which requirements count. Pure."""

from collections.abc import Sequence
from enum import StrEnum
from typing import NamedTuple


class Purpose(StrEnum):
    """What the system is installed for."""

    KUBERNETES = "kubernetes"
    OPENSTACK = "openstack"
    HOSTS = "hosts"


class Dataplane(StrEnum):
    """What enforces policy."""

    NFTABLES = "nftables"
    IPTABLES = "iptables"
    BPF = "bpf"


class Encap(StrEnum):
    """How packets travel between nodes; a cluster may use several."""

    NONE = "none"
    IPIP = "ipip"
    VXLAN = "vxlan"
    WIREGUARD = "wireguard"
    BGP = "bgp"
    FLANNEL = "flannel"


class Modes(NamedTuple):
    """The chosen modes. `assumed` says that nobody chose how packets travel.

    `ipvs`: kube-proxy is known to be in IPVS mode.
    """

    purpose: Purpose = Purpose.KUBERNETES
    dataplane: Dataplane = Dataplane.NFTABLES
    encaps: frozenset[Encap] = frozenset({Encap.VXLAN})
    datastore: str = ""  # "etcd", "kubernetes" or another one that needs nothing
    ipvs: bool = False
    assumed: bool = False

    def uses(self, *encaps: Encap) -> bool:
        """Whether packets travel in one of these ways."""
        return not self.encaps.isdisjoint(encaps)

    @property
    def in_words(self) -> str:
        """For a report's first line."""
        ways = ", ".join(sorted(self.encaps))
        return f"for {self.purpose}, dataplane {self.dataplane}, between nodes {ways}"


def parse_encaps(text: str) -> frozenset[Encap]:
    """A list with commas. Raises ValueError, naming the words there are."""
    words = [word.strip().lower() for word in text.split(",")]
    known = [one.value for one in Encap]
    for word in words:
        if word not in known:
            raise ValueError(f"{word!r} is no way between nodes: there are {', '.join(known)}")
    found = frozenset(map(Encap, words))
    if Encap.NONE in found and len(found) > 1:
        raise ValueError("'none' stands alone: with another way there is one")
    return found


def encaps_of_pools(pools: Sequence[tuple[str, str]], wireguard: bool) -> frozenset[Encap]:
    """What the pools ask for, each given as its (ipipMode, vxlanMode)."""
    found = set()
    if any(ipip not in ("", "Never") for ipip, _ in pools):
        found |= {Encap.IPIP, Encap.BGP}  # BGP tells the routes of IPIP's pools
    if any(vxlan not in ("", "Never") for _, vxlan in pools):
        found.add(Encap.VXLAN)
    if pools and all(mode in ("", "Never") for pool in pools for mode in pool):
        found.add(Encap.BGP)
    if wireguard:
        found.add(Encap.WIREGUARD)
    return frozenset(found)
