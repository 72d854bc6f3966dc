"""Events of stored objects in, updates of what stands for them out. Pure.

An object (the source) stands for one resource (the target), under the target's key; most stand for
themselves. Two objects may stand for one key: a stored Profile `kns.web` beside the Namespace
`web`. Then the one that stands for itself wins, whatever the order of events.
"""

from collections import defaultdict
from collections.abc import Iterable
from typing import NamedTuple

from tortie.api import Key, Resource
from tortie.datastore import Deleted, Event, Listing, Malformed, Put
from tortie.kubernetes import Conversion, conversion, converted_key


class SyncWarning(NamedTuple):
    """Something that a person should know; `key` names the stored object, None the datastore."""

    key: Key | None
    message: str

    def __str__(self) -> str:
        return self.message


class _Seen(NamedTuple):
    revision: int
    target: Key | None  # None: it stands for nothing now

    def unread(self) -> "_Seen":
        """The same, to be taken again whatever its revision."""
        return _Seen(-1, self.target)


class Translator:
    """What is out already, so that each further event gives only what changes.

    After each `apply` or `replace`: `take_updates`, `take_warnings`, and `take_wanted`, the objects
    whose current value is needed because they now stand for a key that another one gave up. Values
    aren't kept here; at 100,000 pods they would cost more than the rest of the agent.
    """

    def __init__(self) -> None:
        self._sources: defaultdict[str, dict[Key, _Seen]] = defaultdict(dict)
        self._owners: dict[Key, Key] = {}  # target -> the source whose value is out
        self._rivals: defaultdict[Key, set[Key]] = defaultdict(set)  # target -> outranked sources
        self._floors: dict[str, int] = {}  # kind -> revision of its last listing
        self._reached = 0
        self._updates: dict[Key, Resource | None] = {}
        self._warnings: list[SyncWarning] = []
        self._warned: dict[Key, tuple[str, ...]] = {}
        self._wanted: set[Key] = set()

    def restart(self, revision: int) -> None:
        """All kinds are about to be listed, from a store that is at `revision`.

        A store that went back was restored from a copy: its next revisions mean other values than
        the same numbers did before, so none that was seen counts any more.
        """
        if revision < self._reached:
            for known in self._sources.values():
                known.update({key: seen.unread() for key, seen in known.items()})
        self._reached = revision

    def replace(self, kind: str, listing: Listing) -> None:
        """All objects of a kind, as they are now: only what differs goes out."""
        known = self._sources[kind]
        gone = set(known)
        events: list[Event] = [
            Put(resource.key, resource, int(resource.metadata.resource_version))
            for resource in listing.resources
        ]
        for event in (*events, *listing.malformed):
            gone.discard(event.key)
            seen = known.get(event.key)
            if seen is None or seen.revision != event.revision:
                self._take(event)
        for key in gone:
            self._forget(key)
        self._floors[kind] = listing.revision
        self._reached = max(self._reached, listing.revision)

    def apply(self, events: Iterable[Event]) -> None:
        """Changes in order; those that a listing or a later read has overtaken are skipped."""
        for event in events:
            self._reached = max(self._reached, event.revision)
            seen = self._sources[event.key.kind].get(event.key)
            known = seen.revision if seen else 0
            if event.revision > max(known, self._floors.get(event.key.kind, 0)):
                self._take(event)

    def take_updates(self) -> dict[Key, Resource | None]:
        """What changed since the last call: whole values, None for what is gone."""
        taken, self._updates = self._updates, {}
        return taken

    def take_warnings(self) -> list[SyncWarning]:
        """What a person should know since the last call; once per object and message."""
        taken, self._warnings = self._warnings, []
        return taken

    def take_wanted(self) -> list[Key]:
        """Objects to read and to give to `reread` before the updates go out."""
        taken, self._wanted = self._wanted, set()
        return sorted(taken)

    def reread(self, event: Put | Deleted | Malformed) -> None:
        """The current state of an object that `take_wanted` asked for."""
        self._take(event)

    def _take(self, event: Event) -> None:
        if isinstance(event, Deleted):
            self._forget(event.key)
        elif isinstance(event, Malformed):
            message = f"{event.key} can't be read and counts as absent: {event.reason}"
            self._stand_for(event.key, event.revision, Conversion(None, (message,)))
        else:
            self._stand_for(event.key, event.revision, _converted(event.resource))

    def _stand_for(self, source: Key, revision: int, found: Conversion) -> None:
        target = None if found.value is None else _target(source, found.value)
        seen = self._sources[source.kind].get(source)
        if seen and seen.target and seen.target != target:
            self._withdraw(source, seen.target)
        self._sources[source.kind][source] = _Seen(revision, target)
        self._warn(source, found.warnings)
        if target is not None:
            self._claim(source, target, found.value)

    def _forget(self, source: Key) -> None:
        seen = self._sources[source.kind].pop(source, None)
        self._warned.pop(source, None)
        if seen and seen.target:
            self._withdraw(source, seen.target)

    def _claim(self, source: Key, target: Key, value: Resource | None) -> None:
        owner = self._owners.get(target, source)
        if owner != source and source != target:
            self._rivals[target].add(source)
            return
        if owner != source:
            self._rivals[target].add(owner)
        self._rivals_without(target, source)
        self._owners[target] = source
        self._updates[target] = value

    def _withdraw(self, source: Key, target: Key) -> None:
        if self._owners.get(target) != source:
            self._rivals_without(target, source)
            return
        heirs = self._rivals.get(target)
        if not heirs:
            del self._owners[target]
            self._updates[target] = None
            return
        heir = min(heirs)
        self._rivals_without(target, heir)
        self._owners[target] = heir
        self._wanted.add(heir)
        # If reading it fails, the next listing must not take it for known.
        self._sources[heir.kind][heir] = self._sources[heir.kind][heir].unread()

    def _rivals_without(self, target: Key, source: Key) -> None:
        rivals = self._rivals.get(target)
        if rivals is not None:
            rivals.discard(source)
            if not rivals:
                del self._rivals[target]

    def _warn(self, source: Key, messages: tuple[str, ...]) -> None:
        if messages and self._warned.get(source) != messages:
            self._warnings += [SyncWarning(source, message) for message in messages]
            self._warned[source] = messages
        elif not messages:
            self._warned.pop(source, None)


def _target(source: Key, value: Resource) -> Key:
    return converted_key(source) or value.key


def _converted(resource: Resource) -> Conversion:
    try:
        return conversion(resource)
    except Exception as error:  # one object that no one thought of must not stop a node
        reason = f"{type(error).__name__}: {error}"
        return Conversion(None, (f"{resource.key} can't be converted: {reason}",))
