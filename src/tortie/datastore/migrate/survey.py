"""What a datastore holds: of each object who it is and what makes it equal to another."""

from collections.abc import Callable, Collection
from contextlib import aclosing
from enum import Enum
from typing import NamedTuple

from tortie.api import Key, Resource
from tortie.datastore.contract import Datastore, Gone, Malformed
from tortie.datastore.migrate.content import digest_of
from tortie.datastore.migrate.order import CLUSTERS_OWN, ORDER

_LISTS = 3  # attempts at one kind whose history is compacted away meanwhile


class Target(Enum):
    """What a store keeps of what it is given."""

    PLAIN = "keeps every object under any name"
    ETCD = "names what IPAM keeps by what it says"
    KUBERNETES = "derives some kinds, and is the source of others"


class Found(NamedTuple):
    """One object. `resource` only where more than equality is asked of it."""

    digest: bytes
    revision: str
    resource: Resource | None


class Survey(NamedTuple):
    """All objects of some kinds, and those that can't be read."""

    objects: dict[Key, Found]
    malformed: tuple[Malformed, ...]


def derived_of(store: Datastore) -> frozenset[str]:
    """The kinds that a store derives from others instead of storing them."""
    found: frozenset[str] = getattr(store, "derived", frozenset())
    return found


def target_of(store: Datastore) -> Target:
    """What kind of store it is."""
    if derived_of(store):
        return Target.KUBERNETES
    return (
        Target.ETCD if type(store).__module__.startswith("tortie.datastore.etcd") else Target.PLAIN
    )


def stored_kinds(store: Datastore) -> tuple[str, ...]:
    """The kinds that a store keeps, in the order in which they are written."""
    derived = derived_of(store)
    return tuple(kind for kind in ORDER if kind not in derived)


async def survey(
    store: Datastore, kinds: Collection[str], seen: Callable[[str, int], None] | None = None
) -> Survey:
    """Read these kinds. `seen` hears of each page: its kind and number of objects.

    Raises DatastoreError.
    """
    objects: dict[Key, Found] = {}
    malformed: list[Malformed] = []
    whole = _kept_whole(target_of(store))
    for kind in kinds:
        for attempt in range(_LISTS):
            found: dict[Key, Found] = {}
            broken: list[Malformed] = []
            try:
                async with aclosing(store.pages(kind)) as pages:
                    async for page in pages:
                        broken += page.malformed
                        for one in page.resources:
                            kept = one if kind in whole else None
                            revision = one.metadata.resource_version
                            found[one.key] = Found(digest_of(one), revision, kept)
                        if seen is not None:
                            seen(kind, len(page.resources))
                break
            except Gone:
                if attempt == _LISTS - 1:
                    raise
        objects |= found
        malformed += broken
    return Survey(objects, tuple(malformed))


def _kept_whole(target: Target) -> frozenset[str]:
    if target is not Target.KUBERNETES:
        return frozenset({"Tier"})
    return CLUSTERS_OWN | {"Tier", "Node", "WorkloadEndpoint"}
