"""Events of stored objects in, updates of what stands for them out. Pure.

An object (the source) stands for resources (the targets), under their keys; most stand for
themselves alone, a Pod for an endpoint for each of its interfaces. Two objects may stand for one
key: a stored Profile `kns.web` beside the Namespace `web`. Then the one that stands for itself
wins, whatever the order of events.

An object that can't be read any more goes on standing for what it was when it last could.
"""

from collections import defaultdict
from collections.abc import Iterable
from typing import NamedTuple

from tortie.api import Key, Resource
from tortie.datastore import Deleted, Event, Listing, Malformed, Put
from tortie.kubernetes import Conversion, conversion, converted_key
from tortie.sync.claims import Claims
from tortie.sync.kinds import POLICY_KINDS


class SyncWarning(NamedTuple):
    """Something that a person should know; `key` names the stored object, None the datastore."""

    key: Key | None
    message: str

    def __str__(self) -> str:
        return self.message


class _Seen(NamedTuple):
    revision: int
    target: Key | None  # None: it stands for nothing now
    others: tuple[Key, ...] = ()  # nearly always none: so it costs no list of its own

    @property
    def targets(self) -> tuple[Key, ...]:
        return () if self.target is None else (self.target, *self.others)


class Translator:
    """What is out already, so that each further event gives only what changes.

    After each `apply`, `page` or `end`: `take_updates`, `take_warnings`, and `take_wanted`, the
    objects whose current value is needed because they now stand for a key that another one gave up.
    Values aren't kept here; at 100,000 pods they would cost more than the rest of the agent.
    """

    def __init__(self) -> None:
        self._sources: defaultdict[str, dict[Key, _Seen]] = defaultdict(dict)
        self._claims = Claims()
        self._unread: dict[Key, int | None] = {}  # can't be read -> revision when it last could
        self._missing: set[Key] = set()  # of the kind that is being listed, and not come yet
        self._floors: dict[str, int] = {}  # kind -> revision of its last listing
        self._distrusted: set[str] = set()  # kinds of which no revision that was seen counts
        self._reached = 0
        self._updates: dict[Key, Resource | None] = {}
        self._warnings: list[SyncWarning] = []
        self._warned: dict[Key, tuple[str, ...]] = {}
        self._wanted: set[Key] = set()
        self._heirs: set[Key] = set()  # own a target whose value is not theirs yet

    def restart(self, revision: int) -> None:
        """All kinds are about to be listed, from a store that is at `revision`.

        A store that went back was restored from a copy: its next revisions mean other values than
        the same numbers did before, so none that was seen counts any more.
        """
        if revision < self._reached:
            self.distrust()
        self._reached = revision

    def distrust(self) -> None:
        """The store went back: the same revision may mean another value now."""
        self._distrusted.update(self._sources)

    def begin(self, kind: str) -> None:
        """A kind is about to be listed, or listed again from its first page."""
        self._missing = set(self._sources[kind])

    def page(self, page: Listing) -> None:
        """Some objects of the kind, as they are now: only what differs goes out."""
        for resource in page.resources:
            key, revision = resource.key, int(resource.metadata.resource_version)
            if self._differs(key, revision):
                self._convert(key, revision, resource)
        for bad in page.malformed:
            if self._differs(bad.key, bad.revision):
                self._keep(bad.key, bad.revision, bad.reason)

    def end(self, kind: str, revision: int) -> None:
        """The kind's last page was taken: what did not come is gone, as of `revision`."""
        for key in self._missing:
            self._forget(key)
        self._missing = set()
        self._distrusted.discard(kind)
        self._floors[kind] = revision
        self._reached = max(self._reached, revision)

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

    def reread(self, event: Event) -> None:
        """The current state of an object that `take_wanted` asked for."""
        self._take(event)

    def absent_policies(self) -> list[str]:
        """One line for each policy that is stored, but of which no good value was ever seen.

        FelixConfigurations are told too: without one an agent may guard too little.
        """
        return [
            self._warned[key][0]
            for key in sorted(self._unread)
            if self._unread[key] is None
            and (key.kind in POLICY_KINDS or key.kind == "FelixConfiguration")
        ]

    def _differs(self, key: Key, revision: int) -> bool:
        """Whether what came with a listing is another value than the one that is out."""
        self._missing.discard(key)
        seen = self._sources[key.kind].get(key)
        if seen is None or seen.revision != revision:
            return True
        return key in self._heirs or key.kind in self._distrusted

    def _take(self, event: Event) -> None:
        match event:
            case Deleted(key):
                self._forget(key)
            case Malformed(key, reason, revision):
                self._keep(key, revision, reason)
            case Put(key, resource, revision):
                self._convert(key, revision, resource)

    def _convert(self, source: Key, revision: int, resource: Resource) -> None:
        try:
            found = self._conversion(resource)
        except Exception as error:  # one object that no one thought of must not stop a node
            problem = f"{type(error).__name__} in its conversion: {error}"
            self._keep(source, revision, problem)
            return
        self._unread.pop(source, None)
        self._stand_for(source, revision, found.values)
        if found.warnings or source in self._warned:
            self._warn(source, found.warnings)

    def _conversion(self, resource: Resource) -> Conversion:
        return conversion(resource)

    def _target_of(self, source: Key) -> Key | None:
        return converted_key(source)

    def _keep(self, source: Key, revision: int, problem: str) -> None:
        """It can't be used as it is: what is out of it stays, if anything is."""
        seen = None if source in self._heirs else self._sources[source.kind].get(source)
        good = self._unread.get(source, seen.revision) if seen else None
        self._unread[source] = good
        if seen is None or good is None:
            self._stand_for(source, revision, ())
            self._warn(source, (f"{source} counts as absent, it was never read well: {problem}",))
        else:
            self._sources[source.kind][source] = seen._replace(revision=revision)
            stays = f"{source} stays in force as it was at revision {good}"
            self._warn(source, (f"{stays}: {problem}",))

    def _stand_for(self, source: Key, revision: int, values: tuple[Resource, ...]) -> None:
        targets = {self._target_of(source) or value.key: value for value in values}
        seen = self._sources[source.kind].get(source)
        for before in seen.targets if seen else ():
            if before not in targets:
                self._withdraw(source, before)
        keys = tuple(targets)
        self._sources[source.kind][source] = _Seen(revision, keys[0] if keys else None, keys[1:])
        self._heirs.discard(source)
        for target, value in targets.items():
            if self._claims.claim(source, target):
                self._updates[target] = value

    def _forget(self, source: Key) -> None:
        seen = self._sources[source.kind].pop(source, None)
        self._warned.pop(source, None)
        self._unread.pop(source, None)
        for target in seen.targets if seen else ():
            self._withdraw(source, target)

    def _withdraw(self, source: Key, target: Key) -> None:
        self._heirs.discard(source)
        if not self._claims.owns(source, target):
            self._claims.renounce(source, target)
            return
        heir = self._claims.bequeath(target)
        if heir is None:
            self._updates[target] = None
        else:
            self._wanted.add(heir)
            self._heirs.add(heir)  # until it is read: if that fails, the next listing must take it

    def _warn(self, source: Key, messages: tuple[str, ...]) -> None:
        if messages and self._warned.get(source) != messages:
            self._warnings += [SyncWarning(source, message) for message in messages]
            self._warned[source] = messages
        elif not messages:
            self._warned.pop(source, None)


class StoredTranslator(Translator):
    """One by which every object stands for itself, as it is stored."""

    def _conversion(self, resource: Resource) -> Conversion:
        return Conversion((resource,))

    def _target_of(self, source: Key) -> Key | None:
        return source
