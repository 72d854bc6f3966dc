"""What a store can keep of an object, and as what. Pure."""

import re
from collections.abc import Collection
from typing import Any, NamedTuple

from tortie.api import IPAMHandle, Resource, with_metadata
from tortie.datastore.contract import Invalid
from tortie.datastore.migrate.content import bare
from tortie.datastore.migrate.survey import Target

_SEGMENT = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_NAME = re.compile(rf"{_SEGMENT}(\.{_SEGMENT})*")
_LONGEST = 253


class Fitted(NamedTuple):
    """An object as the store is given it, and what is not kept of it, in words."""

    resource: Resource
    notes: tuple[str, ...]


def fitted(resource: Resource, target: Target, uids: Collection[str]) -> Fitted:
    """The object for this kind of store. `uids` are those of objects that come before it."""
    found = bare(resource)
    if isinstance(found, IPAMHandle):  # elsewhere than in Kubernetes it is found by its own text
        name, text = found.metadata.name, found.spec.handle_id
        if target is Target.KUBERNETES:
            name = name.lower()
        elif name == text.lower():
            name = text
        found = with_metadata(found, name=name)
    if target is not Target.KUBERNETES:
        return Fitted(found, ())
    found = _new(found)
    kept, lost = _owners(found.metadata.owner_references, uids)
    notes = tuple(
        f"{resource.key}: its owner {owner} is not in the file, so it will have none: Kubernetes "
        "deletes what has an owner that is not there"
        for owner in lost
    )
    if not lost:
        return Fitted(found, ())
    return Fitted(with_metadata(found, owner_references=kept), notes)


def _new(resource: Resource) -> Resource:
    """No object begins with its deletion: an API server takes that from nobody."""
    return with_metadata(
        resource, deletion_timestamp=None, deletion_grace_period_seconds=None, generate_name=None
    )


def _owners(owners: Any, uids: Collection[str]) -> tuple[list[Any] | None, list[str]]:
    if not isinstance(owners, list | tuple):
        return owners, []
    kept = [one for one in owners if isinstance(one, dict) and one.get("uid") in uids]
    lost = [
        f"{one.get('kind')}({one.get('name')})" if isinstance(one, dict) else repr(one)
        for one in owners
        if one not in kept
    ]
    return kept or None, lost


def why_not_named(resource: Resource, target: Target) -> str:
    """Why the store can't have an object of this name; "" where it can."""
    if target is Target.KUBERNETES:
        name = resource.metadata.name
        if len(name) > _LONGEST or not _NAME.fullmatch(name):
            return (
                f"Kubernetes can't have the name {name!r}: at most {_LONGEST} characters, lower "
                "case letters, digits, '-' and '.', at both ends a letter or digit"
            )
    if target is Target.ETCD:
        from tortie.datastore.etcd.layout import path_of

        try:
            path_of(resource)
        except Invalid as error:
            return str(error)
    return ""
