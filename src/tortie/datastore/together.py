"""Several reads as one: at one moment and in one request where the store can, else side by side."""

import asyncio
from collections.abc import Sequence
from typing import NamedTuple

from tortie.api import Key, Resource
from tortie.datastore.contract import (
    Datastore,
    DatastoreError,
    Forbidden,
    NotFound,
    Unavailable,
)

Found = Resource | DatastoreError | None
"""An object, why the one that is there can't be read, or that there is none."""


class Together(NamedTuple):
    """All objects of some kinds, and some objects by their keys. What can't be read is left out of
    the lists.
    """

    lists: dict[str, tuple[Resource, ...]]
    objects: dict[Key, Found]


async def read_together(store: Datastore, kinds: Sequence[str], keys: Sequence[Key]) -> Together:
    """For kinds of which there are few. Raises Unavailable, Forbidden."""
    together = getattr(getattr(store, "inner", store), "together", None)
    if together is not None:
        found: Together = await together(kinds, keys)
        return found
    listings = asyncio.gather(*(store.list(kind) for kind in kinds))
    objects = asyncio.gather(*(_found(store, key) for key in keys))
    lists, others = await asyncio.gather(listings, objects)
    return Together(
        {kind: one.resources for kind, one in zip(kinds, lists, strict=True)},
        dict(zip(keys, others, strict=True)),
    )


async def _found(store: Datastore, key: Key) -> Found:
    try:
        return await store.get(key)
    except NotFound:
        return None
    except (Unavailable, Forbidden):
        raise
    except DatastoreError as error:
        return error
