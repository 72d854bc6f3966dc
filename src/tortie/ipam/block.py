"""The algebra of one block: which address is whose. Pure; each change gives a new block.

Ordinal i is the block's first address + i. It stands either in `unallocated` (a queue: what was
released last is given out last) or has in `allocations` the index of its holder in `attributes`.
An address that cools down has an attribute without a handle, with the time of its release: whoever
knows nothing of cooling takes it for held.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from msgspec.structs import replace

from tortie.api import AllocationAttribute, IPAMBlockSpec
from tortie.ipam.holders import ANYBODY, About, is_anothers
from tortie.ipam.types import Edges, ReleaseRequest
from tortie.net import Prefix, parse_network
from tortie.net.addresses import WIDTH

EDGES_HANDLE = "windows-reserved-ipam-handle"
"""Calico's, of addresses at the ends of a block that go to nobody; there is no such handle."""

_CHANGES_A_SECOND = 20  # bits: with the seconds, less than the 53 that JSON's readers keep

_LONG_AGO = datetime.min.replace(tzinfo=UTC)


class Taken(NamedTuple):
    """A block after addresses were taken from it, or given back to it."""

    block: IPAMBlockSpec
    addresses: tuple[Prefix, ...]


def size_of(cidr: Prefix) -> int:
    """How many addresses a CIDR has."""
    return 1 << (WIDTH[cidr.version] - cidr.length)


def empty_block(
    cidr: Prefix, affinity: str, strict: bool, now: str, edges: Edges | None = None
) -> IPAMBlockSpec:
    """A block that nobody holds an address of; those at its `edges` never go to anybody.

    It counts from the time on: a block that is made anew must not give an allocation the number
    that one of the block before it had, which somebody may still want to release.
    """
    size = size_of(cidr)
    fresh = IPAMBlockSpec(
        cidr=str(cidr),
        affinity=affinity,
        affinity_claim_time=now,
        strict_affinity=strict,
        allocations=(None,) * size,
        unallocated=tuple(range(size)),
        attributes=(),
        sequence_number=max(0, int(_time(now).timestamp())) << _CHANGES_A_SECOND,
    )
    if edges is None:
        return fresh
    taken = sorted({*range(min(edges.first, size)), *range(max(0, size - edges.last), size)})
    return _allocate(fresh, taken, holder(EDGES_HANDLE, {"note": "windows host rsvd"}))


def holder(handle: str, attributes: Mapping[str, str]) -> AllocationAttribute:
    """What a block notes of who holds an address."""
    return AllocationAttribute(handle_id=handle, secondary=dict(attributes))


def take(
    block: IPAMBlockSpec, count: int, by: AllocationAttribute, but: Collection[int] = ()
) -> Taken:
    """Up to `count` addresses, those free the longest first; none of the ordinals `but`."""
    ordinals = [ordinal for ordinal in block.unallocated if ordinal not in but][:count]
    if not ordinals:
        return Taken(block, ())
    return Taken(_allocate(block, ordinals, by), _addresses(block, ordinals))


def take_address(block: IPAMBlockSpec, address: Prefix, by: AllocationAttribute) -> IPAMBlockSpec:
    """This address, which must be free or cooling down. Raises ValueError if it is held."""
    ordinal = ordinal_of(block, address)
    if holder_of(block, address) is not None:
        raise ValueError(f"{address} is held already")
    if block.allocations[ordinal] is not None:
        block = _free(block, (ordinal,))
    return _allocate(block, (ordinal,), by)


def holder_of(block: IPAMBlockSpec, address: Prefix) -> AllocationAttribute | None:
    """Who holds an address; None: nobody."""
    index = block.allocations[ordinal_of(block, address)]
    found = None if index is None else block.attributes[index]
    return None if found is None or found.released_at else found


def held_by(block: IPAMBlockSpec, handle: str, by: About = ANYBODY) -> tuple[Prefix, ...]:
    """The addresses of a handle, in order, but for those noted as another's than `by`'s."""
    return _addresses(block, _ordinals_of(block, handle, by))


def release_handle(
    block: IPAMBlockSpec, handle: str, cooling_since: str = "", by: About = ANYBODY
) -> Taken:
    """Give back those addresses of a handle, to cool down from a time on (RFC 3339) where given."""
    return _given_back(block, _ordinals_of(block, handle, by), cooling_since)


def release(
    block: IPAMBlockSpec, requests: Iterable[ReleaseRequest], cooling_since: str = ""
) -> Taken:
    """Give back addresses; those that are free, or since then another's, are left as they are."""
    found = (ordinal_of(block, request.address) for request in requests if _applies(block, request))
    # Twice in the queue would be given out twice.
    return _given_back(block, list(dict.fromkeys(found)), cooling_since)


def cooling(block: IPAMBlockSpec) -> dict[int, str]:
    """The ordinals that cool down, each with the time of its release."""
    since = [attribute.released_at or "" for attribute in block.attributes]
    return {
        ordinal: since[index]
        for ordinal, index in enumerate(block.allocations)
        if index is not None and since[index]
    }


def cooled(block: IPAMBlockSpec, now: str, seconds: int) -> IPAMBlockSpec:
    """The block with what was released `seconds` before `now`, or earlier, free again.

    A time that can't be read counts as long ago.
    """
    done = [one for one, since in cooling(block).items() if is_past(since, now, seconds)]
    return _free(block, done) if done else block


def is_past(since: str, now: str, seconds: int) -> bool:
    """Whether at least that many seconds lie between two times."""
    return _time(since) + timedelta(seconds=seconds) <= _time(now)


def _time(text: str) -> datetime:
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return _LONG_AGO
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def touched(block: IPAMBlockSpec) -> IPAMBlockSpec:
    """The same block, changed: whoever read it before can no longer write it."""
    return replace(block, sequence_number=block.sequence_number + 1)


def is_sound(block: IPAMBlockSpec) -> bool:
    """Whether a block read from a datastore adds up: others write them too."""
    try:
        cidr = parse_network(block.cidr)
    except ValueError:
        return False
    free = [ordinal for ordinal, index in enumerate(block.allocations) if index is None]
    indices = {index for index in block.allocations if index is not None}
    return (
        len(block.allocations) == size_of(cidr)
        and sorted(block.unallocated) == free
        and all(0 <= index < len(block.attributes) for index in indices)
    )


def is_empty(block: IPAMBlockSpec) -> bool:
    """Whether nobody holds an address of it. What is kept free at its edges is nobody's."""
    edges = {index for index, one in enumerate(block.attributes) if one.handle_id == EDGES_HANDLE}
    return all(index is None or index in edges for index in block.allocations)


def with_holder(block: IPAMBlockSpec, address: Prefix, by: AllocationAttribute) -> IPAMBlockSpec:
    """With another note of who holds an address, which goes on being held since when it was."""
    ordinal = ordinal_of(block, address)
    known = by in block.attributes
    attributes = block.attributes if known else (*block.attributes, by)
    allocations = _mapped(block.allocations, {ordinal}, attributes.index(by))
    return _forgetting(replace(block, attributes=attributes), (), allocations)


def ordinal_of(block: IPAMBlockSpec, address: Prefix) -> int:
    """The place of an address in its block. Raises ValueError for one outside."""
    cidr = parse_network(block.cidr)
    if not cidr.contains(address):
        raise ValueError(f"{address} is not in the block {cidr}")
    return address.address - cidr.address


def _applies(block: IPAMBlockSpec, request: ReleaseRequest) -> bool:
    found = holder_of(block, request.address)
    if found is None:
        return False
    ordinal = str(ordinal_of(block, request.address))
    since = block.sequence_number_for_allocation.get(ordinal)
    return (request.handle is None or request.handle == found.handle_id) and (
        request.sequence is None or request.sequence == since
    )


def _ordinals_of(block: IPAMBlockSpec, handle: str, by: About) -> list[int]:
    wanted = {
        index
        for index, attribute in enumerate(block.attributes)
        if attribute.handle_id == handle
        and not attribute.released_at
        and not is_anothers(attribute.secondary, by)
    }
    return [ordinal for ordinal, index in enumerate(block.allocations) if index in wanted]


def _addresses(block: IPAMBlockSpec, ordinals: Iterable[int]) -> tuple[Prefix, ...]:
    cidr = parse_network(block.cidr)
    return tuple(Prefix.single(cidr.version, cidr.address + ordinal) for ordinal in ordinals)


def _allocate(
    block: IPAMBlockSpec, ordinals: Sequence[int], by: AllocationAttribute
) -> IPAMBlockSpec:
    known = by in block.attributes
    attributes = block.attributes if known else (*block.attributes, by)
    index = attributes.index(by)
    since = {str(ordinal): block.sequence_number for ordinal in ordinals}
    return replace(
        touched(block),
        attributes=attributes,
        allocations=_mapped(block.allocations, set(ordinals), index),
        unallocated=tuple(ordinal for ordinal in block.unallocated if ordinal not in ordinals),
        sequence_number_for_allocation=block.sequence_number_for_allocation | since,
    )


def _given_back(block: IPAMBlockSpec, ordinals: Sequence[int], cooling_since: str) -> Taken:
    """The block is changed in any case, so that whoever read it before can't write it."""
    addresses = _addresses(block, ordinals)
    if not cooling_since or not ordinals:
        return Taken(_free(block, ordinals), addresses)
    moment = AllocationAttribute(released_at=cooling_since)
    known = moment in block.attributes
    attributes = block.attributes if known else (*block.attributes, moment)
    allocations = _mapped(block.allocations, set(ordinals), attributes.index(moment))
    changed = replace(block, attributes=attributes)
    return Taken(_forgetting(changed, ordinals, allocations), addresses)


def _free(block: IPAMBlockSpec, ordinals: Sequence[int]) -> IPAMBlockSpec:
    allocations = _mapped(block.allocations, set(ordinals), None)
    queue = (*block.unallocated, *ordinals)
    return _forgetting(replace(block, unallocated=queue), ordinals, allocations)


def _forgetting(
    block: IPAMBlockSpec, ordinals: Sequence[int], allocations: Sequence[int | None]
) -> IPAMBlockSpec:
    """With these allocations, without the attributes that none of them names any more."""
    kept = sorted({index for index in allocations if index is not None})
    places = {old: new for new, old in enumerate(kept)}
    gone = {str(ordinal) for ordinal in ordinals}
    return replace(
        touched(block),
        attributes=tuple(block.attributes[index] for index in kept),
        allocations=tuple(None if index is None else places[index] for index in allocations),
        sequence_number_for_allocation={
            ordinal: since
            for ordinal, since in block.sequence_number_for_allocation.items()
            if ordinal not in gone
        },
    )


def _mapped(
    allocations: Sequence[int | None], ordinals: set[int], index: int | None
) -> tuple[int | None, ...]:
    return tuple(index if ordinal in ordinals else old for ordinal, old in enumerate(allocations))
