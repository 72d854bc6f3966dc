"""The door of address management: assign, release, look up."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import cast

from tortie.api import (
    AllocationAttribute,
    BlockAffinity,
    IPAMBlock,
    IPAMBlockSpec,
    IPAMConfiguration,
    IPAMConfigurationSpec,
    IPAMHandle,
    IPPool,
    IPReservation,
    Key,
)
from tortie.datastore import Datastore, DatastoreError, NotFound
from tortie.datastore.cluster import check_unlocked
from tortie.datastore.retry import ATTEMPTS, pause
from tortie.ipam.affinities import Affinities, belongs, claimant, claims_of
from tortie.ipam.block import Taken, held_by, holder, holder_of, is_sound, take_address
from tortie.ipam.errors import AlreadyAssigned, Exhausted, IpamError, NoPool
from tortie.ipam.names import CONFIGURATION, LOAD_BALANCER, Owner
from tortie.ipam.pools import (
    Query,
    Range,
    allows,
    looks_at_namespaces,
    looks_at_nodes,
    range_holding,
    select,
)
from tortie.ipam.search import Ask, Search
from tortie.ipam.taking import Blocks
from tortie.ipam.terms import Terms, reserved_by
from tortie.ipam.types import Assignment, AssignRequest, FixedRequest, ReleaseRequest
from tortie.net import Prefix, parse_network


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


class IPAM:
    """Addresses out of the pools of one datastore. All methods raise IpamError, DatastoreError.

    Calls for different handles may run at once, in any number of processes. For one handle, the
    caller lets them follow one another: whoever releases a handle while an assignment to it runs
    may take back what was just given.

    While the datastore is locked, nothing is given or taken back: Locked, a DatastoreError.
    """

    def __init__(
        self,
        store: Datastore,
        clock: Callable[[], str] = _now,
        gate: Callable[[Datastore], Awaitable[object]] = check_unlocked,
    ) -> None:
        """`gate` raises where nothing may be given or taken back now."""
        self._store = store
        self._gate = gate
        self._clock = clock
        self._affinities = Affinities(store, clock)
        self._blocks = Blocks(store, self._affinities)
        self._search = Search(store, self._blocks, self._affinities)

    async def auto_assign(self, request: AssignRequest) -> Assignment:
        """Addresses of the pools that fit: all that were asked for, or none and an error.

        Raises NoPool, Exhausted. After DatastoreError, `release_by_handle` gives back what may
        have been taken.
        """
        pools, terms, _ = await asyncio.gather(
            self._pools(), self._terms(), self._gate(self._store)
        )
        taken: list[Prefix] = []
        try:
            for version, count, requested in (
                (4, request.count4, request.pools4),
                (6, request.count6, request.pools6),
            ):
                if count:
                    ranges = select(pools, await self._query(request, version, requested, pools))
                    by = _holder(request, terms)
                    ask = Ask(_owner(request), count, ranges, by)
                    await self._search.find(ask, terms, taken)
        except (IpamError, DatastoreError):
            with suppress(DatastoreError):  # the first error counts; the handle tells of the rest
                await self._let_go(
                    [ReleaseRequest(address=one, handle=request.handle) for one in taken], ""
                )
            raise
        return Assignment(tuple(taken))

    async def assign_fixed(self, request: FixedRequest) -> Assignment:
        """This very address. One that the handle has already is given again.

        Raises NoPool where no pool has it, AlreadyAssigned where another handle has it, Exhausted
        where it is of another node's block and affinity is strict.
        """
        pools, terms, _ = await asyncio.gather(
            self._pools(), self._terms(), self._gate(self._store)
        )
        config = terms.config
        cidr = _pool_of(pools, request).block_of(request.address)
        by = _holder(request, terms)

        def choose(spec: IPAMBlockSpec) -> Taken:
            _check_fixed(spec, request, config.strict_affinity)
            if holder_of(spec, request.address) is not None:
                return Taken(spec, ())  # the handle's own already
            return Taken(take_address(spec, request.address, by), (request.address,))

        if await self._affinities.block(cidr) is None:
            await self._affinities.claim(_owner(request), cidr, config.strict_affinity)
        if not await self._blocks.take(cidr, None, by, choose):
            await self._check_held(cidr, request)
        return Assignment((request.address,))

    async def addresses_of(self, handle: str) -> tuple[Prefix, ...]:
        """What a handle holds, each a /32 or /128, IPv4 first."""
        found = await self._blocks.handles.get(handle)
        if found is None:
            return ()
        cidrs = sorted(parse_network(text) for text in found.spec.block)
        blocks = [await self._affinities.block(cidr) for cidr in cidrs]
        return tuple(
            address for block in blocks if block for address in held_by(block.spec, handle)
        )

    async def release_by_handle(self, handle: str) -> tuple[Prefix, ...]:
        """Give back all that a handle holds; returns it. A handle that holds nothing is fine."""
        since = await self._cooling_since()
        freed: list[Prefix] = []
        for attempt in range(ATTEMPTS):
            found = await self._blocks.handles.get(handle)
            if found is None:
                return tuple(freed)
            for text in found.spec.block:
                cidr = parse_network(text)
                freed += await self._blocks.release_handle(cidr, handle, since)
            if await self._blocks.handles.deleted(found):
                return tuple(freed)
            await pause(attempt)
        raise IpamError(f"handle {handle} got new addresses while it was released: retry")

    async def release(self, addresses: Iterable[Prefix | ReleaseRequest]) -> tuple[Prefix, ...]:
        """Give back addresses; returns those that were held. Free ones are fine."""
        requests = [
            address if isinstance(address, ReleaseRequest) else ReleaseRequest(address=address)
            for address in addresses
        ]
        if not requests:
            return ()
        return await self._let_go(requests, await self._cooling_since())

    async def forget_handle(self, found: IPAMHandle) -> bool:
        """Delete a handle that holds nothing and is still as it was read; whether that was so.

        Its blocks are changed first: an assignment that raised the handle and has not written its
        block yet fails, instead of leaving an address that nobody tells of.
        """
        await self._gate(self._store)
        for text in found.spec.block:
            if not await self._blocks.is_without(parse_network(text), found.spec.handle_id):
                return False
        return await self._blocks.handles.deleted(found)

    async def release_cooled(self) -> None:
        """Have what has cooled down free, and blocks gone that nobody has or uses any more."""
        terms, blocks, _ = await asyncio.gather(
            self._terms(), self._store.list("IPAMBlock"), self._gate(self._store)
        )
        for block in cast(tuple[IPAMBlock, ...], blocks.resources):
            if is_sound(block.spec) and terms.cooled(block.spec) != block.spec:
                await self._blocks.rewrite(parse_network(block.spec.cidr), terms.cooled)

    async def release_node(self, node: str) -> None:
        """Give up all blocks of a node that is gone. Addresses in use stay with their handles."""
        await self._gate(self._store)
        owner = Owner(node)
        claims = claims_of(owner, await self._store.list("BlockAffinity"))
        blocks = cast(tuple[IPAMBlock, ...], (await self._store.list("IPAMBlock")).resources)
        own = (block for block in blocks if belongs(block, owner) and is_sound(block.spec))
        cidrs = {claim.spec.cidr for claim in claims} | {block.spec.cidr for block in own}
        for cidr in sorted(cidrs):
            await self._affinities.release(owner, parse_network(cidr))

    async def release_block(self, node: str, cidr: Prefix) -> bool:
        """Give up one block of a node if nobody uses it; whether that was so."""
        await self._gate(self._store)
        return await self._affinities.release_empty(Owner(node), cidr)

    async def release_pool(self, pool: Prefix) -> None:
        """Give up all nodes' blocks of a pool. Addresses in use stay with their handles."""
        await self._gate(self._store)
        listing = await self._store.list("BlockAffinity")
        owners = set(map(claimant, cast(tuple[BlockAffinity, ...], listing.resources)))
        for owner in sorted(owners):
            for claim in claims_of(owner, listing):
                if pool.contains(cidr := parse_network(claim.spec.cidr)):
                    await self._affinities.release(owner, cidr)

    async def _check_held(self, cidr: Prefix, request: FixedRequest) -> None:
        """Nothing was taken: fine if the handle had it already."""
        block = await self._affinities.block(cidr)
        found = holder_of(block.spec, request.address) if block else None
        if found is None or (found.handle_id or "").lower() != request.handle.lower():
            raise IpamError(
                f"{request.address}: its block {cidr} is just being given up by another: retry"
            )

    async def _let_go(
        self, requests: Sequence[ReleaseRequest], cooling_since: str
    ) -> tuple[Prefix, ...]:
        freed: list[Prefix] = []
        for cidr, group in (await self._by_block(requests)).items():
            freed += await self._blocks.release(cidr, group, cooling_since)
        return tuple(freed)

    async def _by_block(
        self, requests: Sequence[ReleaseRequest]
    ) -> dict[Prefix, list[ReleaseRequest]]:
        listing = await self._store.list("IPAMBlock")
        blocks = cast(tuple[IPAMBlock, ...], listing.resources)
        cidrs = [parse_network(block.spec.cidr) for block in blocks if is_sound(block.spec)]
        groups: dict[Prefix, list[ReleaseRequest]] = {}
        for cidr in cidrs:
            inside = [request for request in requests if cidr.contains(request.address)]
            if inside:
                groups[cidr] = inside
        return groups

    async def _pools(self) -> tuple[IPPool, ...]:
        return cast(tuple[IPPool, ...], (await self._store.list("IPPool")).resources)

    async def _cooling_since(self) -> str:
        config, _ = await asyncio.gather(self._configuration(), self._gate(self._store))
        return Terms(config, (), self._clock()).cooling_since

    async def _terms(self) -> Terms:
        config, reservations = await asyncio.gather(
            self._configuration(), self._store.list("IPReservation")
        )
        reserved = reserved_by(cast(tuple[IPReservation, ...], reservations.resources))
        return Terms(config, reserved, self._clock())

    async def _configuration(self) -> IPAMConfigurationSpec:
        try:
            return cast(IPAMConfiguration, await self._store.get(CONFIGURATION)).spec
        except NotFound:
            return IPAMConfigurationSpec()

    async def _query(
        self,
        request: AssignRequest,
        version: int,
        requested: tuple[str, ...],
        pools: Sequence[IPPool],
    ) -> Query:
        namespace = request.namespace or request.attributes.get("namespace", "")
        node_labels: Mapping[str, str] = {}
        namespace_labels: Mapping[str, str] = {}
        if not requested and looks_at_nodes(pools):
            node_labels = await self._labels(Key("Node", "", request.node))
        if not requested and namespace and looks_at_namespaces(pools):
            namespace_labels = await self._labels(Key("Namespace", "", namespace))
        return Query(
            version,
            request.use,
            requested,
            request.node,
            node_labels,
            namespace,
            namespace_labels,
        )

    async def _labels(self, key: Key) -> Mapping[str, str]:
        try:
            return (await self._store.get(key)).metadata.labels
        except NotFound:
            return {}


def _owner(request: AssignRequest | FixedRequest) -> Owner:
    """A load balancer's address is no node's: its block is left to no node."""
    return LOAD_BALANCER if request.use == "LoadBalancer" else Owner(request.node)


def _holder(request: AssignRequest | FixedRequest, terms: Terms) -> AllocationAttribute:
    return holder(request.handle, {"timestamp": terms.now, **request.attributes})


def _pool_of(pools: Sequence[IPPool], request: FixedRequest) -> Range:
    for pool in pools:
        found = range_holding(pool, request.address)
        if found is None:
            continue
        if pool.spec.disabled:
            raise NoPool(f"{request.address} is of IPPool {found.name}, which is disabled")
        if not allows(pool, request.use):
            uses = ", ".join(pool.spec.allowed_uses)
            raise NoPool(
                f"{request.address} is of IPPool {found.name}, whose allowedUses is {uses}, "
                f"not {request.use}"
            )
        return found
    raise NoPool(f"{request.address} is in no IPPool: add one, or choose another address")


def _check_fixed(spec: IPAMBlockSpec, request: FixedRequest, strict: bool) -> None:
    found = holder_of(spec, request.address)
    if found is not None and (found.handle_id or "").lower() != request.handle.lower():
        raise AlreadyAssigned(
            f"{request.address} is held by {found.handle_id or 'somebody'} "
            f"({dict(found.secondary)}): release it there, or choose another"
        )
    if found is None and spec.affinity != str(_owner(request)) and (strict or spec.strict_affinity):
        raise Exhausted(
            f"{request.address} is of block {spec.cidr}, which belongs to {spec.affinity}: with "
            f"strictAffinity node {request.node} can't have it"
        )
