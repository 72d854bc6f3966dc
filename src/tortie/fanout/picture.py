"""What every client should hold: each object's record, encoded once; what changed. Pure."""

from collections.abc import Iterable

from tortie.api import Key
from tortie.api.codec import encode
from tortie.fanout.messages import Record, encode_record
from tortie.sync.stream import InSync, Item, Progress, Update


class Picture:
    """The update stream, folded. Changes of one key overwrite each other until they are taken."""

    def __init__(self) -> None:
        self._records: dict[Key, bytes] = {}
        self._changed: dict[Key, bytes] = {}
        self.revision = 0
        self.in_sync = False
        self.updates = 0  # that came
        self.skipped = 0  # of these, that changed nothing

    def __len__(self) -> int:
        return len(self._records)

    @property
    def records(self) -> list[bytes]:
        """All objects as they are now, encoded."""
        return list(self._records.values())

    def take(self, items: Iterable[Item]) -> None:
        """A batch of the stream."""
        for item in items:
            match item:
                case Update():
                    self._update(item)
                case Progress(revision):
                    self.revision = max(self.revision, revision)
                case InSync():
                    self.in_sync = True
                    self._changed.clear()  # nobody has seen anything yet

    def take_changed(self) -> list[bytes]:
        """The records of what changed since the last call, deletions too."""
        changed, self._changed = self._changed, {}
        return list(changed.values())

    def _update(self, update: Update) -> None:
        self.updates += 1
        key = update.key
        before = self._records.get(key)
        record = _encoded(update)
        if update.value is None:
            known = self._records.pop(key, None) is not None
        else:
            known = before != record
            self._records[key] = record
        if known:
            self._changed[key] = record
        else:
            self.skipped += 1


def _encoded(update: Update) -> bytes:
    key, value = update.key, update.value
    if value is None:
        return encode_record(Record(*key, "", None))
    return encode_record(Record(*key, value.kind, encode(value)))
