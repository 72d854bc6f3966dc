"""Calico's names for blocks, affinities and handles."""

from hashlib import sha256
from typing import Literal, NamedTuple

from tortie.api import Key
from tortie.net import Prefix

CONFIGURATION = Key("IPAMConfiguration", "", "default")
_LONGEST = 253  # of a name in Kubernetes


def block_key(cidr: Prefix) -> Key:
    """The key of a block: `192-168-0-0-26` for 192.168.0.0/26."""
    return Key("IPAMBlock", "", _dashed(cidr))


class Owner(NamedTuple):
    """Who a block belongs to: a node, or what is none, as the addresses of load balancers."""

    name: str
    type: Literal["host", "virtual"] = "host"

    def __str__(self) -> str:
        """How a block names it: "host:n1"."""
        return f"{self.type}:{self.name}"


LOAD_BALANCER = Owner("load-balancer", "virtual")


def affinity_key(owner: Owner, cidr: Prefix) -> Key:
    """The key of a claim to a block: `node-192-168-0-0-26`."""
    name = f"{owner.name}-{_dashed(cidr)}"
    if len(name) > _LONGEST:
        name = f"{sha256(owner.name.encode()).hexdigest()}-{_dashed(cidr)}"
    return Key("BlockAffinity", "", name)


def handle_key(handle: str) -> Key:
    """The key of a handle: its own text."""
    return Key("IPAMHandle", "", handle)


def owner_of(affinity: str | None) -> Owner | None:
    """Who a block belongs to, from how it says it; None: nobody."""
    kind, _, name = (affinity or "").partition(":")
    if kind == "virtual":
        return Owner(name, "virtual")
    return Owner(name) if kind == "host" else None


def node_of(affinity: str | None) -> str:
    """The node that a block belongs to; empty: none."""
    owner = owner_of(affinity)
    return owner.name if owner is not None and owner.type == "host" else ""


def _dashed(cidr: Prefix) -> str:
    return str(cidr).replace(".", "-").replace(":", "-").replace("/", "-")
