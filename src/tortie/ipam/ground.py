"""What every request stands on: the stores' parts, and what holds at the moment."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import cast

from tortie.api import (
    IPAMConfiguration,
    IPAMConfigurationSpec,
    IPPool,
    IPReservation,
    Key,
)
from tortie.datastore import Datastore, NotFound
from tortie.datastore.cluster import check_unlocked
from tortie.ipam.affinities import Affinities
from tortie.ipam.names import CONFIGURATION
from tortie.ipam.pools import Query, looks_at_namespaces, looks_at_nodes
from tortie.ipam.search import Search
from tortie.ipam.taking import Blocks
from tortie.ipam.terms import Terms, reserved_by
from tortie.ipam.types import AssignRequest

Gate = Callable[[Datastore], Awaitable[object]]


def now() -> str:
    """The time, RFC 3339."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


class Ground:
    """One datastore's. `gate` raises where nothing may be given or taken back now."""

    def __init__(
        self, store: Datastore, clock: Callable[[], str] = now, gate: Gate = check_unlocked
    ) -> None:
        self.store = store
        self.clock = clock
        self._gate = gate
        self.affinities = Affinities(store, clock)
        self.blocks = Blocks(store, self.affinities)
        self.search = Search(store, self.blocks, self.affinities)

    async def check(self) -> None:
        """Raise where nothing may be given or taken back now."""
        await self._gate(self.store)

    async def picture(self) -> tuple[tuple[IPPool, ...], Terms]:
        """The pools and the terms, where something may be given."""
        pools, terms, _ = await asyncio.gather(self.pools(), self.terms(), self.check())
        return pools, terms

    async def pools(self) -> tuple[IPPool, ...]:
        """All of them."""
        return cast(tuple[IPPool, ...], (await self.store.list("IPPool")).resources)

    async def terms(self) -> Terms:
        """What holds for all requests now."""
        config, reservations = await asyncio.gather(
            self._configuration(), self.store.list("IPReservation")
        )
        reserved = reserved_by(cast(tuple[IPReservation, ...], reservations.resources))
        return Terms(config, reserved, self.clock())

    async def cooling_since(self) -> str:
        """From when on what is released now cools down; empty: it does not."""
        config, _ = await asyncio.gather(self._configuration(), self.check())
        return Terms(config, (), self.clock()).cooling_since

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

    async def _configuration(self) -> IPAMConfigurationSpec:
        try:
            return cast(IPAMConfiguration, await self.store.get(CONFIGURATION)).spec
        except NotFound:
            return IPAMConfigurationSpec()

    async def _labels(self, key: Key) -> Mapping[str, str]:
        try:
            return (await self.store.get(key)).metadata.labels
        except NotFound:
            return {}
