"""Calico's names for blocks, affinities and handles."""

from hashlib import sha256

from tortie.api import Key
from tortie.net import Prefix

CONFIGURATION = Key("IPAMConfiguration", "", "default")
_LONGEST = 253  # of a name in Kubernetes


def block_key(cidr: Prefix) -> Key:
    """The key of a block: `192-168-0-0-26` for 192.168.0.0/26."""
    return Key("IPAMBlock", "", _dashed(cidr))


def affinity_key(node: str, cidr: Prefix) -> Key:
    """The key of a node's claim to a block: `node-192-168-0-0-26`."""
    name = f"{node}-{_dashed(cidr)}"
    if len(name) > _LONGEST:
        name = f"{sha256(node.encode()).hexdigest()}-{_dashed(cidr)}"
    return Key("BlockAffinity", "", name)


def handle_key(handle: str) -> Key:
    """The key of a handle: its own text in lower case, which Kubernetes demands of names."""
    return Key("IPAMHandle", "", handle.lower())


def owner(node: str) -> str:
    """How a block names the node that it belongs to."""
    return f"host:{node}"


def node_of(affinity: str | None) -> str:
    """The node that a block belongs to; empty: none."""
    kind, _, name = (affinity or "").partition(":")
    return name if kind == "host" else ""


def _dashed(cidr: Prefix) -> str:
    return str(cidr).replace(".", "-").replace(":", "-").replace("/", "-")
