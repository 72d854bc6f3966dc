"""A virtual machine's addresses, while pods that run it come and go.

A pod's beginning takes the machine's addresses over, or assigns them the first time; its end only
says that it has them no more. While a machine moves, the pod that it moves to is the alternate
owner, until the move is over. What was given stays the machine's until the machine is gone, which
the collector of leaks finds.
"""

from collections.abc import Mapping
from contextlib import suppress

from msgspec.structs import replace

from tortie.ipam.errors import HandleFull, OwnerChanged
from tortie.ipam.service import IPAM
from tortie.ipam.types import AssignRequest, Owners, OwnersChange
from tortie.net import Prefix

_WHO = ("namespace", "pod")  # what tells one owner from another


async def begin(ipam: IPAM, request: AssignRequest, moving: bool) -> tuple[Prefix, ...]:
    """The machine's addresses, for the pod that `request.attributes` name; `moving` into it?

    One of each IP version that is asked for, whatever was asked for earlier. Raises IpamError.
    """
    held = await ipam.owners_of(request.handle)
    versions = {address.version for address in held}
    missing = replace(
        request,
        count4=int(bool(request.count4) and 4 not in versions),
        count6=int(bool(request.count6) and 6 not in versions),
        most=1,
    )
    for address, owners in held.items():
        await ipam.set_owners(taken_over(address, owners, request.attributes, moving))
    if missing.count4 or missing.count6:
        await _assigned(ipam, missing, bool(held))
    return tuple(sorted(await ipam.owners_of(request.handle)))


async def end(ipam: IPAM, handle: str, owner: Mapping[str, str]) -> None:
    """A pod has the machine's addresses no more; one that it was moving to has them alone."""
    for address, owners in (await ipam.owners_of(handle)).items():
        if (change := let_go(address, owners, owner)) is not None:
            with suppress(OwnerChanged):  # another pod has taken it over meanwhile
                await ipam.set_owners(change)


async def moved(ipam: IPAM, handle: str, owner: Mapping[str, str]) -> None:
    """The move is over: the pod that was the alternate owner is the active one. Raises
    OwnerChanged where it is neither.
    """
    for address, owners in (await ipam.owners_of(handle)).items():
        if not _same(owners.active, owner):
            await ipam.set_owners(
                OwnersChange(
                    address=address,
                    handle=handle,
                    active=dict(owners.alternate),
                    alternate={},
                    expected_alternate=_who(owner),
                )
            )


def taken_over(
    address: Prefix, owners: Owners, owner: Mapping[str, str], moving: bool
) -> OwnersChange:
    """What a pod's beginning makes of the owners. Pure."""
    change = OwnersChange(
        address=address,
        handle=owners.handle,
        expected_active=_who(owners.active),
        expected_alternate=_who(owners.alternate),
    )
    mine = _same(owners.active, owner)
    if moving and owners.active and not mine:
        return replace(change, alternate=dict(owner))
    active = {**_kept(owners), **owner}
    if mine and not _same(owners.alternate, owner):
        return replace(change, active=active)  # once more, while it may move away
    return replace(change, active=active, alternate={})


def let_go(address: Prefix, owners: Owners, owner: Mapping[str, str]) -> OwnersChange | None:
    """What a pod's end makes of the owners; None: it had nothing. Pure."""
    change = OwnersChange(
        address=address,
        handle=owners.handle,
        expected_active=_who(owners.active),
        expected_alternate=_who(owners.alternate),
    )
    if _same(owners.active, owner):
        return replace(change, active=dict(owners.alternate), alternate={})
    if _same(owners.alternate, owner):
        return replace(change, alternate={})
    return None


async def _assigned(ipam: IPAM, request: AssignRequest, some: bool) -> None:
    """A handle that says it is full and holds nothing was left so by a crash."""
    try:
        await ipam.auto_assign(request)
    except HandleFull:
        if some or await ipam.addresses_of(request.handle):
            raise
        await ipam.release_by_handle(request.handle)
        await ipam.auto_assign(request)


def _kept(owners: Owners) -> dict[str, str]:
    """Since when it is held."""
    return {name: owners.active[name] for name in ("timestamp",) if name in owners.active}


def _who(owner: Mapping[str, str]) -> dict[str, str]:
    return {name: owner[name] for name in _WHO if name in owner}


def _same(one: Mapping[str, str], other: Mapping[str, str]) -> bool:
    return bool(_who(one)) and _who(one) == _who(other)
