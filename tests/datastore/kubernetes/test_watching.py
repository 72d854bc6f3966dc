"""Watches in pieces: what is told, what counts as told, and what ends them."""

import asyncio
import json
import os
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import pytest

from datastore.kubernetes.test_faults import LIST, _answer, run, scripted
from tortie.api import Key
from tortie.datastore import Batch, Deleted, Event, Gone, Unavailable
from tortie.datastore.kubernetes import watches
from tortie.datastore.kubernetes.client import Client
from tortie.datastore.kubernetes.locating import find_access
from tortie.datastore.kubernetes.merge import Known, Merge
from tortie.datastore.kubernetes.places import place_of
from tortie.datastore.kubernetes.watches import Room, Sink, Stream
from tortie.datastore.settings import CRD_V1, KubernetesSettings

SETS = place_of("NetworkSet", CRD_V1, False)
OPTIONAL = place_of("KubernetesAdminNetworkPolicy", CRD_V1, False)
STOPPED = json.dumps({"type": "ERROR", "object": {"code": 500, "message": "stopped"}}).encode()
CHUNKS = b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n"


def deleted(name: str, revision: int) -> bytes:
    metadata = {"name": name, "namespace": "n", "resourceVersion": str(revision)}
    return json.dumps({"type": "DELETED", "object": {"metadata": metadata}}).encode() + b"\n"


def listed(revision: int) -> bytes:
    body = {"metadata": {"resourceVersion": str(revision)}, "items": []}
    return _answer("200 OK", json.dumps(body).encode())


@asynccontextmanager
async def client_of(settings: KubernetesSettings) -> AsyncIterator[Client]:
    client = Client(find_access(settings), 0, 1)
    try:
        yield client
    finally:
        await client.close()


async def _nobody_waits() -> None:
    pass


async def told(place: object, since: int, *answers: bytes) -> tuple[list[Event], Exception]:
    """What a stream tells of these answers, and why it ends."""
    found: list[Event] = []
    async with scripted(*answers) as (settings, _), client_of(settings) as client:
        stream = Stream(client, place, since)  # type: ignore[arg-type]
        with pytest.raises((Gone, Unavailable)) as end:
            await stream.run(found.extend, _nobody_waits)
    return found, end.value


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watches, "OUTAGE_SECONDS", 0.2)


@pytest.mark.usefixtures("impatient")
def test_what_stands_before_an_error_is_told() -> None:
    async def body() -> None:
        events, _ = await told(SETS, 5, CHUNKS + deleted("a", 7) + STOPPED + b"\n")
        assert events == [Deleted(Key("NetworkSet", "n", "a"), 7)]

    run(body())


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("answer", [CHUNKS, CHUNKS + STOPPED + b"\n", CHUNKS + b"<html>\n"])
def test_a_watch_that_begins_but_never_tells_is_an_outage(answer: bytes) -> None:
    async def body() -> None:
        _, end = await told(SETS, 5, *[answer, LIST] * 50)
        assert isinstance(end, Unavailable)

    run(body())


def test_a_server_put_back_to_an_earlier_copy_is_noticed() -> None:
    async def body() -> None:
        cut = CHUNKS + deleted("a", 70) + STOPPED + b"\n"
        _, end = await told(SETS, 5, cut, listed(40), CHUNKS)
        assert isinstance(end, Gone)
        assert "another life" in str(end)

    run(body())


def test_a_kind_that_is_removed_is_listed_again() -> None:
    async def body() -> None:
        absent = _answer("404 Not Found", b"404 page not found")
        _, end = await told(OPTIONAL, 5, CHUNKS + deleted("a", 7), absent)
        assert isinstance(end, Gone)

    run(body())


class Piped:
    """A stream of lines "REVISION" from a pipe; a line that has no end yet is half an event."""

    def __init__(self, since: int) -> None:
        self.revision, self.connected, self.active = since, True, time.monotonic()
        self._midway = False
        self._out, self._in = os.pipe()
        os.set_blocking(self._out, False)

    is_quiet = Stream.is_quiet

    def write(self, text: bytes) -> None:
        os.write(self._in, text)

    async def run(self, sink: Sink, _room: Room) -> None:
        loop = asyncio.get_running_loop()
        came: asyncio.Queue[bytes] = asyncio.Queue()
        loop.add_reader(self._out, lambda: came.put_nowait(os.read(self._out, 4096)))
        try:
            rest = b""
            while True:
                *lines, rest = (rest + await came.get()).split(b"\n")
                self.active, self._midway = time.monotonic(), bool(rest)
                self._tell(lines, sink)
        finally:
            loop.remove_reader(self._out)
            os.close(self._out)
            os.close(self._in)

    def _tell(self, lines: Sequence[bytes], sink: Sink) -> None:
        for line in lines:
            self.revision = int(line)
            sink([Deleted(Key("Tier", "", "a"), self.revision)])


async def _until(watch: AsyncIterator[Batch], revision: int) -> list[Batch]:
    found: list[Batch] = []
    async for batch in watch:
        found.append(batch)
        if batch.revision >= revision:
            break
    return found


async def _turns() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


def test_silence_counts_only_while_somebody_listens() -> None:
    async def body() -> None:
        known, busy, idle = Known(), Piped(10), Piped(10)
        merge = Merge([busy, idle], 10, known)  # type: ignore[list-item]
        watch = merge.batches(_nobody_waits, lambda: False)
        first = asyncio.ensure_future(anext(watch))
        await _turns()
        known.heard(13)
        await _turns()  # it waits for 13 to settle
        busy.write(b"12\n")
        assert [event.revision for event in (await first).events] == [12]
        busy.write(b"13\n")
        time.sleep(0.1)  # noqa: ASYNC251 - who takes the batches keeps the loop busy
        told = await _until(watch, 13)
        await watch.aclose()
        assert [event.revision for batch in told for event in batch.events] == [13]

    run(body())


def test_half_an_event_is_no_silence() -> None:
    async def body() -> None:
        known, slow = Known(), Piped(10)
        watch = Merge([slow, Piped(10)], 10, known).batches(  # type: ignore[list-item]
            _nobody_waits, lambda: False
        )
        first = asyncio.ensure_future(_until(watch, 13))
        await _turns()
        slow.write(b"1")
        known.heard(13)
        await asyncio.wait([first], timeout=0.15)
        assert not first.done()
        slow.write(b"3\n")
        told = await first
        await watch.aclose()
        assert [event.revision for batch in told for event in batch.events] == [13]

    run(body())
