"""One pool as several smaller ones. No address changes its holder, no moment is without a pool.

The new pools are written first, with all of the old one's settings, then the old one goes: while
both are there, the longer prefix says the same as the shorter one.
"""

from msgspec.structs import replace

from tortie.api import IPPool, ObjectMeta
from tortie.datastore import AlreadyExists, Datastore
from tortie.ipam.errors import IpamError
from tortie.ipam.pools import range_of
from tortie.net import Prefix
from tortie.net.addresses import WIDTH


def split(pool: IPPool, count: int) -> tuple[IPPool, ...]:
    """The pools that take its place: `split-NAME-0` and so on. Pure.

    Raises IpamError where that many can't be made of it.
    """
    found = range_of(pool)
    bits = count.bit_length() - 1
    if count < 2 or count != 1 << bits:
        raise IpamError(f"a pool can be split into 2, 4, 8 and so on, not into {count}")
    length = found.cidr.length + bits
    if length > found.block_length:
        most = 1 << (found.block_length - found.cidr.length)
        raise IpamError(
            f"IPPool {found.name} ({found.cidr}) has {most} blocks of /{found.block_length}: it "
            f"can't be split into {count}"
        )
    size = 1 << (WIDTH[found.cidr.version] - length)
    cidrs = (
        Prefix(found.cidr.version, found.cidr.address + number * size, length)
        for number in range(count)
    )
    return tuple(_part(pool, number, cidr) for number, cidr in enumerate(cidrs))


def _part(pool: IPPool, number: int, cidr: Prefix) -> IPPool:
    own = pool.metadata
    metadata = ObjectMeta(
        name=f"split-{own.name}-{number}", labels=own.labels, annotations=own.annotations
    )
    return IPPool(metadata=metadata, spec=replace(pool.spec, cidr=str(cidr)))


async def split_pool(store: Datastore, pool: IPPool, count: int) -> tuple[IPPool, ...]:
    """Put them in its place. May be done again where it ended half way.

    Raises IpamError, DatastoreError.
    """
    parts = split(pool, count)
    for part in parts:
        try:
            await store.create(part)
        except AlreadyExists:
            found = await store.get(part.key)
            if not isinstance(found, IPPool) or found.spec != part.spec:
                raise IpamError(
                    f"there is another {part.key} already: rename or delete it"
                ) from None
    await store.delete(pool.key, int(pool.metadata.resource_version))
    return parts
