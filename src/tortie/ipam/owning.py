"""Whose an address is, beside its handle: a VM keeps its address while its pods come and go.

The handle is the VM's. The pod that runs it is the active owner; while it moves, the pod that it
moves to is the alternate one. One write of the block changes both, so that no moment has two.
"""

from collections.abc import Mapping

from msgspec.structs import replace

from tortie.api import AllocationAttribute, IPAMBlockSpec
from tortie.datastore import Conflict
from tortie.datastore.retry import ATTEMPTS, pause
from tortie.ipam.block import held_by, holder_of, with_holder
from tortie.ipam.errors import OwnerChanged
from tortie.ipam.ground import Ground
from tortie.ipam.types import Owners, OwnersChange
from tortie.net import Prefix, parse_network


class Owning:
    """The owners of one datastore's addresses."""

    def __init__(self, ground: Ground) -> None:
        self._ground = ground

    async def of(self, handle: str) -> dict[Prefix, Owners]:
        """See `IPAM.owners_of`."""
        found = await self._ground.blocks.handles.get(handle)
        owners: dict[Prefix, Owners] = {}
        for cidr in sorted(parse_network(text) for text in (found.spec.block if found else ())):
            block = await self._ground.affinities.block(cidr)
            for address in held_by(block.spec, handle) if block else ():
                assert block is not None
                owner = holder_of(block.spec, address)
                assert owner is not None
                owners[address] = owners_in(owner)
        return owners

    async def change(self, change: OwnersChange) -> None:
        """See `IPAM.set_owners`."""
        await self._ground.check()
        cidr = await self._block_of(change)
        for attempt in range(ATTEMPTS):
            block = await self._ground.affinities.block(cidr)
            if block is None:
                raise _lost(change)
            spec = changed(block.spec, change)
            if spec == block.spec or await self._ground.blocks.write(block, spec):
                return
            await pause(attempt)
        raise Conflict(f"IPAM block {cidr} changed under {ATTEMPTS} attempts to write it: retry")

    async def _block_of(self, change: OwnersChange) -> Prefix:
        """The handle tells of its blocks; a pool's CIDR would only say where it ought to be."""
        found = await self._ground.blocks.handles.get(change.handle)
        for text in found.spec.block if found else ():
            if parse_network(text).contains(change.address):
                return parse_network(text)
        raise _lost(change)


def owners_in(holder: AllocationAttribute) -> Owners:
    """The owners that a block notes."""
    return Owners(
        handle=holder.handle_id or "",
        active=holder.secondary,
        alternate=holder.alternate_owner_attrs,
    )


def changed(spec: IPAMBlockSpec, change: OwnersChange) -> IPAMBlockSpec:
    """The block with other owners of one address. Pure. Raises OwnerChanged."""
    found = holder_of(spec, change.address)
    if found is None or found.handle_id != change.handle:
        raise _lost(change)
    _check(change, "active", found.secondary, change.expected_active)
    _check(change, "alternate", found.alternate_owner_attrs, change.expected_alternate)
    wanted = replace(
        found,
        secondary=_or(change.active, found.secondary),
        alternate_owner_attrs=_or(change.alternate, found.alternate_owner_attrs),
    )
    return spec if wanted == found else with_holder(spec, change.address, wanted)


def _or(wanted: Mapping[str, str] | None, there: Mapping[str, str]) -> dict[str, str]:
    return dict(there if wanted is None else wanted)


def _check(
    change: OwnersChange, which: str, there: Mapping[str, str], expected: Mapping[str, str] | None
) -> None:
    """Only what is expected counts: what else is noted, as a time, is nobody's identity."""
    if expected is None:
        return
    other = not expected and there
    if other or any(there.get(name) != value for name, value in expected.items()):
        raise OwnerChanged(
            f"{change.address}: its {which} owner is {dict(there) or 'nobody'}, not "
            f"{dict(expected) or 'nobody'}: read it again"
        )


def _lost(change: OwnersChange) -> OwnerChanged:
    return OwnerChanged(f"{change.address} is not held by {change.handle} any more")
