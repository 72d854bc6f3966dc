"""Handles: how many addresses of which blocks are released together.

A handle never tells less than what blocks hold for it: it is raised before an address is taken and
lowered after it is given back. After a crash in between it tells too much, which releasing mends;
too little would be an address that nobody finds.
"""

from contextlib import suppress

from msgspec.structs import replace

from tortie.api import IPAMHandle, IPAMHandleSpec, ObjectMeta, Resource
from tortie.datastore import AlreadyExists, Conflict, Datastore, NotFound
from tortie.datastore.retry import ATTEMPTS, pause
from tortie.ipam.errors import HandleFull
from tortie.ipam.names import handle_key
from tortie.net import Prefix, parse_network


class Handles:
    """The handles of one datastore."""

    def __init__(self, store: Datastore) -> None:
        self._store = store

    async def get(self, handle: str) -> IPAMHandle | None:
        """The handle; None where it holds nothing."""
        try:
            found = await self._store.get(handle_key(handle))
        except NotFound:
            return None
        assert isinstance(found, IPAMHandle)
        return found

    async def add(self, handle: str, cidr: Prefix, count: int, most: int = 0) -> None:
        """Note `count` addresses of a block more.

        Raises HandleFull where that were more than `most` of its IP version (0: any number). It
        is the handle's own write that decides: two that ask at once can't both get the last one.
        """
        _check_most(handle, {}, cidr, count, most)
        fresh = IPAMHandle(
            metadata=ObjectMeta(name=handle_key(handle).name),
            spec=IPAMHandleSpec(handle_id=handle, block={str(cidr): count}),
        )
        for attempt in range(ATTEMPTS):
            try:
                await self._store.create(fresh)  # the usual case: one address, one handle
                return
            except AlreadyExists:
                found = await self.get(handle)
            if found is not None:
                _check_most(handle, found.spec.block, cidr, count, most)
                if await self._written(_changed(found, cidr, count)):
                    return
            await pause(attempt)
        raise _contended(handle)

    async def remove(self, handle: str, cidr: Prefix, count: int) -> None:
        """Note `count` addresses of a block less; a handle without any is deleted."""
        for attempt in range(ATTEMPTS):
            found = await self.get(handle)
            if found is None:
                return
            changed = _changed(found, cidr, -count)
            if await (self._written(changed) if changed.spec.block else self.deleted(found)):
                return
            await pause(attempt)
        raise _contended(handle)

    async def deleted(self, found: IPAMHandle) -> bool:
        """Delete a handle that is still as it was read; False if it is not."""
        try:
            await self._store.delete(found.key, int(found.metadata.resource_version))
        except NotFound:
            return True
        except Conflict:
            return False
        return True

    async def _written(self, changed: Resource) -> bool:
        try:
            await self._store.update(changed)
        except (Conflict, NotFound):
            return False
        return True


def _check_most(handle: str, counts: dict[str, int], cidr: Prefix, count: int, most: int) -> None:
    if not most:
        return
    held = sum(number for text, number in counts.items() if _version(text) == cidr.version)
    if held + count > most:
        raise HandleFull(
            f"handle {handle} has {held} IPv{cidr.version} addresses of at most {most}: use those, "
            "or release it first"
        )


def _version(text: str) -> int:
    with suppress(ValueError):
        return parse_network(text).version
    return 0


def _changed(handle: IPAMHandle, cidr: Prefix, by: int) -> IPAMHandle:
    counts = dict(handle.spec.block)
    counts[str(cidr)] = counts.get(str(cidr), 0) + by
    kept = {block: count for block, count in counts.items() if count > 0}
    return replace(handle, spec=replace(handle.spec, block=kept))


def _contended(handle: str) -> Conflict:
    return Conflict(f"IPAM handle {handle} changed under {ATTEMPTS} attempts to write it: retry")
