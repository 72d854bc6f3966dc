"""What every request stands on: the stores' parts, and what holds at the moment."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import NamedTuple, cast

from tortie.api import (
    IPAMConfiguration,
    IPAMConfigurationSpec,
    IPAMHandle,
    IPPool,
    IPReservation,
    Key,
)
from tortie.datastore import Datastore, DatastoreError, NotFound
from tortie.datastore.cluster import CLUSTER, refuse_locked
from tortie.datastore.together import Found, Together, read_together
from tortie.ipam.affinities import Affinities
from tortie.ipam.block import held_by
from tortie.ipam.names import CONFIGURATION, handle_key
from tortie.ipam.pools import Query, looks_at_namespaces, looks_at_nodes
from tortie.ipam.search import Search
from tortie.ipam.taking import Blocks
from tortie.ipam.terms import Terms, reserved_by
from tortie.ipam.types import AssignRequest
from tortie.net import Prefix, parse_network

Gate = Callable[[object], None]
"""Raises where nothing may be given or taken back, for what ClusterInformation says."""


def now() -> str:
    """The time, RFC 3339."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


class Picture(NamedTuple):
    """What holds at a moment, and the handles that were asked for."""

    pools: tuple[IPPool, ...]
    terms: Terms
    handles: Mapping[str, Found]


class Ground:
    """One datastore's. `gate` raises where nothing may be given or taken back now: while the
    datastore is locked, unless said otherwise.
    """

    def __init__(
        self, store: Datastore, clock: Callable[[], str] = now, gate: Gate = refuse_locked
    ) -> None:
        self.store = store
        self.clock = clock
        self._gate = gate
        self.affinities = Affinities(store, clock)
        self.blocks = Blocks(store, self.affinities)
        self.search = Search(store, self.blocks, self.affinities)

    async def check(self) -> None:
        """Raise where nothing may be given or taken back now."""
        await self._read((), (CLUSTER,))

    async def picture(self, handles: Iterable[str] = ()) -> Picture:
        """Where something may be given."""
        keys = {handle: handle_key(handle) for handle in handles}
        found = await self._read(
            ("IPPool", "IPReservation"), (CONFIGURATION, CLUSTER, *keys.values())
        )
        pools = cast(tuple[IPPool, ...], found.lists["IPPool"])
        there = {handle: found.objects[key] for handle, key in keys.items()}
        return Picture(pools, self._terms(found), there)

    async def held(self, handle: IPAMHandle) -> tuple[Prefix, ...]:
        """What a handle holds, each a /32 or /128, IPv4 first."""
        cidrs = sorted(parse_network(text) for text in handle.spec.block)
        blocks = [await self.affinities.block(cidr) for cidr in cidrs]
        name = handle.spec.handle_id
        return tuple(address for block in blocks if block for address in held_by(block.spec, name))

    async def terms(self) -> Terms:
        """What holds for all requests now, where something may be given or taken back."""
        return self._terms(await self._read(("IPReservation",), (CONFIGURATION, CLUSTER)))

    async def cooling_since(self) -> str:
        """From when on what is released now cools down; empty: it does not."""
        return (await self.giving_back(()))[0]

    async def giving_back(self, handles: Iterable[str]) -> tuple[str, Mapping[str, Found]]:
        """The same, and handles of which something is to be given back."""
        keys = {handle: handle_key(handle) for handle in handles}
        found = await self._read((), (CONFIGURATION, CLUSTER, *keys.values()))
        since = Terms(_configuration(found), (), self.clock()).cooling_since
        return since, {handle: found.objects[key] for handle, key in keys.items()}

    async def query(
        self,
        request: AssignRequest,
        version: int,
        requested: tuple[str, ...],
        pools: Sequence[IPPool],
    ) -> Query:
        """What a pool must be meant for. Labels are read only where some pool asks for them."""
        namespace = request.namespace or request.attributes.get("namespace", "")
        node_labels: Mapping[str, str] = {}
        namespace_labels = request.namespace_labels or {}
        if not requested and looks_at_nodes(pools):
            node_labels = await self._labels(Key("Node", "", request.node))
        unknown = request.namespace_labels is None and namespace
        if not requested and unknown and looks_at_namespaces(pools):
            namespace_labels = await self._labels(Key("Namespace", "", namespace))
        return Query(
            version, request.use, requested, request.node, node_labels, namespace, namespace_labels
        )

    async def _read(self, kinds: Sequence[str], keys: Sequence[Key]) -> Together:
        """What is asked for, once the lock, which is among it, does not forbid to go on."""
        found = await read_together(self.store, kinds, keys)
        self._gate(found.objects[CLUSTER])
        return found

    def _terms(self, found: Together) -> Terms:
        reserved = reserved_by(cast(tuple[IPReservation, ...], found.lists["IPReservation"]))
        return Terms(_configuration(found), reserved, self.clock())

    async def _labels(self, key: Key) -> Mapping[str, str]:
        try:
            return (await self.store.get(key)).metadata.labels
        except NotFound:
            return {}


def _configuration(found: Together) -> IPAMConfigurationSpec:
    """One that can't be read says something that we don't know: nothing is given then."""
    one = found.objects[CONFIGURATION]
    if isinstance(one, DatastoreError):
        raise one
    return one.spec if isinstance(one, IPAMConfiguration) else IPAMConfigurationSpec()
