"""A file into a datastore: looked at first, then written in an order that opens nothing, then
compared.

`prepare` reads the whole file and the whole target and writes nothing. `carry_out` locks and marks
the target, writes what is missing, and takes the mark away once both are proved to be equal. The
mark is why a second run may go on after any end: what differs in a marked store is ours.
"""

import asyncio
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import IO, Any, NamedTuple

from msgspec.structs import replace

from tortie.api import Resource, with_metadata
from tortie.datastore.cluster import CLUSTER
from tortie.datastore.contract import AlreadyExists, Conflict, Datastore, DatastoreError, NotFound
from tortie.datastore.migrate.exporting import Progress
from tortie.datastore.migrate.fitting import fitted
from tortie.datastore.migrate.locking import begin, finish, mark_on, of_another, says_the_same
from tortie.datastore.migrate.plan import Entry, Plan, Planner, Problem, Write
from tortie.datastore.migrate.stream import End, Header, Reader, read_at
from tortie.datastore.migrate.survey import derived_of, stored_kinds, survey, target_of

_AT_ONCE = 32  # writes: enough to hide a server's way, few enough to be polite


class Prepared(NamedTuple):
    """A whole file, and what is to be done with it."""

    header: Header
    end: End
    plan: Plan
    nothing_to_do: bool  # the target is the same already, and whole


class Differences(NamedTuple):
    """How the target differs from the file after all was written."""

    problems: tuple[Problem, ...]


async def prepare(store: Datastore, file: IO[bytes], progress: Progress) -> Prepared:
    """Read the file and the target; nothing is written. Raises BadExport, DatastoreError."""
    mark = await mark_on(store)
    prepared = await _prepared(store, file, progress, resumed=bool(mark))
    if mark not in ("", prepared.end.digest):
        raise of_another(mark)
    if mark or not prepared.plan.is_done:
        return prepared
    try:
        same = says_the_same(prepared.plan.cluster, await store.get(CLUSTER))
    except NotFound:
        same = False
    return prepared._replace(nothing_to_do=same)


async def carry_out(
    store: Datastore, file: IO[bytes], prepared: Prepared, progress: Progress
) -> Differences:
    """Write what the plan says; which must not be blocked. Raises DatastoreError.

    After any error, and after a kill, `prepare` and `carry_out` go on where this stopped. The
    store stays locked in any case; with differences it stays marked too.
    """
    plan = prepared.plan
    assert not plan.blocked
    await begin(store, plan.cluster, prepared.end.digest)
    hand = _Hand(store, file, plan, progress)
    for kind, entries in groupby(plan.writes, lambda entry: entry.key.kind):
        await hand.write(kind, list(entries))
    differences = await _compared(store, file, plan, progress)
    if not differences.problems:
        await finish(store, plan.cluster)
    return differences


async def _prepared(
    store: Datastore, file: IO[bytes], progress: Progress, *, resumed: bool
) -> Prepared:
    kinds = (*stored_kinds(store), *sorted(derived_of(store)))
    progress.begin("reading the target", None)
    found = await survey(store, kinds, lambda kind, count: progress.advance(kind, count))
    progress.done()
    file.seek(0)
    reader = Reader(file)
    progress.begin("reading the file", None)
    planner = Planner(target_of(store), found, resumed=resumed)
    for line in reader.lines():
        planner.take(line)
        progress.advance(line.resource.kind, 1)
        if line.number % 500 == 0:
            await asyncio.sleep(0)  # connections are kept alive by this loop
    progress.done()
    assert reader.end is not None
    return Prepared(reader.header, reader.end, planner.plan(), False)


async def _compared(
    store: Datastore, file: IO[bytes], before: Plan, progress: Progress
) -> Differences:
    """The same look once more: there must be nothing left to do."""
    plan = (await _prepared(store, file, progress, resumed=False)).plan
    problems = [*plan.blocked, *(Problem(e.line, e.key, _left(e)) for e in plan.writes)]
    accepted = {problem.key for problem in before.unkept}
    problems += [problem for problem in plan.unkept if problem.key not in accepted]
    if not says_the_same(before.cluster, await store.get(CLUSTER)):
        problems.append(Problem(0, CLUSTER, "says something else than in the file"))
    return Differences(tuple(problems))


def _left(entry: Entry) -> str:
    if entry.write is Write.CREATE:
        return "is in the file, and not in the target"
    return "says something else in the target than in the file"


class _Hand:
    """Writes entries; each kind is whole before the next begins."""

    def __init__(self, store: Datastore, file: IO[bytes], plan: Plan, progress: Progress) -> None:
        self._store = store
        self._file = file
        self._target = target_of(store)
        self._owners = plan.owners
        self._progress = progress

    async def write(self, kind: str, entries: Sequence[Entry]) -> None:
        """All of one kind. Raises DatastoreError for the first that fails."""
        self._progress.begin(f"importing {kind}", len(entries))
        for some in _batches(entries):
            done = await asyncio.gather(*map(self._one, some), return_exceptions=True)
            for result in done:
                if isinstance(result, BaseException):
                    raise result
            self._progress.advance(kind, len(some))
        self._progress.done()

    async def _one(self, entry: Entry) -> None:
        resource = read_at(self._file, entry.offset, entry.key.kind)
        wanted = fitted(resource, self._target, self._owners).resource
        wanted = await self._with_owners(wanted)
        try:
            if entry.write is Write.CREATE:
                await self._store.create(wanted)
            else:
                await self._replace(wanted)
        except AlreadyExists:
            raise Conflict(
                f"line {entry.line}: {entry.key} was made by somebody else meanwhile: nobody else "
                "may write to the target; then run the import again, and it goes on"
            ) from None
        except DatastoreError as error:
            raise type(error)(f"line {entry.line}: {error}") from None

    async def _replace(self, wanted: Resource) -> None:
        found = await self._store.get(wanted.key)
        version, uid = found.metadata.resource_version, found.metadata.uid
        created = found.metadata.creation_timestamp
        await self._store.update(
            with_metadata(wanted, resource_version=version, uid=uid, creation_timestamp=created)
        )

    async def _with_owners(self, resource: Resource) -> Resource:
        """Owners that are in the file have another uid here."""
        owners = resource.metadata.owner_references
        if not isinstance(owners, list | tuple):
            return resource
        mapped = [await self._mapped(owner) for owner in owners]
        return replace(resource, metadata=replace(resource.metadata, owner_references=mapped))

    async def _mapped(self, owner: Any) -> Any:
        key = self._owners.get(owner.get("uid", "")) if isinstance(owner, dict) else None
        if key is None:
            return owner
        try:
            return {**owner, "uid": (await self._store.get(key)).metadata.uid}
        except NotFound:
            return owner


def _batches(entries: Sequence[Entry]) -> Iterator[Sequence[Entry]]:
    for start in range(0, len(entries), _AT_ONCE):
        yield entries[start : start + _AT_ONCE]
