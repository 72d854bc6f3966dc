"""Handles: how many addresses of which blocks are released together.

A handle never tells less than what blocks hold for it: it is raised before an address is taken and
lowered after it is given back. After a crash in between it tells too much, which releasing mends;
too little would be an address that nobody finds.
"""

from collections.abc import Mapping
from contextlib import suppress

from msgspec.structs import replace

from tortie.api import IPAMHandle, IPAMHandleSpec, ObjectMeta, Resource
from tortie.datastore import AlreadyExists, Conflict, Datastore, NotFound
from tortie.datastore.retry import ATTEMPTS, pause
from tortie.ipam.errors import HandleFull, IpamError
from tortie.ipam.names import handle_key
from tortie.net import Prefix, parse_network


class Handles:
    """The handles of one datastore."""

    def __init__(self, store: Datastore) -> None:
        self._store = store

    async def get(self, handle: str) -> IPAMHandle | None:
        """The handle; None where it holds nothing."""
        return own(handle, await self._named(handle))

    async def _named(self, handle: str) -> IPAMHandle | None:
        """What is kept under its name; see `own`."""
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
                found = await self._named(handle)
                _check_own(handle, found)
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

    async def lowered(self, found: IPAMHandle, counts: Mapping[Prefix, int]) -> bool:
        """Note that many addresses less of a handle that is still as it was read; False if not."""
        changed = found
        for cidr, count in counts.items():
            changed = _changed(changed, cidr, -count)
        return changed == found or await self._written(changed)

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


def own(handle: str, found: object) -> IPAMHandle | None:
    """It, if it is this very handle: Kubernetes names two alike that differ in case only."""
    return found if isinstance(found, IPAMHandle) and found.spec.handle_id == handle else None


def _check_own(handle: str, found: IPAMHandle | None) -> None:
    if found is not None and own(handle, found) is None:
        raise IpamError(
            f"IPAM handle {handle} can't be kept: Kubernetes gives it the same name as "
            f"{found.spec.handle_id}, which is there. Use another name (of the container, or of "
            "the network), not only in upper or lower case"
        )


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
