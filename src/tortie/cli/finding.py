"""What `get` asks of a datastore, and what it finds."""

from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import NamedTuple

from tortie.api import KINDS, Key, Kind, Resource
from tortie.api.policy_names import names_in_use
from tortie.cli.derived import listed
from tortie.cli.selection import Target, selected
from tortie.datastore import Datastore


class Question(NamedTuple):
    """Which objects: of these targets, in a namespace (None: in all), with labels that match."""

    targets: tuple[Target, ...]
    namespace: str | None
    selector: str | None = None

    def where(self, kind: Kind) -> str | None:
        """The namespace to look in for a kind; None: everywhere."""
        return self.namespace if kind.namespaced else None

    def is_about(self, key: Key, kind: Kind, resource: Resource | None) -> bool:
        """Whether a change belongs to the answer; one that is gone (None) by its key alone."""
        target = next(target for target in self.targets if target.kind == kind)
        if self.where(kind) not in (None, key.namespace):
            return False
        if not target.wants(resource.metadata.name if resource else key.name):
            return False
        return resource is None or bool(selected([resource], self.selector))


class Found(NamedTuple):
    """The answer: what there is, and a message for each that is not there or can't be read.

    `is_one`: it is one object that was asked for by its name. `spread`: it may come from several
    namespaces. `revision` is where a watch goes on.
    """

    kinds: Sequence[Kind]
    resources: list[Resource]
    faults: list[str]
    is_one: bool = False
    spread: bool = False
    revision: int = 0


async def answer(store: Datastore, question: Question) -> Found:
    """All that the question asks for. Raises DatastoreError; UserError for a wrong selector."""
    parts = [await _of_target(store, question, target) for target in question.targets]
    names = [name for target in question.targets for name in target.names]
    return Found(
        [kind for part in parts for kind in part.kinds],
        [resource for part in parts for resource in part.resources],
        [fault for part in parts for fault in part.faults],
        is_one=len(names) == 1 and len(question.targets) == 1,
        spread=question.namespace is None,
        revision=min((part.revision for part in parts), default=0),
    )


async def _of_target(store: Datastore, question: Question, asked: Target) -> Found:
    where = question.where(asked.kind)
    found, malformed, revision = await listed(store, asked.kind.name, where)
    target = asked._replace(names=names_in_use(asked.names, found))
    wanted = [resource for resource in found if target.wants(resource.metadata.name)]
    broken = [item for item in malformed if target.wants(item.key.name)]
    there = {one.metadata.name for one in found} | {item.key.name for item in broken}
    unread = [f"{item.key} can't be read: {item.reason}" for item in broken]
    return Found(
        [asked.kind],
        selected(wanted, question.selector),
        [*unread, *_missing(target, there, where)],
        revision=revision,
    )


async def of_keys(store: Datastore, keys: Iterable[Key]) -> Found:
    """The objects of these keys."""
    wanted = sorted(set(keys), key=lambda key: (list(KINDS).index(key.kind), key))
    parts: list[Found] = []
    for (kind, namespace), group in groupby(wanted, lambda key: (key.kind, key.namespace)):
        target = Target(KINDS[kind], tuple(key.name for key in group))
        parts.append(await answer(store, Question((target,), namespace or None)))
    return Found(
        list(dict.fromkeys(kind for part in parts for kind in part.kinds)),
        [resource for part in parts for resource in part.resources],
        [fault for part in parts for fault in part.faults],
        is_one=len(wanted) == 1,
        spread=len({key.namespace for key in wanted}) > 1,
    )


def _missing(target: Target, there: set[str], namespace: str | None) -> list[str]:
    absent = [name for name in target.names if name not in there]
    if not absent:
        return []
    from tortie.api.problems import likeliest

    where = f" in namespace {namespace!r}" if namespace else ""
    faults = []
    for name in absent:
        near = likeliest(name, there)
        hint = f"; did you mean {near!r}?" if near else ""
        faults.append(f"there is no {target.kind.manifest_kind} {name!r}{where}{hint}")
    return faults
