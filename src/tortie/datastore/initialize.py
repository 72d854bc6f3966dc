"""What every cluster's datastore holds before anybody writes to it (as `EnsureInitialized` does).

The object ClusterInformation "default" says which cluster this is and which release runs it; three
tiers are always there. Any number of agents make them at once: each write is a compare-and-swap,
and what is there already is left as it is.
"""

from collections.abc import Callable
from uuid import uuid4

from msgspec.structs import replace

from tortie.api import ObjectMeta, Tier
from tortie.api.calico.cluster_information import ClusterInformation, ClusterInformationSpec
from tortie.api.calico.tier import FIXED
from tortie.datastore.cluster import CLUSTER, TYPE, words_of
from tortie.datastore.contract import (
    AlreadyExists,
    Conflict,
    Datastore,
    DatastoreError,
    Forbidden,
    NotFound,
    Unavailable,
)
from tortie.datastore.retry import ATTEMPTS, pause

_LONGEST = 30.0  # seconds between two attempts to reach a store that is away


async def ensure_initialized(store: Datastore, version: str) -> None:
    """Make what is missing; have ClusterInformation name this release if it is newer.

    What cannot be read is left to people. Raises DatastoreError: Forbidden where these objects are
    somebody else's to make.
    """
    await _ensure_cluster(store, version)
    listing = await store.list("Tier")
    there = {item.key.name for item in listing.resources}
    there |= {item.key.name for item in listing.malformed}
    for name, spec in FIXED.items():
        if name not in there:
            try:
                await store.create(Tier(metadata=ObjectMeta(name=name), spec=spec))
            except AlreadyExists:
                continue


async def initialize_in_time(store: Datastore, version: str, warn: Callable[[str], None]) -> None:
    """As `ensure_initialized`, waiting for a store that is away: a service beside an agent.

    Nothing depends on it at once, so what it may not write is a warning and no end.
    """
    from asyncio import sleep

    for attempt in range(1_000_000):
        try:
            await ensure_initialized(store, version)
            return
        except Unavailable:
            await sleep(min(_LONGEST, 0.2 * 2 ** min(attempt, 10)))
        except Forbidden as refusal:
            warn(f"the cluster's information and tiers can't be written: {refusal}")
            return


async def _ensure_cluster(store: Datastore, version: str) -> None:
    for attempt in range(ATTEMPTS):
        try:
            await _write_cluster(store, version)
            return
        except (AlreadyExists, Conflict, NotFound):
            await pause(attempt)
    raise Conflict(f"{CLUSTER} changed under each of {ATTEMPTS} attempts to write it: retry")


async def _write_cluster(store: Datastore, version: str) -> None:
    try:
        found = await store.get(CLUSTER)
    except NotFound:
        metadata = ObjectMeta(name=CLUSTER.name)
        spec = _of_this_release(ClusterInformationSpec(), version)
        await store.create(ClusterInformation(metadata=metadata, spec=spec))
        return
    except (Unavailable, Forbidden):
        raise
    except DatastoreError:
        return  # malformed
    if isinstance(found, ClusterInformation):
        wanted = replace(found, spec=_of_this_release(found.spec, version))
        if wanted != found:
            await store.update(wanted)


def _of_this_release(spec: ClusterInformationSpec, version: str) -> ClusterInformationSpec:
    words = words_of(spec.cluster_type)
    ours = TYPE in words
    newer = not ours or _numbers(version) > _numbers(spec.calico_version)
    return replace(
        spec,
        cluster_guid=spec.cluster_guid or uuid4().hex,
        cluster_type=spec.cluster_type if ours else ",".join([*words, TYPE]),
        calico_version=version if newer else spec.calico_version,
        # False is somebody's lock, and theirs to take away.
        datastore_ready=True if spec.datastore_ready is None else spec.datastore_ready,
    )


def _numbers(version: str) -> tuple[int, ...]:
    """The numbers of "v1.20.3-rc1": (1, 20, 3); none of what is no version."""
    parts = version.removeprefix("v").split("-")[0].split(".")
    return tuple(int(part) for part in parts if part.isascii() and part.isdigit())
