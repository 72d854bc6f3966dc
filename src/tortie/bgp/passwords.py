"""Which passwords a node's sessions need, and what stands in place of one. Pure."""

from collections.abc import Mapping
from typing import NamedTuple

from tortie.api.calico.bgp_peer import BGPPeerSpec
from tortie.bgp.cluster import Cluster, Speaker
from tortie.bgp.words import Password
from tortie.selectors import SelectorError, parse


class SecretRef(NamedTuple):
    """One key of a Secret."""

    name: str
    key: str


class Unknown(NamedTuple):
    """Whether there is such a password can't be known now, and why."""

    why: str

    def __str__(self) -> str:
        return self.why


Passwords = Mapping[SecretRef, Password | Unknown | str]
"""Each password that was read; in place of one, why it can't be."""

Kept = Mapping[str, Password | None]
"""The sessions that BIRD has now, by symbol, with their passwords. They go on as they are while
it can't be known what their passwords are to be."""

MISSING = "there is no such key"
"""What stands in place of a password whose Secret, or whose key in it, is not there."""


def secrets_wanted(cluster: Cluster) -> frozenset[SecretRef]:
    """The Secrets that this node's sessions need; only those are read."""
    me, specs = cluster.me, [peer.spec for peer in cluster.peers.values()]
    found = [spec.password for spec in specs if me is not None and _concerns(spec, me)]
    default = cluster.configurations.get("default")
    if default is not None:
        found.append(default.spec.node_mesh_password)
    selectors = [each.secret_key_ref for each in found if each is not None]
    return frozenset(SecretRef(each.name, each.key) for each in selectors if each is not None)


def _concerns(spec: BGPPeerSpec, me: Speaker) -> bool:
    try:
        return is_for(spec, me) or (
            bool(spec.peer_selector) and parse(spec.peer_selector).matches(me.labels)
        )
    except SelectorError:
        return False


def is_for(spec: BGPPeerSpec, speaker: Speaker) -> bool:
    """Whether a BGPPeer is one of this node's. Raises SelectorError."""
    if spec.node:
        return spec.node == speaker.name
    return not spec.node_selector or parse(spec.node_selector).matches(speaker.labels)
