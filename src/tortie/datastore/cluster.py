"""What a datastore says of its cluster: which release runs it, and whether it is locked.

Light: every command asks.
"""

from tortie.api import Key
from tortie.datastore.contract import Datastore, DatastoreError, Forbidden, Unavailable

CLUSTER = Key("ClusterInformation", "", "default")
TYPE = "tortie"  # one of the words of `clusterType`


class Locked(Unavailable):
    """Somebody has locked the datastore, to move it elsewhere: nothing is to change in it now."""


async def check_unlocked(store: Datastore) -> None:
    """Raise Locked while ClusterInformation says `datastoreReady: false`; DatastoreError.

    A store without one is a fresh one; one that can't be read says nothing.
    """
    try:
        found = await store.get(CLUSTER)
    except (Unavailable, Forbidden):
        raise
    except DatastoreError:
        return
    refuse_locked(found)


def refuse_locked(found: object) -> None:
    """Raise Locked where ClusterInformation says so; one that can't be read says nothing."""
    if getattr(getattr(found, "spec", None), "datastore_ready", None) is False:
        raise Locked(
            "the datastore is locked (ClusterInformation default: datastoreReady is false): it is "
            "being migrated; wait, or end that with `tortie datastore migrate unlock`"
        )


def words_of(cluster_type: str) -> list[str]:
    """The words of `clusterType`, which have commas between."""
    return [word for word in cluster_type.split(",") if word]


async def other_version(store: Datastore, version: str) -> str:
    """The cluster's version where it is another than `version`; "" where none is known.

    A cluster that another program runs counts in versions of its own, which say nothing here. Who
    may not read it, or finds it malformed, learns more from what is read next. Raises Unavailable.
    """
    try:
        found = await store.get(CLUSTER)
    except Unavailable:
        raise
    except DatastoreError:
        return ""
    from tortie.api.calico.cluster_information import ClusterInformation  # only where there is one

    if not isinstance(found, ClusterInformation):
        return ""
    words, known = words_of(found.spec.cluster_type), found.spec.calico_version
    theirs = bool(words) and TYPE not in words
    return "" if theirs or known.removeprefix("v") == version.removeprefix("v") else known
