"""Addresses given to interfaces that other plugins make, as Multus' networks have them. Pure.

No Pod's status and no endpoint has to tell of them, so nobody would seem to use them: what is
needed to judge is noted beside each address. Where the Pod was known to the datastore, the address
is in use as long as this very Pod is there; of any other container only the runtime's word (DEL,
GC) and the end of its node tell. So one may be held too long, and none is taken from who uses it.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from tortie.api import IPAMBlock, Pod, Resource
from tortie.ipam.block import is_sound
from tortie.ipam.holders import CONTAINER
from tortie.kubernetes.pods import is_over
from tortie.net import Prefix, parse_network

PLUGIN = "plugin"  # of the interface; the attribute that makes it a loan
NETWORK, INTERFACE = "network", "interface"
POD_UID = "podUID"

PodName = tuple[str, str]
"""Namespace and name."""


class Loan(NamedTuple):
    """An address (a /32 or /128) and its attributes."""

    address: Prefix
    about: Mapping[str, str]

    @property
    def pod(self) -> PodName:
        """The pod that has it; empty names where none was told of."""
        return self.about.get("namespace", ""), self.about.get("pod", "")

    @property
    def user(self) -> str:
        """Who has it, for people."""
        where = f"{self.about.get(INTERFACE)} of {self.about[PLUGIN]}"
        namespace, name = self.pod
        who = f"Pod {namespace}/{name}" if name else f"container {self.about.get(CONTAINER)}"
        return f"{who} ({where})"


def loans(blocks: Iterable[IPAMBlock]) -> Iterator[Loan]:
    """Those of these blocks."""
    for spec in (block.spec for block in blocks if is_sound(block.spec)):
        if not any(PLUGIN in one.secondary for one in spec.attributes):
            continue
        cidr = parse_network(spec.cidr)
        for ordinal, index in enumerate(spec.allocations):
            if index is not None and PLUGIN in (about := spec.attributes[index].secondary):
                address = Prefix.single(cidr.version, cidr.address + ordinal)
                yield Loan(address, dict(about))


def living(resources: Iterable[Resource], wanted: frozenset[PodName]) -> Iterator[tuple[str, str]]:
    """The UIDs of those of the wanted pods whose containers are not over, each with its node."""
    for one in resources:
        if isinstance(one, Pod) and _name(one) in wanted and not is_over(one):
            yield one.metadata.uid, one.spec.node_name


def used(
    found: Iterable[Loan], pods: Mapping[str, str], nodes: frozenset[str] | set[str]
) -> Iterator[Loan]:
    """Those in use: `pods` are UIDs and nodes of pods that live, `nodes` are there."""
    for one in found:
        uid, node = one.about.get(POD_UID), one.about.get("node", "")
        if node in nodes and (not uid or pods.get(uid) == node):
            yield one


def _name(pod: Pod) -> PodName:
    return pod.metadata.namespace, pod.metadata.name
