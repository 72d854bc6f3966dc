"""What a bundle of the cluster holds: every resource but Secrets, and what follows from them."""

from collections.abc import Callable, Iterable, Sequence

from tortie.api import Resource
from tortie.api.registry import KINDS
from tortie.api.writing import to_yaml
from tortie.datastore import Datastore, DatastoreError
from tortie.diagnostics.items import Item
from tortie.reports.report import Report, encode

_MOST = 20_000  # of one kind: a bundle is to be read


async def cluster_items(store: Datastore, reports: Sequence[Report]) -> list[Item]:
    """One item for each kind that has objects. A kind that can't be read says why in its place."""
    items = [Item("reports.json", _as_lines(reports))]
    for kind in sorted(KINDS):
        try:
            found = (await store.list(kind)).resources
        except DatastoreError as problem:
            items.append(Item(f"resources/{kind}.yaml", raising(str(problem))))
            continue
        if found:
            items.append(Item(f"resources/{kind}.yaml", _as_yaml(found)))
    return items


def _as_yaml(found: Sequence[Resource]) -> Callable[[], str]:
    shown = found[:_MOST]
    left = len(found) - len(shown)
    note = f"# {left} more were left out\n" if left else ""
    return lambda: note + to_yaml(shown)


def _as_lines(reports: Iterable[Report]) -> Callable[[], str]:
    text = "\n".join(encode(one).decode() for one in reports) + "\n"
    return saying(text)


def saying(text: str) -> Callable[[], str]:
    """An item of what is known already."""
    return lambda: text


def raising(problem: str) -> Callable[[], str]:
    """An item that can not be had."""

    def get() -> str:
        raise OSError(problem)

    return get
