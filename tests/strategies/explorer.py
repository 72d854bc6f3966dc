"""Every order in which actors' operations on a store can happen, and every place of a crash.

A run is replayed from the start along a path of choices. Two things keep that small. Actors know
only what the store answered them, so two paths that leave the store alike and gave each actor the
same answers have the same future: it is walked once. And of two operations that touch nothing in
common either order does: only one is walked (sleep sets, Godefroid 1996).
"""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Collection, Sequence
from typing import Any, NamedTuple

from strategies.ipam import Crash
from tortie.api import Key, Resource, encode
from tortie.datastore import Batch, Datastore, Listing
from tortie.datastore.memory import MemoryDatastore
from tortie.datastore.values import in_pages

_CHANGING = ("IPAMBlock", "BlockAffinity", "IPAMHandle", "Service")
Actor = Callable[[Datastore], Awaitable[None]]


class Touch(NamedTuple):
    """What an operation looks at: one key or a whole kind (name ""), and whether it writes."""

    kind: str
    name: str
    writes: bool

    def commutes(self, other: "Touch") -> bool:
        """Whether either order of the two does the same."""
        if not (self.writes or other.writes) or self.kind != other.kind:
            return True
        return "" not in (self.name, other.name) and self.name != other.name


class Choice(NamedTuple):
    """Which actor's operation happens next, and how it ends ("do", "crash", "do, crash")."""

    actor: int
    verdict: str
    touch: Touch

    def commutes(self, other: "Choice") -> bool:
        """Whether either order of the two does the same. Crashes count against one limit."""
        if self.actor == other.actor or (self.verdict != "do" and other.verdict != "do"):
            return False
        return self.touch.commutes(other.touch)


class World(NamedTuple):
    """What to explore. `check` looks at the store after each step, `end` when all have ended."""

    prepare: Callable[[MemoryDatastore], Awaitable[None]]
    actors: Sequence[Actor]
    check: Callable[[MemoryDatastore], Awaitable[None]]
    end: Callable[[MemoryDatastore], Awaitable[None]]
    crashes: int  # at most, in one run


Sleep = frozenset[Choice]  # what need not be chosen here: another path has it


class Explorer:
    """Walks a world. `states` counts the different ones."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._seen: dict[int, Sleep] = {}

    @property
    def states(self) -> int:
        """How many different states there were so far."""
        return len(self._seen)

    def walk(self) -> int:
        """Walk all of it; the number of states."""
        paths: list[tuple[tuple[Choice, ...], Sleep]] = [((), frozenset())]
        while paths:
            paths += asyncio.run(self._along(*paths.pop()))
        return self.states

    async def _along(
        self, path: tuple[Choice, ...], sleep: Sleep
    ) -> list[tuple[tuple[Choice, ...], Sleep]]:
        """Replay a path and go on with the first choice; what else could have been chosen."""
        run = await _Run.begin(self._world)
        for choice in path:
            await run.step(choice)
        others: list[tuple[tuple[Choice, ...], Sleep]] = []
        while not await self._is_known(run, sleep):
            choices = [one for one in run.choices() if one not in sleep]
            if not run.choices():
                await self._world.end(run.inner)
            if not choices:
                break
            for place, choice in reversed(list(enumerate(choices))):
                asleep = sleep | frozenset(choices[:place])
                below = frozenset(one for one in asleep if one.commutes(choice))
                others.append(((*path, choice), below))
            path, sleep = others.pop()
            await run.step(path[-1])
        run.stop()
        return others

    async def _is_known(self, run: "_Run", sleep: Sleep) -> bool:
        await self._world.check(run.inner)
        state = await run.state()
        before = self._seen.get(state)
        if before is not None and before <= sleep:
            return True
        self._seen[state] = sleep if before is None else before & sleep
        return False


class _Run:
    """One run of all actors over a store of its own."""

    def __init__(self, world: World, inner: MemoryDatastore) -> None:
        self.inner = inner
        self._crashes = world.crashes
        versions = _Versions()
        self._doors = [_Door(inner, versions) for _ in world.actors]
        self._versions = versions
        self._tasks = [
            asyncio.ensure_future(_played(actor, door))
            for actor, door in zip(world.actors, self._doors, strict=True)
        ]

    @classmethod
    async def begin(cls, world: World) -> "_Run":
        """A run in which nothing has happened yet."""
        inner = MemoryDatastore()
        await world.prepare(inner)
        made = cls(world, inner)
        await _settle()
        return made

    def choices(self) -> list[Choice]:
        """What can happen next. Of one actor's operations that wait at once, the first."""
        verdicts = ["do", "crash", "do, crash"] if self._crashes else ["do"]
        return [
            Choice(number, verdict, door.waiting[0][0])
            for number, door in enumerate(self._doors)
            if door.waiting
            for verdict in verdicts
        ]

    async def step(self, choice: Choice) -> None:
        """Let it happen."""
        door = self._doors[choice.actor]
        door.waiting.pop(0)[1].set_result(choice.verdict)
        await _settle()
        if choice.verdict != "do":
            self._crashes -= 1
            self._tasks[choice.actor].cancel()
            await _settle()
            door.waiting.clear()

    async def state(self) -> int:
        """What the future depends on, as a hash."""
        stored = [self._versions.text(await self.inner.list(kind)) for kind in _CHANGING]
        heard = [tuple(door.heard) for door in self._doors]
        ready = [len(door.waiting) for door in self._doors]
        return hash((tuple(stored), tuple(heard), tuple(ready), self._crashes))

    def stop(self) -> None:
        """End what still runs."""
        for task in self._tasks:
            task.cancel()


class _Versions:
    """Revisions as counts of each object's own changes: those of the store depend on the order."""

    def __init__(self) -> None:
        self._known: dict[Key, list[str]] = {}

    def text(self, answer: object) -> str:
        """An answer of the store, the same whenever it means the same."""
        resources = getattr(answer, "resources", (answer,))
        return "\n".join(map(self._one, resources))

    def _one(self, resource: object) -> str:
        if not isinstance(resource, Resource):
            return str(resource)
        known = self._known.setdefault(resource.key, [])
        version = resource.metadata.resource_version
        if version not in known:
            known.append(version)
        return f"{resource.key} {known.index(version)} {encode(resource)!r}"


class _Door:
    """A store as one actor sees it: each operation on what changes waits for its turn."""

    def __init__(self, store: Datastore, versions: _Versions) -> None:
        self._store, self._versions = store, versions
        self.waiting: list[tuple[Touch, asyncio.Future[str]]] = []
        self.heard: list[str] = []

    async def _turn(self, touch: Touch, operation: Callable[[], Awaitable[Any]]) -> Any:
        if touch.kind not in _CHANGING:
            return await operation()
        turn = asyncio.get_running_loop().create_future()
        self.waiting.append((touch, turn))
        verdict = await turn
        if verdict == "crash":
            raise Crash
        try:
            answer = await operation()
        except Exception as error:
            self.heard.append(type(error).__name__)
            raise
        if verdict.endswith("crash"):
            raise Crash
        self.heard.append(self._versions.text(answer))
        return answer

    async def revision(self) -> int:
        return await self._store.revision()

    async def identity(self) -> str:
        return await self._store.identity()

    async def get(self, key: Key) -> Resource:
        touch = Touch(key.kind, key.name, False)
        return await self._turn(touch, lambda: self._store.get(key))  # type: ignore[no-any-return]

    async def list(self, kind: str, namespace: str | None = None) -> Listing:
        touch = Touch(kind, "", False)
        found = await self._turn(touch, lambda: self._store.list(kind, namespace))
        assert isinstance(found, Listing)
        return found

    async def pages(
        self, kind: str, namespace: str | None = None, size: int = 500
    ) -> AsyncGenerator[Listing, None]:
        for page in in_pages(await self.list(kind, namespace), size):
            yield page

    async def create(self, resource: Resource) -> Resource:
        return await self._write(resource.key, lambda: self._store.create(resource))

    async def update(self, resource: Resource) -> Resource:
        return await self._write(resource.key, lambda: self._store.update(resource))

    async def delete(self, key: Key, revision: int | None = None) -> Resource | None:
        return await self._write(key, lambda: self._store.delete(key, revision))

    async def _write(self, key: Key, operation: Callable[[], Awaitable[Any]]) -> Any:
        return await self._turn(Touch(key.kind, key.name, True), operation)

    def watch(self, kinds: Collection[str], since: int) -> AsyncGenerator[Batch, None]:
        return self._store.watch(kinds, since)

    async def close(self) -> None:
        await self._store.close()


def unasked(door: Datastore) -> Datastore:
    """The store behind an actor's door: what an actor knows from before the scene."""
    assert isinstance(door, _Door)
    return door._store


async def _played(actor: Actor, door: Datastore) -> None:
    try:
        await actor(door)
    except Crash:
        return


async def _settle() -> None:
    """Let every task run until it waits for its turn."""
    for _ in range(15):
        await asyncio.sleep(0)
