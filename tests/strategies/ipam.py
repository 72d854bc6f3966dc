"""Pools, what must always hold of blocks and handles, and a store whose operations wait."""

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Callable, Collection
from typing import Any, cast

from tortie.api import (
    BlockAffinity,
    IPAMBlock,
    IPAMConfiguration,
    IPAMConfigurationSpec,
    IPAMHandle,
    IPPool,
    IPPoolSpec,
    Key,
    ObjectMeta,
    Resource,
)
from tortie.datastore import Batch, Datastore, Listing, Unavailable
from tortie.datastore.memory import MemoryDatastore
from tortie.datastore.values import in_pages
from tortie.ipam import IPAM, AssignRequest


def pool(name: str, cidr: str, **spec: Any) -> IPPool:
    """An IPPool."""
    return IPPool(metadata=ObjectMeta(name=name), spec=IPPoolSpec(cidr=cidr, **spec))


def configuration(**spec: Any) -> IPAMConfiguration:
    """The IPAM configuration."""
    return IPAMConfiguration(
        metadata=ObjectMeta(name="default"), spec=IPAMConfigurationSpec(**spec)
    )


def run(*resources: Resource, scenario: Callable[[Datastore, IPAM], Awaitable[None]]) -> None:
    """Run a scenario over these resources; blocks and handles must agree at its end."""

    async def body() -> None:
        store = MemoryDatastore()
        for resource in resources:
            await store.create(resource)
        await scenario(store, IPAM(store))
        await check_consistent(store)

    asyncio.run(body())


def ask(node: str = "n1", handle: str = "h1", **more: Any) -> AssignRequest:
    """A request."""
    return AssignRequest(node=node, handle=handle, **more)


async def blocks_in(store: Datastore) -> list[IPAMBlock]:
    """All blocks."""
    return list(cast(tuple[IPAMBlock, ...], (await store.list("IPAMBlock")).resources))


async def check_consistent(store: Datastore) -> None:
    """What must hold at any moment, also just after a crash."""
    told = Counter[tuple[str, str]]()
    for handle in (await store.list("IPAMHandle")).resources:
        spec = cast(IPAMHandle, handle).spec
        told.update({(spec.handle_id, cidr): count for cidr, count in spec.block.items()})
    held = Counter[tuple[str, str]]()
    for block in await blocks_in(store):
        check_block(block)
        for index in block.spec.allocations:
            if index is not None and not block.spec.attributes[index].released_at:
                handle_id = block.spec.attributes[index].handle_id
                assert handle_id is not None
                held[handle_id, block.spec.cidr] += 1
    assert not held - told, "an address that its handle does not tell of is never released"
    claims = cast(tuple[BlockAffinity, ...], (await store.list("BlockAffinity")).resources)
    confirmed = [claim.spec.cidr for claim in claims if claim.spec.state == "confirmed"]
    assert len(set(confirmed)) == len(confirmed), "a block that two nodes believe to be theirs"


def check_block(block: IPAMBlock) -> None:
    """Each ordinal is either free, and queued once, or held by somebody who is noted once."""
    spec = block.spec
    free = [ordinal for ordinal, index in enumerate(spec.allocations) if index is None]
    assert sorted(spec.unallocated) == free
    used = {index for index in spec.allocations if index is not None}
    assert used == set(range(len(spec.attributes)))
    assert len(set(map(str, spec.attributes))) == len(spec.attributes)
    assert set(spec.sequence_number_for_allocation) == {
        str(ordinal)
        for ordinal, index in enumerate(spec.allocations)
        if index is not None and not spec.attributes[index].released_at
    }
    assert all(n < spec.sequence_number for n in spec.sequence_number_for_allocation.values())


class Crash(BaseException):
    """The process died here."""


class SteppedStore:
    """A store each of whose operations waits until `step` lets it happen, fail, or kill."""

    def __init__(self, store: Datastore) -> None:
        self._store = store
        self.waiting: list[asyncio.Future[str]] = []

    def step(self, index: int, verdict: str) -> None:
        """Let one waiting operation go: "do", "fail", "do, fail", "crash" or "do, crash"."""
        self.waiting.pop(index).set_result(verdict)

    async def _turn(self, operation: Callable[[], Awaitable[Any]]) -> Any:
        turn = asyncio.get_running_loop().create_future()
        self.waiting.append(turn)
        try:
            verdict = await turn
        except asyncio.CancelledError:
            if turn in self.waiting:
                self.waiting.remove(turn)
            raise
        answer = await operation() if verdict.startswith("do") else None
        if verdict.endswith("fail"):
            raise Unavailable("as told")
        if verdict.endswith("crash"):
            raise Crash
        return answer

    async def revision(self) -> int:
        return cast(int, await self._turn(self._store.revision))

    async def identity(self) -> str:
        return cast(str, await self._turn(self._store.identity))

    async def get(self, key: Key) -> Resource:
        return cast(Resource, await self._turn(lambda: self._store.get(key)))

    async def pages(
        self, kind: str, namespace: str | None = None, size: int = 500
    ) -> AsyncGenerator[Listing, None]:
        for page in in_pages(await self.list(kind, namespace), size):
            yield page

    async def list(self, kind: str, namespace: str | None = None) -> Listing:
        return cast(Listing, await self._turn(lambda: self._store.list(kind, namespace)))

    async def create(self, resource: Resource) -> Resource:
        return cast(Resource, await self._turn(lambda: self._store.create(resource)))

    async def update(self, resource: Resource) -> Resource:
        return cast(Resource, await self._turn(lambda: self._store.update(resource)))

    async def delete(self, key: Key, revision: int | None = None) -> Resource | None:
        return cast(Resource | None, await self._turn(lambda: self._store.delete(key, revision)))

    def watch(self, kinds: Collection[str], since: int) -> AsyncGenerator[Batch, None]:
        return self._store.watch(kinds, since)

    async def close(self) -> None:
        await self._store.close()
