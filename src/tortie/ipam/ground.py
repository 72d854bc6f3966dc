"""What every request stands on: the stores' parts, and what holds at the moment."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import NamedTuple, cast

from tortie.api import (
    IPAMBlockSpec,
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
from tortie.ipam.block import held_by, holder_of
from tortie.ipam.errors import HandleTaken
from tortie.ipam.holders import ANYBODY, About, is_elsewhere
from tortie.ipam.names import CONFIGURATION, handle_key
from tortie.ipam.pools import Query, looks_at_namespaces, looks_at_nodes
from tortie.ipam.search import Search
from tortie.ipam.taking import Blocks
from tortie.ipam.terms import Terms, reserved_by
from tortie.ipam.types import AssignRequest
from tortie.ipam.words import whose
from tortie.net import Prefix, format_address, parse_network

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

    async def held(self, handle: IPAMHandle, by: About = ANYBODY) -> tuple[Prefix, ...]:
        """What a handle holds, each a /32 or /128, IPv4 first; nothing that is another's."""
        return _held(await self._blocks_of(handle), handle.spec.handle_id, by)

    async def kept(self, handle: IPAMHandle, by: About) -> tuple[Prefix, ...]:
        """The same for who wants addresses under the handle.

        Raises HandleTaken where it has none, and another of its node has. Containers of two nodes
        may be called alike: each has its own.
        """
        blocks, name = await self._blocks_of(handle), handle.spec.handle_id
        own = _held(blocks, name, by)
        for block in () if own else blocks:
            for address in held_by(block, name):
                noted = holder_of(block, address)
                if noted is not None and not is_elsewhere(noted.secondary, by):
                    raise _taken(address, name, noted.secondary, by)
        return own

    async def _blocks_of(self, handle: IPAMHandle) -> list[IPAMBlockSpec]:
        cidrs = sorted(parse_network(text) for text in handle.spec.block)
        blocks = [await self.affinities.block(cidr) for cidr in cidrs]
        return [block.spec for block in blocks if block is not None]

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


def _held(blocks: Sequence[IPAMBlockSpec], handle: str, by: About) -> tuple[Prefix, ...]:
    return tuple(address for block in blocks for address in held_by(block, handle, by))


def _taken(address: Prefix, handle: str, noted: About, by: About) -> HandleTaken:
    text = format_address(address.version, address.address)
    return HandleTaken(
        f"{whose(by) or 'this'} can't have addresses under handle {handle}: {whose(noted)} has "
        f"{text} under it, so one container id is used for both. Give the container an id of its "
        f"own, or remove the other; once that is gone, `tortie ipam release --ip {text}`"
    )


def _configuration(found: Together) -> IPAMConfigurationSpec:
    """One that can't be read says something that we don't know: nothing is given then."""
    one = found.objects[CONFIGURATION]
    if isinstance(one, DatastoreError):
        raise one
    return one.spec if isinstance(one, IPAMConfiguration) else IPAMConfigurationSpec()
