"""Write resources one after the other, and say of each what happened.

One failure does not stop the others. The order is such that what is named comes before what names
it, and policy before the workloads that it protects; deletion goes the other way.
"""

from collections.abc import Awaitable, Callable, Collection, Iterable, Sequence
from typing import NamedTuple, TypeVar

from tortie.api import Key, Resource, with_metadata
from tortie.api.policy_names import is_same
from tortie.api.problems import Violation
from tortie.cli.errors import UserError
from tortie.cli.merging import admitted, merged
from tortie.cli.tiers import check_removable
from tortie.datastore import (
    AlreadyExists,
    Conflict,
    Datastore,
    DatastoreError,
    NotFound,
    Unavailable,
)

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
CREATED, CHANGED, UNCHANGED, DELETED = "created", "changed", "unchanged", "deleted"
FAILED, ABSENT, EXISTS = "failed", "absent", "exists"
RETIRED = frozenset({"IPPool", "Node"})  # claims and addresses go with them
GOING = "going"  # it is to be deleted, and waits: why is its `note`


class Outcome(NamedTuple):
    """What happened to one resource: one of the words above; `error` where it failed."""

    key: Key
    result: str
    error: str = ""
    note: str = ""


class Change(NamedTuple):
    """What is to be done to one object: from `before` to `after`; None where there is none."""

    result: str
    before: Resource | None
    after: Resource | None


S = TypeVar("S")
Planner = Callable[[Datastore, S], Awaitable[Change]]
"""From what a person gives (a resource, a key) and what is stored to the change.

Raises DatastoreError or UserError where it can't be.
"""


class Refused(UserError):
    """A change that the stored object does not allow; `violations` say why, field by field."""

    def __init__(self, violations: Sequence[Violation]) -> None:
        super().__init__("; ".join(map(str, violations)))
        self.violations = violations


async def applying(store: Datastore, given: Resource) -> Change:
    """Create it, or make the stored one like it."""
    change = await replacing(store, given)
    return Change(CREATED, None, admitted(given)) if change.result == ABSENT else change


async def creating(store: Datastore, given: Resource) -> Change:
    """Create it; `EXISTS` where there is one."""
    try:
        exists = is_same(await store.get(given.key), given)
    except NotFound:
        exists = False
    except Unavailable:
        raise
    except DatastoreError:  # malformed: it is there
        exists = True
    return Change(EXISTS, None, None) if exists else Change(CREATED, None, admitted(given))


async def replacing(store: Datastore, given: Resource) -> Change:
    """Make the stored one like it; `ABSENT` where there is none."""
    given = admitted(given)
    try:
        stored = await store.get(given.key)
    except NotFound:
        return Change(ABSENT, None, None)
    except Unavailable:
        raise
    except DatastoreError:  # malformed: whatever it was, it becomes what is given
        return Change(CHANGED, None, given)
    if not is_same(stored, given):
        return Change(ABSENT, None, None)
    return update(stored, merged(stored, with_metadata(given, name=stored.metadata.name)))


def in_order(resources: Iterable[Resource]) -> list[Resource]:
    """As they are to be written."""
    return sorted(resources, key=lambda resource: _rank(resource.key))


async def carry_out(
    store: Datastore, resources: Iterable[Resource], plan: Planner[Resource]
) -> list[Outcome]:
    """Change each as planned."""
    return [await outcome_of(r.key, changed(store, r, plan)) for r in in_order(resources)]


async def preview(
    store: Datastore, resources: Iterable[Resource], plan: Planner[Resource]
) -> list[Outcome]:
    """What `carry_out` would do, without doing it."""
    return [await outcome_of(r.key, planned(store, r, plan)) for r in in_order(resources)]


async def apply_all(store: Datastore, resources: Iterable[Resource]) -> list[Outcome]:
    """Create or replace each."""
    return await carry_out(store, resources, applying)


async def delete_all(store: Datastore, keys: Iterable[Key]) -> list[Outcome]:
    """Delete each; what is not there is `ABSENT`."""
    ordered = sorted(keys, key=_rank, reverse=True)
    return [await outcome_of(key, _delete(store, key)) for key in ordered]


async def preview_deletion(store: Datastore, keys: Iterable[Key]) -> list[Outcome]:
    """What `delete_all` would do."""
    ordered = sorted(keys, key=_rank, reverse=True)
    return [await outcome_of(key, _deletion(store, key, ordered)) for key in ordered]


async def outcome_of(key: Key, work: Awaitable[str]) -> Outcome:
    """What became of the work, which may add a note to its word, behind a colon."""
    try:
        word, _, note = (await work).partition(": ")
        return Outcome(key, word, note=note)
    except (DatastoreError, UserError) as error:
        return Outcome(key, FAILED, str(error))


async def planned(store: Datastore, given: S, plan: Planner[S]) -> str:
    """What would be done."""
    return (await plan(store, given)).result


async def changed(store: Datastore, given: S, plan: Planner[S]) -> str:
    """Do what is planned; planned anew where others write the same object meanwhile.

    What insists on a version of its own is not: reading again does not change what it says.
    """
    for _ in range(_ATTEMPTS):
        change = await plan(store, given)
        try:
            return await _write(store, change)
        except (Conflict, AlreadyExists, NotFound):
            if change.before and change.after and _insists(change.before, change.after):
                raise
    return await _write(store, await plan(store, given))


def _insists(before: Resource, after: Resource) -> bool:
    return after.metadata.resource_version != before.metadata.resource_version


async def _write(store: Datastore, change: Change) -> str:
    if change.after and change.result == CREATED:
        await store.create(change.after)
    elif change.after and change.result == CHANGED:
        await store.update(change.after)
    return change.result


def update(stored: Resource, wanted: Resource) -> Change:
    """From the stored object to the wanted one. Raises Refused for what can't be changed."""
    if wanted == stored:
        return Change(UNCHANGED, stored, stored)
    from tortie.api.validation import validate_update

    if violations := validate_update(stored, wanted):
        raise Refused(violations)
    return Change(CHANGED, stored, wanted)


async def _delete(store: Datastore, key: Key) -> str:
    await check_removable(store, key)
    try:
        if key.kind in RETIRED:
            return await _retire(store, key)
        await store.delete(key)
    except NotFound:
        return ABSENT
    return DELETED


async def _retire(store: Datastore, key: Key) -> str:
    from tortie.ipam import IpamError
    from tortie.ipam.leaving import retire_node
    from tortie.ipam.retiring import retire_pool

    try:
        if key.kind == "Node":
            await retire_node(store, key)
            return DELETED
        waits = await retire_pool(store, key)
    except IpamError as error:
        raise UserError(str(error)) from None
    return f"{GOING}: it waits: {waits}" if waits else DELETED


async def _deletion(store: Datastore, key: Key, going: Collection[Key]) -> str:
    await check_removable(store, key, going)
    try:
        await store.get(key)
    except NotFound:
        return ABSENT
    except Unavailable:
        raise
    except DatastoreError:  # malformed: it is there, and can be deleted
        return DELETED
    return DELETED


def _rank(key: Key) -> int:
    return _RANK.get(key.kind, len(_ORDER))
