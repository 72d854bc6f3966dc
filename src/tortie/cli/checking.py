"""What is wrong with resources only in the light of what is stored."""

from collections.abc import AsyncIterator, Iterable, Sequence

from tortie.api import Resource
from tortie.api.manifests import Located, ManifestError, Manifests
from tortie.cli.sources import with_known_namespaces, without
from tortie.cli.tiers import tierless
from tortie.cli.writing import Planner, Refused
from tortie.datastore import Datastore, DatastoreError


async def fitting(store: Datastore, manifests: Manifests, plan: Planner[Resource]) -> Manifests:
    """The same, with errors where a namespace or a tier is unknown or the plan is refused.

    So that nothing is written of a document of which a part can't be.
    """
    manifests = await with_known_namespaces(store, manifests)
    manifests = without(manifests, await _overlaps(store, manifests))
    manifests = without(manifests, await tierless(store, manifests.resources))
    refused = [
        error for located in manifests.resources async for error in _refusals(store, located, plan)
    ]
    return without(manifests, refused)


async def _overlaps(store: Datastore, manifests: Manifests) -> list[ManifestError]:
    """An error for each pool that shares addresses with a stored one, or with one before it."""
    pools = [one for one in manifests.resources if one.resource.kind == "IPPool"]
    if not pools:
        return []
    return _clashes(pools, (await store.list("IPPool")).resources)


def _clashes(pools: Sequence[Located], stored: Iterable[Resource]) -> list[ManifestError]:
    from tortie.api.calico.ip_pool import IPPool, overlapping

    beside = {one.key: one for one in stored if isinstance(one, IPPool)}
    found = []
    for located in pools:
        pool = located.resource
        if isinstance(pool, IPPool):
            for path, message, _, suggestion in overlapping(pool, beside.values()):
                found.append(located.place.error(path, message, suggestion))
            beside[pool.key] = pool
    return found


async def _refusals(
    store: Datastore, located: Located, plan: Planner[Resource]
) -> AsyncIterator[ManifestError]:
    try:
        await plan(store, located.resource)
    except Refused as refused:
        for path, message, _, suggestion in refused.violations:
            yield located.place.error(path, message, suggestion)
    except DatastoreError:
        return  # told when it is written, and of this resource alone
