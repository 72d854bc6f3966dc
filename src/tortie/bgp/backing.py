"""Which services have endpoints here that take traffic from outside, by their slices. Pure.

As Kubernetes' proxies have it for a service of Local policy: a node takes its traffic with a ready
endpoint here; without one, with those that are about to end and still serve. While such ones are
the last of all, their node goes on announcing the service; once any node has a ready endpoint, that
one is better, since new connections to an endpoint that ends are lost a moment later.
"""

from collections.abc import Iterable
from typing import NamedTuple

from tortie.api import Key
from tortie.api.kube.endpoint_slice import EndpointConditions, EndpointSlice, ServiceEndpoint
from tortie.bgp.known import put_in

ServiceName = tuple[str, str]  # namespace, name
Backed = tuple[ServiceName, int]
"""A service in one IP version."""

_VERSIONS = {"IPv4": 4, "IPv6": 6}
_NOTHING_SAID = EndpointConditions()


class _Slice(NamedTuple):
    """What a slice says: each is its service, or None."""

    here: Backed | None = None
    ending: Backed | None = None
    anywhere: Backed | None = None


class Backing:
    """The endpoints behind services, as far as `node` is concerned."""

    def __init__(self, node: str) -> None:
        self._node = node
        self._here: dict[Key, Backed] = {}  # slices with a ready endpoint here
        self._ending: dict[Key, Backed] = {}  # with one here that is about to end and serves
        self._anywhere: dict[Key, Backed] = {}  # with a ready endpoint on any node

    def put(self, key: Key, value: EndpointSlice | None) -> bool:
        """Take in a slice, or its end (None). Whether `services` may be others now."""
        found = _Slice() if value is None else _read(value, self._node)
        before = self._anywhere.get(key)
        changed = put_in(self._here, key, found.here)
        changed |= put_in(self._ending, key, found.ending)
        if put_in(self._anywhere, key, found.anywhere) and self._ending:
            ending = self._ending.values()
            changed |= before in ending or found.anywhere in ending
        return changed

    def services(self) -> frozenset[Backed]:
        """Those whose traffic this node is to have, where their policy is Local."""
        here = frozenset(self._here.values())
        if not self._ending:
            return here
        return here | (frozenset(self._ending.values()) - frozenset(self._anywhere.values()))


def _read(value: EndpointSlice, node: str) -> _Slice:
    version = _VERSIONS.get(value.address_type)
    if version is None or not value.service:
        return _Slice()
    backed = (value.metadata.namespace, value.service), version
    ready = {each.node_name for each in value.endpoints if each.node_name and _is_ready(each)}
    return _Slice(
        backed if node in ready else None,
        backed if _ends_here(value.endpoints, node) else None,
        backed if ready else None,
    )


def _is_ready(endpoint: ServiceEndpoint) -> bool:
    conditions = endpoint.conditions or _NOTHING_SAID
    return conditions.ready is not False


def _ends_here(endpoints: Iterable[ServiceEndpoint], node: str) -> bool:
    """Whether one here is about to end and still takes connections."""
    for each in endpoints:
        conditions = each.conditions or _NOTHING_SAID
        if each.node_name == node and conditions.terminating and conditions.serving:
            return True
    return False
