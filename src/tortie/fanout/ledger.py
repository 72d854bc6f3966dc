"""What a client gave out already, so that a new picture gives only what differs. Pure.

A client goes from server to server, and each begins with a whole picture. The consumer must see
one stream all the same: what it has is not repeated, what went in between is deleted explicitly.
"""

from collections.abc import Iterable
from typing import NamedTuple

from tortie.api import Key
from tortie.api.codec import DecodeError, decode
from tortie.api.registry import KINDS
from tortie.fanout.messages import Record
from tortie.sync import POLICY_KINDS
from tortie.sync.stream import Update


class Taken(NamedTuple):
    """What records amount to: updates to give out, and what a person should know."""

    updates: list[Update]
    warnings: list[tuple[Key, str]]


class Ledger:
    """Keys that are out, each with a digest of its value. Values aren't kept.

    The digest is Python's hash of the bytes: 64 bits, of a key that is this process's own, so that
    nobody can make two values that look alike.
    """

    def __init__(self) -> None:
        self._out: dict[Key, int] = {}
        self._missing: set[Key] = set()  # of the picture that is coming in
        self._unknown_kinds: set[str] = set()
        self._unread: dict[Key, str] = {}

    def begin(self) -> None:
        """A whole picture comes; an earlier one that did not end counts for nothing."""
        self._missing = set(self._out)
        self._unread.clear()

    def take(self, records: Iterable[Record]) -> Taken:
        """Objects of the picture, or changes after it."""
        taken = Taken([], [])
        for kind, namespace, name, type_, value in records:
            key = Key(kind, namespace, name)
            self._missing.discard(key)
            if value is None:
                self._forget(key, taken)
            elif type_ in KINDS:
                self._put(key, type_, value, taken)
            else:
                self._pass_over(key, type_, taken)
        return taken

    def complete(self) -> list[Update]:
        """The picture is whole: what was out and is not in it is gone."""
        gone, self._missing = self._missing, set()
        for key in gone:
            del self._out[key]
        return [Update(key, None) for key in sorted(gone)]

    def absent_policies(self) -> list[str]:
        """One line for each policy that was never out, since it can't be read."""
        return [
            reason
            for key, reason in self._unread.items()
            if key.kind in POLICY_KINDS and key not in self._out
        ]

    def _put(self, key: Key, type_: str, value: bytes, taken: Taken) -> None:
        digest = hash(value)
        if self._out.get(key) == digest:
            return
        try:
            resource = decode(type_, value)
        except DecodeError as error:  # the last good value stays in force
            self._unread[key] = f"{key} can't be read: {error}"
            taken.warnings.append((key, f"{self._unread[key]}; it stays as it was"))
            return
        self._unread.pop(key, None)
        self._out[key] = digest
        taken.updates.append(Update(key, resource))

    def _forget(self, key: Key, taken: Taken) -> None:
        self._unread.pop(key, None)
        if self._out.pop(key, None) is not None:
            taken.updates.append(Update(key, None))

    def _pass_over(self, key: Key, type_: str, taken: Taken) -> None:
        if type_ not in self._unknown_kinds:
            self._unknown_kinds.add(type_)
            message = f"the fan-out server sends objects of the unknown kind {type_!r}"
            taken.warnings.append((key, f"{message}: it is newer than this program"))
