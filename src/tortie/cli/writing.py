"""Write resources one after the other, and say of each what happened.

One failure does not stop the others. The order is such that what is named comes before what names
it, and policy before the workloads that it protects; deletion goes the other way.
"""

from collections.abc import Awaitable, Iterable
from typing import NamedTuple

from tortie.api import Key, Resource
from tortie.cli.merging import admitted, merged
from tortie.datastore import AlreadyExists, Conflict, Datastore, DatastoreError, NotFound

_ORDER = (
    *("Namespace", "ServiceAccount", "IPAMConfiguration", "IPPool", "Node", "Profile", "Tier"),
    *("GlobalNetworkSet", "NetworkSet"),
    *("KubernetesAdminNetworkPolicy", "KubernetesBaselineAdminNetworkPolicy"),
    *("KubernetesClusterNetworkPolicy", "GlobalNetworkPolicy"),
    *("NetworkPolicy", "KubernetesNetworkPolicy"),
    *("WorkloadEndpoint", "Pod"),
)
_RANK = {kind: rank for rank, kind in enumerate(_ORDER)}
_ATTEMPTS = 10
FAILED, ABSENT = "failed", "absent"


class Outcome(NamedTuple):
    """What happened to one resource: created, changed, unchanged, deleted, absent or failed."""

    key: Key
    result: str
    error: str = ""


def in_order(resources: Iterable[Resource]) -> list[Resource]:
    """As they are to be written."""
    return sorted(resources, key=lambda resource: _rank(resource.key))


async def apply_all(store: Datastore, resources: Iterable[Resource]) -> list[Outcome]:
    """Create or replace each."""
    return [await _outcome(r.key, _apply(store, admitted(r))) for r in in_order(resources)]


async def preview_all(store: Datastore, resources: Iterable[Resource]) -> list[Outcome]:
    """What `apply_all` would do, without doing it."""
    return [await _outcome(r.key, _preview(store, admitted(r))) for r in in_order(resources)]


async def delete_all(store: Datastore, keys: Iterable[Key]) -> list[Outcome]:
    """Delete each; what is not there is `ABSENT`."""
    ordered = sorted(keys, key=_rank, reverse=True)
    return [await _outcome(key, _delete(store, key)) for key in ordered]


def _rank(key: Key) -> int:
    return _RANK.get(key.kind, len(_ORDER))


async def _outcome(key: Key, work: Awaitable[str]) -> Outcome:
    try:
        return Outcome(key, await work)
    except DatastoreError as error:
        return Outcome(key, FAILED, str(error))


async def _apply(store: Datastore, given: Resource) -> str:
    """Retried when others write the same object, unless the manifest insists on a version."""
    for _ in range(_ATTEMPTS):
        try:
            return await _apply_once(store, given)
        except (Conflict, AlreadyExists, NotFound):
            if given.metadata.resource_version:
                raise
    return await _apply_once(store, given)


async def _apply_once(store: Datastore, given: Resource) -> str:
    result, wanted = await _planned(store, given)
    if result == "created":
        await store.create(wanted)
    elif result == "changed":
        await store.update(wanted)
    return result


async def _preview(store: Datastore, given: Resource) -> str:
    result, _ = await _planned(store, given)
    return result


async def _planned(store: Datastore, given: Resource) -> tuple[str, Resource]:
    """What applying does, and what it writes."""
    try:
        stored = await store.get(given.key)
    except NotFound:
        return "created", given
    wanted = merged(stored, given)
    return ("unchanged" if wanted == stored else "changed"), wanted


async def _delete(store: Datastore, key: Key) -> str:
    try:
        await store.delete(key)
    except NotFound:
        return ABSENT
    return "deleted"
