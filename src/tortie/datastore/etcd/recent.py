"""What this process last read and wrote, so that a read-change-write costs one question, not two.

What stood under a key at a revision never changes, so an entry is never wrong, only out of date:
then the transaction that relies on it fails and the object is read.
"""

from collections import OrderedDict

from tortie.datastore.etcd import rpc_pb2 as pb

_ENTRIES, _LARGEST = 512, 64 << 10  # bytes; 32 MiB at the most, some 100 KiB as a rule


class Recent:
    """The last objects, by their place."""

    def __init__(self) -> None:
        self._kvs: OrderedDict[bytes, pb.KeyValue] = OrderedDict()

    def get(self, path: bytes, revision: int | None) -> pb.KeyValue | None:
        """What stood there at `revision`, if we know."""
        kv = self._kvs.get(path)
        return kv if kv is not None and kv.mod_revision == revision else None

    def keep(self, kv: pb.KeyValue) -> None:
        """Remember what was read or written."""
        self._kvs.pop(kv.key, None)
        if len(kv.value) > _LARGEST:
            return
        self._kvs[kv.key] = kv
        if len(self._kvs) > _ENTRIES:
            self._kvs.popitem(last=False)
