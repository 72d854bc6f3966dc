"""Read, change, write; again if somebody else was faster."""

import random
from collections.abc import Callable

from tortie.api import Key, Resource
from tortie.datastore.contract import Conflict, Datastore

ATTEMPTS = 100  # each failed one means that some other writer succeeded
_SHORTEST, _LONGEST = 0.0005, 0.1  # seconds


async def pause(attempt: int) -> None:
    """Wait after a lost race, at random and longer each time.

    Without it, writers that take turns on one connection can lose in the same order for ever.
    """
    import asyncio  # here, so that a command that never loses a race does not load it

    await asyncio.sleep(random.uniform(0, min(_LONGEST, _SHORTEST * 2 ** min(attempt, 10))))


async def update_with(
    store: Datastore, key: Key, change: Callable[[Resource], Resource | None]
) -> Resource:
    """Replace the object of `key` by `change` of it; None from `change` leaves it as it is.

    `change` may run several times, always on what was last read. Returns what is stored at the
    end. Raises NotFound, and Conflict after `ATTEMPTS` lost races.
    """
    for attempt in range(ATTEMPTS):
        current = await store.get(key)
        wanted = change(current)
        if wanted is None:
            return current
        try:
            return await store.update(wanted)
        except Conflict:
            await pause(attempt)
    raise Conflict(f"{key} changed under each of {ATTEMPTS} attempts to update it: try again later")
