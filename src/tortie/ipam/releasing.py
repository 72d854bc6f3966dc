"""Giving back: addresses, handles, blocks."""

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import cast

from tortie.api import BlockAffinity, IPAMBlock, IPAMHandle
from tortie.ipam.affinities import belongs, claimant, claims_of
from tortie.ipam.block import is_sound
from tortie.ipam.errors import IpamError
from tortie.ipam.ground import Ground
from tortie.ipam.names import Owner
from tortie.ipam.types import ReleaseRequest
from tortie.net import Prefix, parse_network


class Releasing:
    """What one datastore's nodes, pods and people give back."""

    def __init__(self, ground: Ground) -> None:
        self._ground = ground
        self._store = ground.store

    async def addresses(self, addresses: Iterable[Prefix | ReleaseRequest]) -> tuple[Prefix, ...]:
        """See `IPAM.release`."""
        requests = [
            address if isinstance(address, ReleaseRequest) else ReleaseRequest(address=address)
            for address in addresses
        ]
        if not requests:
            return ()
        return await self.let_go(requests, await self._ground.cooling_since())

    async def let_go(
        self, requests: Sequence[ReleaseRequest], cooling_since: str
    ) -> tuple[Prefix, ...]:
        """Give them back, to cool down where a time is given."""
        freed: list[Prefix] = []
        if requests:
            for cidr, group in (await self._by_block(requests)).items():
                freed += await self._ground.blocks.release(cidr, group, cooling_since)
        return tuple(freed)

    async def forget_handle(self, found: IPAMHandle) -> bool:
        """See `IPAM.forget_handle`."""
        await self._ground.check()
        for text in found.spec.block:
            cidr = parse_network(text)
            if not await self._ground.blocks.is_without(cidr, found.spec.handle_id):
                return False
        return await self._ground.blocks.handles.deleted(found)

    async def cooled(self) -> None:
        """See `IPAM.release_cooled`."""
        ground = self._ground
        terms, blocks = await asyncio.gather(ground.terms(), self._store.list("IPAMBlock"))
        for block in cast(tuple[IPAMBlock, ...], blocks.resources):
            if is_sound(block.spec) and terms.cooled(block.spec) != block.spec:
                await ground.blocks.rewrite(parse_network(block.spec.cidr), terms.cooled)

    async def node(self, node: str) -> None:
        """See `IPAM.release_node`."""
        await self._ground.check()
        owner = Owner(node)
        claims = claims_of(owner, await self._store.list("BlockAffinity"))
        blocks = cast(tuple[IPAMBlock, ...], (await self._store.list("IPAMBlock")).resources)
        own = (block for block in blocks if belongs(block, owner) and is_sound(block.spec))
        cidrs = {claim.spec.cidr for claim in claims} | {block.spec.cidr for block in own}
        await self._each((owner, parse_network(cidr)) for cidr in sorted(cidrs))

    async def block(self, owner: Owner, cidr: Prefix) -> bool:
        """See `IPAM.release_block`."""
        await self._ground.check()
        return await self._ground.affinities.release_empty(owner, cidr)

    async def pool(self, pool: Prefix, others: tuple[Prefix, ...]) -> None:
        """See `IPAM.release_pool`."""
        await self._ground.check()
        listing = await self._store.list("BlockAffinity")
        owners = set(map(claimant, cast(tuple[BlockAffinity, ...], listing.resources)))
        claims = [(owner, one) for owner in sorted(owners) for one in claims_of(owner, listing)]
        found = [(owner, parse_network(claim.spec.cidr)) for owner, claim in claims]
        await self._each(
            (owner, cidr)
            for owner, cidr in found
            if pool.contains(cidr) and not any(other.contains(cidr) for other in others)
        )

    async def _each(self, blocks: Iterable[tuple[Owner, Prefix]]) -> None:
        """Give up each. One that does not add up stops only itself; it is told at the end."""
        problems = []
        for owner, cidr in blocks:
            try:
                await self._ground.affinities.release(owner, cidr)
            except IpamError as problem:
                problems.append(problem)
        if problems:
            raise problems[0]

    async def _by_block(
        self, requests: Sequence[ReleaseRequest]
    ) -> dict[Prefix, list[ReleaseRequest]]:
        listing = await self._store.list("IPAMBlock")
        blocks = cast(tuple[IPAMBlock, ...], listing.resources)
        cidrs = {parse_network(block.spec.cidr) for block in blocks if is_sound(block.spec)}
        lengths = {cidr.length for cidr in cidrs}
        groups: defaultdict[Prefix, list[ReleaseRequest]] = defaultdict(list)
        for request in requests:
            version, address, most = request.address
            for length in lengths:  # few: a cluster has thousands of blocks, and of two sizes
                if length <= most and (cidr := Prefix(version, address, length).network) in cidrs:
                    groups[cidr].append(request)
        return groups
