"""What is shown beside what is stored: endpoints of Pods, profiles of Namespaces and accounts.

They are what policy sees, so a person has to be able to see them too; they can't be changed, other
than by what they stand for.
"""

from collections.abc import Iterator

from tortie.api import Resource
from tortie.datastore import Datastore, Malformed

_SOURCES = {
    "WorkloadEndpoint": ("WorkloadEndpoint", "Pod"),
    "Profile": ("Profile", "Namespace", "ServiceAccount"),
}


def sources_of(kind: str) -> tuple[str, ...]:
    """The stored kinds whose objects are shown as `kind`."""
    return _SOURCES.get(kind, (kind,))


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
    resources: list[Resource] = []
    malformed: list[Malformed] = []
    revision: int | None = None
    for source in sources_of(kind):
        listing = await store.list(source, namespace)
        resources.extend(_shown(kind, listing.resources))
        malformed.extend(listing.malformed)
        # Of the lists that were taken, the oldest: watching from there misses nothing.
        revision = listing.revision if revision is None else min(revision, listing.revision)
    return sorted(resources, key=lambda resource: resource.key), malformed, revision or 0


def _shown(kind: str, resources: tuple[Resource, ...]) -> Iterator[Resource]:
    for resource in resources:
        yield from shown_as(kind, resource)
