"""What somebody can choose of an installation, and which choices go together."""

import re
from collections.abc import Mapping
from enum import StrEnum

from msgspec import Struct

from tortie import __version__
from tortie.api.crds import GROUPS, STORED
from tortie.net import Prefix, parse_prefix

IMAGE = f"localhost/tortie:{__version__}"
_IMAGE_TEXT = re.compile(r"[a-z0-9][\w.:/@-]{0,254}", re.ASCII)
_ENDPOINT = re.compile(r"https?://[\w.\[\]:-]{1,253}", re.ASCII)
_FOLDER = re.compile(r"/[\w./-]{1,255}", re.ASCII)
_MOST_SERVERS = 100


class ChoiceError(ValueError):
    """Something that can't be chosen, or not together; one line for people."""


class Kept(StrEnum):
    """Where resources are kept."""

    KUBERNETES = "kubernetes"
    ETCD = "etcd"


class Encap(StrEnum):
    """How packets between nodes travel; as in `tortie lab up`."""

    IPIP = "ipip"
    VXLAN = "vxlan"
    WIREGUARD = "wireguard"
    BGP = "bgp"
    NONE = "none"


class Networking(StrEnum):
    """Who connects pods: Tortie; a cloud's or another plugin; flannel, with our policy (Canal)."""

    OWN = "own"
    POLICY_ONLY = "policy-only"
    FLANNEL = "flannel"


class Dataplane(StrEnum):
    """What enforces policy."""

    NFTABLES = "nftables"
    IPTABLES = "iptables"


CLOUDS: Mapping[str, str] = {"aws": "eni", "azure": "azv", "gke": "gke"}
"""Clouds whose own plugin connects pods, and the first letters of its interfaces."""


class EtcdFiles(Struct, frozen=True):
    """PEM of etcd's authority, and of our certificate and key, or neither of these two."""

    authority: bytes
    certificate: bytes = b""
    key: bytes = b""

    def __repr__(self) -> str:
        return "EtcdFiles(...)"  # there is a key in it


class Choices(Struct, frozen=True, kw_only=True):
    """An installation. Raises ChoiceError where the choices don't go together."""

    image: str = IMAGE
    group: str = STORED
    kept: Kept = Kept.KUBERNETES
    etcd_endpoints: tuple[str, ...] = ()
    etcd_files: EtcdFiles | None = None  # None: the Secret is made by somebody else
    encap: Encap = Encap.IPIP
    cross_subnet: bool = False
    dataplane: Dataplane = Dataplane.NFTABLES
    networking: Networking = Networking.OWN
    cloud: str = ""
    flannel_image: str = ""  # "": flannel runs already
    typha: int = 0  # servers of the fan-out; 0: each agent follows the datastore itself
    ipv4_pool: Prefix | None = None  # None: `tortie node start` finds one
    ipv6_pool: Prefix | None = None
    mtu: int = 0  # 0: by the nodes' interfaces
    plugin_folder: str = "/opt/cni/bin"
    network_folder: str = "/etc/cni/net.d"

    def __post_init__(self) -> None:
        for found in (*_words(self), *_together(self)):
            raise ChoiceError(found)

    @property
    def bgp(self) -> bool:
        """Whether BIRD runs on the nodes."""
        own = self.networking is Networking.OWN
        return own and self.encap in (Encap.IPIP, Encap.BGP)

    @property
    def backend(self) -> str:
        """The word of CALICO_NETWORKING_BACKEND."""
        if self.bgp:
            return "bird"
        own = self.networking is Networking.OWN
        return "vxlan" if own and self.encap is Encap.VXLAN else "none"

    @property
    def etcd_tls(self) -> bool:
        """Whether etcd is spoken to in secret."""
        return any(each.startswith("https:") for each in self.etcd_endpoints)


def pool_of(text: str, version: int) -> Prefix:
    """The prefix of a pool that a person wrote. Raises ChoiceError."""
    try:
        found = parse_prefix(text)
    except ValueError as problem:
        raise ChoiceError(f"{text}: {problem}") from None
    if found.version != version:
        raise ChoiceError(f"{text} is no IPv{version} prefix")
    return found


def _words(made: Choices) -> list[str]:
    """What is wrong with single words: they end in paths and commands of containers."""
    images = [each for each in (made.image, made.flannel_image) if each]
    folders = (made.plugin_folder, made.network_folder)
    rules = (
        *(
            (not _IMAGE_TEXT.fullmatch(each), f"{each!r} names no image: write it as NAME:TAG")
            for each in images
        ),
        *(
            (not _ENDPOINT.fullmatch(each), f"{each!r}: write etcd's as https://HOST:2379")
            for each in made.etcd_endpoints
        ),
        *(
            (not _FOLDER.fullmatch(each) or ".." in each, f"{each!r} is no folder of a node")
            for each in folders
        ),
        (
            made.group not in GROUPS,
            f"{made.group!r} is no group of Calico's kinds: use {' or '.join(GROUPS)}",
        ),
        (
            bool(made.cloud) and made.cloud not in CLOUDS,
            f"{made.cloud!r} is no cloud that is known: {', '.join(CLOUDS)}",
        ),
        (
            not 0 <= made.typha <= _MOST_SERVERS,
            f"{made.typha} servers of the fan-out: choose 0 to {_MOST_SERVERS}",
        ),
        (
            bool(made.mtu) and not 1280 <= made.mtu <= 65535,
            f"an MTU of {made.mtu}: choose 1280 to 65535, or 0 to have it found",
        ),
    )
    return [message for wrong, message in rules if wrong]


def _together(made: Choices) -> list[str]:
    """What is wrong with choices that exclude each other."""
    own, etcd = made.networking is Networking.OWN, made.kept is Kept.ETCD
    rules = (
        (etcd and not made.etcd_endpoints, "for etcd its endpoints are needed: --etcd-endpoints"),
        (not etcd and bool(made.etcd_endpoints), "endpoints of etcd are for --datastore etcd"),
        (
            len({each.partition(":")[0] for each in made.etcd_endpoints}) > 1,
            "the endpoints of etcd must all be http or all be https",
        ),
        (bool(made.etcd_files) and not made.etcd_tls, "certificates of etcd need https endpoints"),
        (
            etcd and made.typha > 0,
            "the fan-out's servers are found by Kubernetes' API: not with --datastore etcd",
        ),
        (
            bool(made.cloud) and made.networking is not Networking.POLICY_ONLY,
            "a cloud's own plugin connects pods: --cloud goes with --policy-only",
        ),
        (
            bool(made.flannel_image) and made.networking is not Networking.FLANNEL,
            "--flannel-image goes with --flannel",
        ),
        (
            not own and bool(made.ipv4_pool or made.ipv6_pool),
            "pools are for our own networking: another plugin gives the addresses here",
        ),
        (
            bool(made.ipv6_pool) and made.encap is Encap.IPIP,
            "IPIP carries IPv4 alone: choose another --encap for IPv6",
        ),
        (
            made.cross_subnet and made.encap not in (Encap.IPIP, Encap.VXLAN),
            "CrossSubnet is a mode of ipip and vxlan",
        ),
    )
    return [message for wrong, message in rules if wrong]
