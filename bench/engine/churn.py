"""Single changes on a loaded engine of the first cluster (W1)."""

from bench.engine.making import HERE, Update, global_policy
from bench.engine.measuring import Loaded, emit
from bench.engine.workloads import (
    LOCAL,
    NAMESPACES,
    marked_endpoint,
    marker_policy,
    marker_profile,
)
from tortie.api import Resource

COUNT = 2_000


def keyed(found: list[Resource]) -> list[Update]:
    """With their keys."""
    return [(each.key, each) for each in found]


def remote(endpoints: int, shift: int) -> list[Update]:
    """Some endpoints of other nodes with the labels of a later position."""
    numbers = [n * 7 % endpoints for n in range(min(COUNT, endpoints // 4))]
    return keyed([marked_endpoint(n, f"node-{n % 500}", shift) for n in numbers])


def single(loaded: Loaded, endpoints: int) -> None:
    """Changes of endpoints, one at a time and then in one batch."""
    relabelled = remote(endpoints, 1)
    emit("relabel an endpoint", 1 / loaded.each(relabelled), "updates/s")
    gone: list[Update] = [(key, None) for key, _ in relabelled]
    emit("delete an endpoint", 1 / loaded.each(gone), "updates/s")
    emit("add an endpoint", 1 / loaded.each(remote(endpoints, 0)), "updates/s")
    here = [marked_endpoint(n, HERE, 1) for n in range(endpoints, endpoints + LOCAL)]
    emit("relabel an endpoint here", loaded.each(keyed(list(here))) * 1e3, "ms")


def policies(loaded: Loaded, count: int) -> None:
    """Edits of policies: one that applies here, and one that touches nothing here."""
    edits = [marker_policy(n, shift=7) for n in range(0, count, max(1, count // 100))]
    emit("edit a policy in force here", loaded.each(keyed(edits)) * 1e3, "ms")
    elsewhere: list[Resource] = [
        global_policy(f"else-{n}", 1.0, f"has(nobody-{n})", "all()") for n in range(100)
    ]
    loaded.each(keyed(elsewhere))
    edited: list[Resource] = [
        global_policy(f"else-{n}", 1.0, f"has(nobody-{n})", "has(marker-1)") for n in range(100)
    ]
    emit("edit a policy of nobody here", loaded.each(keyed(edited)) * 1e3, "ms")


def namespaces(loaded: Loaded, endpoints: int) -> None:
    """A label of a namespace with a hundredth of all endpoints."""
    blue: list[Resource] = [marker_profile(n, "blue") for n in range(10)]
    size = endpoints // NAMESPACES
    emit(f"relabel a namespace of {size:,}", loaded.each(keyed(blue)) * 1e3, "ms")
