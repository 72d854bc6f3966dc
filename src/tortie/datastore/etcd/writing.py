"""Writes that are done once, also when their answer is lost.

Each is a transaction on the revision that it replaces. Asked a second time it does nothing if the
first was done, and shows what stands there: our own mark means that it was us.
"""

from tortie.api import Key
from tortie.datastore.contract import AlreadyExists, Conflict, Gone, NotFound, Unavailable
from tortie.datastore.etcd import requests
from tortie.datastore.etcd import rpc_pb2 as pb
from tortie.datastore.etcd.connection import Connection
from tortie.datastore.etcd.fencing import FencedConnection
from tortie.datastore.etcd.members import RANGE, TXN

_STEPS_BACK = 32  # writes by others, until a lost answer is given up

Asked = Connection | FencedConnection


async def put_new(
    connection: Asked, key: Key, path: bytes, value: bytes, uid: str, lease: int = 0
) -> pb.KeyValue:
    """Create; gives what stands there now. Raises AlreadyExists."""
    answer, doubtful = await connection.ask(
        TXN, requests.create(path, value, lease), f"write {path.decode()}"
    )
    if answer.succeeded:
        return _written(path, value, answer.header.revision, lease=lease)
    there = requests.found(answer)
    if doubtful and there is not None:
        if there.value == value:
            return there
        if uid.encode() in there.value:  # ours, and somebody has changed it since
            return _written(path, value, there.create_revision, lease=lease)
    raise AlreadyExists(f"{key} is there already: update it instead")


async def put_over(
    connection: Asked, key: Key, old: pb.KeyValue, value: bytes
) -> pb.KeyValue | None:
    """Replace `old`; gives what stands there now, None where `old` is no longer there.

    Raises NotFound where nothing is, Unavailable where the answer was lost and what others have
    written since hides what became of it.
    """
    answer, doubtful = await connection.ask(
        TXN,
        requests.replace(old.key, old.mod_revision, value, old.lease),
        f"write {old.key.decode()}",
    )
    if answer.succeeded:
        revision = answer.header.revision
        return _written(
            old.key, value, revision, old.create_revision, old.version + 1, lease=old.lease
        )
    there = requests.found(answer)
    if there is None:
        raise missing(key)
    return await _ours_below(connection, key, old, there, value) if doubtful else None


async def _ours_below(
    connection: Asked, key: Key, old: pb.KeyValue, there: pb.KeyValue, value: bytes
) -> pb.KeyValue | None:
    """Our write among those that came after `old`; None if the first of them is another's.

    Goes back from what is there now, write by write, by reading as of the revision before each.
    Raises Unavailable where that leads nowhere: too far, compacted, or deleted in between.
    """
    for _ in range(_STEPS_BACK):
        if there.value == value:
            return there
        if there.create_revision != old.create_revision:
            break
        if there.version <= old.version + 1:
            return None
        before = await _as_of(connection, there.key, there.mod_revision - 1)
        if before is None:
            break
        there = before
    raise unknown(key)


async def _as_of(connection: Asked, path: bytes, revision: int) -> pb.KeyValue | None:
    """What stood there at a revision; None where nothing did, or nobody knows any more."""
    request = requests.read(path)
    request.revision = revision
    try:
        answer, _ = await connection.ask(RANGE, request, f"read {path.decode()}")
    except Gone:
        return None
    found: pb.KeyValue | None = answer.kvs[0] if answer.kvs else None
    return found


async def remove(connection: Asked, key: Key, old: pb.KeyValue) -> bool:
    """Delete `old`; False where something else stands there now. Raises NotFound, Unavailable."""
    answer, doubtful = await connection.ask(
        TXN, requests.remove(old.key, old.mod_revision), f"write {old.key.decode()}"
    )
    if answer.succeeded:
        return True
    there = requests.found(answer)
    if there is None:
        if doubtful:
            return True  # we wanted it gone, and so it is
        raise missing(key)
    if doubtful and there.create_revision > old.mod_revision:
        raise unknown(key)
    return False


def missing(key: Key) -> NotFound:
    """Nothing stands there."""
    return NotFound(f"there is no {key}")


def changed(key: Key, wanted: int) -> Conflict:
    """Something else stands there than the writer read."""
    return Conflict(f"{key} has changed, the write was based on {wanted}: read it again, retry")


def unknown(key: Key) -> Unavailable:
    """The answer was lost, and what came after hides whether we wrote."""
    return Unavailable(
        f"etcd's answer to the write of {key} was lost, and others have written it since: it may "
        "or may not have been done; read it again"
    )


def _written(
    path: bytes, value: bytes, revision: int, created: int = 0, version: int = 1, lease: int = 0
) -> pb.KeyValue:
    return pb.KeyValue(
        key=path,
        value=value,
        create_revision=created or revision,
        mod_revision=revision,
        version=version,
        lease=lease,
    )
