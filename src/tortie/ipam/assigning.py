"""Assigning: any addresses of pools that fit, or one by name."""

from collections.abc import Sequence
from contextlib import suppress

from tortie.api import AllocationAttribute, IPAMBlockSpec, IPPool
from tortie.datastore import DatastoreError
from tortie.ipam.block import Taken, holder, holder_of, take_address
from tortie.ipam.errors import AlreadyAssigned, Exhausted, IpamError, NoPool
from tortie.ipam.ground import Ground
from tortie.ipam.holders import is_anothers
from tortie.ipam.names import LOAD_BALANCER, Owner
from tortie.ipam.pools import Range, allows, range_holding, select
from tortie.ipam.releasing import Releasing
from tortie.ipam.search import Ask
from tortie.ipam.standing import standings
from tortie.ipam.terms import Terms
from tortie.ipam.types import Assignment, AssignRequest, FixedRequest, ReleaseRequest
from tortie.ipam.words import whose
from tortie.net import Prefix, format_address


class Assigning:
    """The assignments of one datastore."""

    def __init__(self, ground: Ground, releasing: Releasing) -> None:
        self._ground = ground
        self._releasing = releasing

    async def auto(self, request: AssignRequest) -> Assignment:
        """See `IPAM.auto_assign`."""
        pools, terms, _ = await self._ground.picture()
        taken: list[Prefix] = []
        try:
            for version in (4, 6):
                if request.count(version):
                    ask = await self.ask(request, version, pools, terms)
                    await self._ground.search.find(ask, terms, taken)
        except (IpamError, DatastoreError):
            with suppress(DatastoreError):  # the first error counts; the handle tells of the rest
                await self._releasing.let_go(
                    [ReleaseRequest(address=one, handle=request.handle) for one in taken], ""
                )
            raise
        return Assignment(tuple(taken))

    async def block(self, request: AssignRequest) -> Prefix:
        """See `IPAM.ensure_block`."""
        pools, terms, _ = await self._ground.picture()
        ask = await self.ask(request, 4 if request.count4 else 6, pools, terms)
        return await self._ground.search.own_block(ask._replace(number=1), terms)

    async def ask(
        self, request: AssignRequest, version: int, pools: Sequence[IPPool], terms: Terms
    ) -> Ask:
        """What a request wants of an IP version. Raises NoPool."""
        query = await self._ground.query(request, version, request.pools(version), pools)
        return Ask(
            _owner(request),
            request.count(version),
            select(pools, query),
            _holder(request, terms),
            request.most,
            request.most_blocks,
            request.edges,
        )

    async def fixed(self, request: FixedRequest) -> Assignment:
        """See `IPAM.assign_fixed`."""
        pools, terms, _ = await self._ground.picture()
        strict = terms.config.strict_affinity
        cidr = _pool_of(pools, request).block_of(request.address)
        by = _holder(request, terms)

        def choose(spec: IPAMBlockSpec) -> Taken:
            _check_fixed(spec, request, strict)
            if holder_of(spec, request.address) is not None:
                return Taken(spec, ())  # the handle's own already
            return Taken(take_address(spec, request.address, by), (request.address,))

        if await self._ground.affinities.block(cidr) is None:
            await self._ground.search.check_apart(cidr)
            await self._ground.affinities.claim(_owner(request), cidr, strict)
        if not await self._ground.blocks.take(cidr, None, by, choose, request.most):
            await self._check_held(cidr, request)
        return Assignment((request.address,))

    async def _check_held(self, cidr: Prefix, request: FixedRequest) -> None:
        """Nothing was taken: fine if the handle had it already."""
        block = await self._ground.affinities.block(cidr)
        found = holder_of(block.spec, request.address) if block else None
        if found is None or not _is_held_by(found, request):
            raise IpamError(
                f"{request.address}: its block {cidr} is just being given up by another: retry"
            )


def _owner(request: AssignRequest | FixedRequest) -> Owner:
    """A load balancer's address is no node's: its block is left to no node."""
    return LOAD_BALANCER if request.use == "LoadBalancer" else Owner(request.node)


def _holder(request: AssignRequest | FixedRequest, terms: Terms) -> AllocationAttribute:
    return holder(request.handle, {"timestamp": terms.now, **request.attributes})


def _pool_of(pools: Sequence[IPPool], request: FixedRequest) -> Range:
    standing = standings(pools)
    reasons: list[str] = []
    for pool in pools:
        found = range_holding(pool, request.address)
        if found is None:
            continue
        if not standing[found.name].is_allocatable:
            reasons.append(f"IPPool {found.name}, which is not used: {standing[found.name].text}")
        elif not allows(pool, request.use):
            uses = ", ".join(pool.spec.allowed_uses)
            reasons.append(f"IPPool {found.name}, whose allowedUses is {uses}, not {request.use}")
        else:
            return found
    if reasons:
        raise NoPool(f"{request.address} is of {'; and of '.join(reasons)}")
    raise NoPool(f"{request.address} is in no IPPool: add one, or choose another address")


def _is_held_by(found: AllocationAttribute, request: FixedRequest) -> bool:
    return found.handle_id == request.handle and not is_anothers(
        found.secondary, request.attributes
    )


def _check_fixed(spec: IPAMBlockSpec, request: FixedRequest, strict: bool) -> None:
    found = holder_of(spec, request.address)
    if found is not None and not _is_held_by(found, request):
        text = format_address(request.address.version, request.address.address)
        raise AlreadyAssigned(
            f"{text} is held by {whose(found.secondary) or 'somebody'} (handle "
            f"{found.handle_id or '-'}): release it there, or choose another"
        )
    if found is None and spec.affinity != str(_owner(request)) and (strict or spec.strict_affinity):
        raise Exhausted(
            f"{request.address} is of block {spec.cidr}, which belongs to {spec.affinity}: with "
            f"strictAffinity node {request.node} can't have it"
        )
