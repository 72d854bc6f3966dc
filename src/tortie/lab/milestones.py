"""How far nodes must be told to know all that is in a datastore.

The revision of the last write may be one that no node is told of: in etcd it counts the keys of
others, and the reports of nodes.
"""

from typing import Protocol, runtime_checkable

from tortie.datastore import Datastore


@runtime_checkable
class Milestones(Protocol):
    """A datastore where others write, too, what nodes are not told of."""

    async def milestone(self) -> int:
        """The revision of a write that they are told of. Raises DatastoreError."""
        ...


async def last_told(store: Datastore) -> int:
    """A revision that whoever watches comes to, with all of now in it. Raises DatastoreError."""
    if isinstance(store, Milestones):
        return await store.milestone()
    return await store.revision()
