"""Changes of stored objects that are given as changes, not as manifests: `patch`, `label`."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tortie.api import Key, Resource, to_manifest
from tortie.api.manifests import read_manifests
from tortie.api.problems import Violation
from tortie.cli.errors import UserError
from tortie.cli.merging import admitted, merged
from tortie.cli.writing import (
    ABSENT,
    Change,
    Outcome,
    Planner,
    Refused,
    changed,
    outcome_of,
    planned,
    update,
)
from tortie.datastore import Datastore, NotFound

Edit = Callable[[dict[str, Any]], Mapping[str, Any]]
"""From a manifest to the changed one; the first is not to be changed in place."""


def editing(edit: Edit) -> Planner[Key]:
    """The planner that changes stored objects so; the result is judged as a person's input."""

    async def plan(store: Datastore, key: Key) -> Change:
        try:
            stored = await store.get(key)
        except NotFound:
            return Change(ABSENT, None, None)
        wanted = checked(stored, edit(to_manifest(stored)))
        return update(stored, merged(stored, admitted(wanted)))

    return plan


async def edit_all(
    store: Datastore, keys: Sequence[Key], plan: Planner[Key], dry_run: bool
) -> list[Outcome]:
    """Change each, or say what would be."""
    step = planned if dry_run else changed
    return [await outcome_of(key, step(store, key, plan)) for key in keys]


def checked(stored: Resource, manifest: Mapping[str, Any]) -> Resource:
    """The resource that a changed manifest is.

    Raises Refused with all that is wrong with it; UserError where it is another object.
    """
    from msgspec import json

    found = read_manifests("patched", json.encode(manifest), stored.metadata.namespace)
    if found.errors:
        raise Refused([Violation(e.path, e.message, None, e.suggestion) for e in found.errors])
    if len(found.resources) != 1 or found.resources[0].resource.key != stored.key:
        raise UserError("apiVersion, kind, name and namespace of an object can't be changed")
    return found.resources[0].resource
