"""What is shown beside what is stored: endpoints of Pods, profiles of Namespaces and accounts.

They are what policy sees, so a person has to be able to see them too; they can't be changed, other
than by what they stand for.
"""

from collections.abc import Iterator

from tortie.api import Key, Resource
from tortie.datastore import Datastore, Malformed

_SOURCES = {
    "WorkloadEndpoint": ("WorkloadEndpoint", "Pod"),
    "Profile": ("Profile", "Namespace", "ServiceAccount"),
}


def sources_of(store: Datastore, kind: str) -> tuple[str, ...]:
    """The kinds of a store whose objects are shown as `kind`: some stores convert by themselves."""
    derived: frozenset[str] = getattr(store, "derived", frozenset())
    return (kind,) if kind in derived else _SOURCES.get(kind, (kind,))


def shown_as(kind: str, resource: Resource) -> tuple[Resource, ...]:
    """The resource, or what it stands for; nothing where it stands for nothing (yet)."""
    if resource.kind == kind:
        return (resource,)
    from tortie.kubernetes import conversion  # here: most kinds stand for themselves

    return conversion(resource).values


async def listed(
    store: Datastore, kind: str, namespace: str | None
) -> tuple[list[Resource], list[Malformed], int]:
    """All of a kind, what could not be read, and the revision to watch from."""
    resources: dict[Key, Resource] = {}
    malformed: list[Malformed] = []
    revision: int | None = None
    for source in reversed(sources_of(store, kind)):  # who stands for itself wins, as everywhere
        listing = await store.list(source, namespace)
        resources.update((one.key, one) for one in _shown(kind, listing.resources))
        malformed.extend(listing.malformed)
        # Of the lists that were taken, the oldest: watching from there misses nothing.
        revision = listing.revision if revision is None else min(revision, listing.revision)
    return [resources[key] for key in sorted(resources)], malformed, revision or 0


def _shown(kind: str, resources: tuple[Resource, ...]) -> Iterator[Resource]:
    for resource in resources:
        yield from shown_as(kind, resource)
