"""Whatever happens to server and connection: nothing lost or twice, and one line that says why."""

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager
from typing import Any

import msgspec
import pytest

from datastore.kubernetes.proxy import Proxy, proxy_of
from servers.kube import KubeServer
from strategies.datastore import first_events, network_set, revision_of
from tortie.api import Key, NetworkSet, Resource, with_metadata
from tortie.datastore import (
    AlreadyExists,
    Conflict,
    Event,
    Gone,
    NotFound,
    Put,
    Unavailable,
)
from tortie.datastore.kubernetes import KubernetesDatastore, client, watches
from tortie.datastore.kubernetes.places import place_of
from tortie.datastore.settings import CRD_V1, KubernetesSettings
from tortie.sync import Backoff, Syncer, Update

KIND = "NetworkSet"
KINDS = (KIND, "GlobalNetworkSet", "Tier")


def run(body: Awaitable[Any]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(90):
            await body

    asyncio.run(bounded())


@asynccontextmanager
async def opened(settings: KubernetesSettings) -> AsyncIterator[KubernetesDatastore]:
    store = await KubernetesDatastore.open(settings)
    try:
        yield store
    finally:
        await store.close()


def through(kube: KubeServer, proxy: Proxy) -> KubernetesSettings:
    return msgspec.structs.replace(kube.client(), api_endpoint=proxy.endpoint)


async def taken(watch: Any, count: int) -> list[Event]:
    events: list[Event] = []
    while len(events) < count:
        events += await first_events(watch)
    return events


def test_a_watch_that_is_cut_goes_on_without_loss(kube: KubeServer) -> None:
    async def body() -> None:
        async with proxy_of(kube.port) as proxy, opened(through(kube, proxy)) as behind:
            async with opened(kube.client()) as store:
                for kind in KINDS:
                    await store.list(kind)
                since = await store.revision()
                made: list[Resource] = []
                async with aclosing(behind.watch(KINDS, since)) as watch:
                    events: list[Event] = []
                    for turn in range(5):
                        names = [f"n{turn}-{number}" for number in range(4)]
                        made += [await store.create(network_set(name)) for name in names]
                        proxy.cut()
                        made.append(await store.create(network_set(f"n{turn}-cut")))
                        events += await taken(watch, 5 * (turn + 1) - len(events))
            assert events == [Put(each.key, each, revision_of(each)) for each in made]

    run(body())


def test_a_connection_that_leads_nowhere_is_given_up(
    kube: KubeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watches, "SILENCE_SECONDS", 0.5)

    async def body() -> None:
        async with (
            proxy_of(kube.port) as proxy,
            opened(through(kube, proxy)) as behind,
            opened(kube.client()) as store,
        ):
            first = await store.create(network_set("first"))
            async with aclosing(behind.watch([KIND], revision_of(first) - 1)) as watch:
                await first_events(watch)
                proxy.freeze()
                made = await store.create(network_set("second"))
                (event,) = await first_events(watch)
            assert event == Put(made.key, made, revision_of(made))

    run(body())


def test_a_watch_that_the_server_ends_goes_on(
    kube: KubeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    watched: list[int] = []

    def one_second(*_: int) -> int:
        watched.append(1)
        return 1

    monkeypatch.setattr(watches.random, "randint", one_second)

    async def body() -> None:
        async with opened(kube.client()) as store:
            made = await store.create(network_set("first"))
            async with aclosing(store.watch([KIND], revision_of(made))) as watch:
                for number in range(3):
                    waiting = asyncio.ensure_future(first_events(watch))
                    await _until(lambda number=number: len(watched) > number + 1)  # type: ignore[misc]
                    made = await store.create(network_set(f"n{number}"))
                    assert await waiting == (Put(made.key, made, revision_of(made)),)

    run(body())


@pytest.mark.skipif("TORTIE_SLOW" not in os.environ, reason="takes a minute: TORTIE_SLOW=1 runs it")
def test_bookmarks_move_a_quiet_kind_on(kube: KubeServer) -> None:
    async def body() -> None:
        async with opened(kube.client()) as store:
            made = await store.create(network_set("first"))
            stream = watches.Stream(store._client, place_of(KIND, CRD_V1, False), 1)
            stream.revision = revision_of(made) - 1
            told: list[Event] = []
            following = asyncio.ensure_future(stream.run(told.extend, _room))
            await _until(lambda: bool(told))
            made = await store.create(network_set("second"))
            await _until(lambda: len(told) == 2)
            stream.revision = 0  # what only a bookmark can raise again
            await _until(lambda: stream.revision >= revision_of(made))
            following.cancel()
            assert len(told) == 2

    run(body())


async def _room() -> None:
    """There always is."""


async def _until(done: Callable[[], bool]) -> None:
    """Wait for a condition of this process; the test's own bound ends it."""
    while not done():  # noqa: ASYNC110 - what it waits for rings no bell
        await asyncio.sleep(0.01)


def test_a_list_whose_history_goes_midway_begins_again(kube: KubeServer) -> None:
    async def body() -> None:
        async with opened(kube.client()) as store:
            for number in range(9):
                await store.create(network_set(f"n{number}"))
            async with aclosing(store.pages(KIND, size=2)) as pages:
                await anext(pages)
                await anext(pages)  # the third is on its way already, before history goes
                await store.create(network_set("later"))
                await asyncio.to_thread(kube.compact)
                await anext(pages)
                with pytest.raises(Gone, match="list again"):
                    await anext(pages)
            assert len((await store.list(KIND)).resources) == 10

    run(body())


def test_a_server_that_forgot_says_so(fresh_kube: KubeServer) -> None:
    async def body() -> None:
        async with opened(fresh_kube.client()) as store:
            made = await store.create(network_set("a"))
            await store.create(network_set("b"))
            await asyncio.to_thread(fresh_kube.restart)
            with pytest.raises(Gone, match="list again"):
                async with aclosing(store.watch([KIND], revision_of(made) - 1)) as watch:
                    await anext(watch)

    run(body())


def test_a_revision_of_another_life_is_gone(kube: KubeServer) -> None:
    async def body() -> None:
        async with opened(kube.client()) as store:
            with pytest.raises(Gone, match="not of this datastore"):
                await anext(store.watch([KIND], await store.revision() + 10_000))

    run(body())


class Load:
    """Writers that note what was acknowledged, and a follower's picture of it."""

    def __init__(self) -> None:
        self.acknowledged: set[str] = set()
        self.seen: dict[Key, Resource] = {}
        self.stop = False

    async def write(self, store: KubernetesDatastore, number: int) -> None:
        turn = 0
        while not self.stop:
            try:
                await store.create(network_set(f"w{number}-{turn}"))
            except Unavailable:  # it may have been done, so that it is there next time
                await asyncio.sleep(0.02)
                continue
            except AlreadyExists:
                pass
            self.acknowledged.add(f"w{number}-{turn}")
            turn += 1

    async def follow(self, store: KubernetesDatastore) -> None:
        syncer = Syncer(store, KINDS, backoff=Backoff(sleep=lambda _: asyncio.sleep(0.05)))
        async with aclosing(syncer.stream()) as batches:
            async for batch in batches:
                for item in batch:
                    if isinstance(item, Update):
                        self._take(item)

    def _take(self, update: Update) -> None:
        if update.value is None:
            self.seen.pop(update.key, None)
        else:
            self.seen[update.key] = update.value


def test_no_acknowledged_write_is_lost_over_restarts(fresh_kube: KubeServer) -> None:
    """Writers and a follower go on while the server is killed and comes back, twice."""

    async def body() -> None:
        load = Load()
        async with opened(fresh_kube.client()) as store, opened(fresh_kube.client()) as other:
            following = asyncio.ensure_future(load.follow(other))
            writers = [asyncio.ensure_future(load.write(store, number)) for number in range(4)]
            for _ in range(2):
                wanted = len(load.acknowledged) + 20
                await _until(lambda wanted=wanted: len(load.acknowledged) >= wanted)  # type: ignore[misc]
                await asyncio.to_thread(fresh_kube.restart)
            load.stop = True
            await asyncio.gather(*writers)
            held = {item.key for item in (await store.list(KIND)).resources}
            assert load.acknowledged <= {key.name for key in held}
            await _until(lambda: set(load.seen) == held)
            following.cancel()
            await asyncio.gather(following, return_exceptions=True)

    run(body())


def test_a_server_that_is_away_is_said_in_one_line(unheard: int) -> None:
    async def body() -> None:
        port = unheard
        settings = KubernetesSettings(api_endpoint=f"https://127.0.0.1:{port}", token="secret")
        async with opened(settings) as store:
            expected = rf"https://127\.0\.0\.1:{port} can't be reached: .*refused"
            for attempt in (store.revision(), store.list(KIND), store.create(network_set("a"))):
                with pytest.raises(Unavailable, match=expected) as found:
                    await attempt
                assert "\n" not in str(found.value)
                assert "secret" not in str(found.value)

    run(body())


def test_an_outage_of_a_watch_is_told(
    fresh_kube: KubeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watches, "OUTAGE_SECONDS", 0.3)

    async def body() -> None:
        async with opened(fresh_kube.client()) as store:
            watch = store.watch(KINDS, await store.revision())
            made = await store.create(network_set("a"))
            assert [event.key for event in await first_events(watch)] == [made.key]
            fresh_kube.kill()
            with pytest.raises(Unavailable):
                await _drained(watch)

    run(body())


async def _drained(watch: Any) -> None:
    async for _ in watch:
        pass


def test_a_server_that_stands_still_ends_in_time(
    fresh_kube: KubeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "ANSWER_SECONDS", 0.5)
    monkeypatch.setattr(client, "CONNECT_SECONDS", 0.5)

    async def body() -> None:
        async with opened(fresh_kube.client()) as store:
            key = Key(KIND, "default", "a")
            with fresh_kube.paused(), pytest.raises(Unavailable, match="no answer in time"):
                await store.get(key)
        monkeypatch.undo()
        async with opened(fresh_kube.client()) as store:
            with pytest.raises(NotFound):
                await store.get(key)

    run(body())


def test_of_writers_that_meet_one_wins(kube: KubeServer) -> None:
    async def body() -> None:
        async with opened(kube.client()) as store:
            made = await store.create(network_set("a", n="0"))
            changes = [with_metadata(made, labels={"n": f"{number}"}) for number in range(1, 9)]
            answers = await asyncio.gather(*map(store.update, changes), return_exceptions=True)
            assert [type(answer) for answer in answers].count(NetworkSet) == 1
            assert all(isinstance(answer, NetworkSet | Conflict) for answer in answers)

    run(body())


# What a real server can't be brought to say: answers from a script


@asynccontextmanager
async def scripted(*answers: bytes) -> AsyncIterator[tuple[KubernetesSettings, list[str]]]:
    """A server that gives these answers in turn, one a connection; and the requests it had."""
    left = list(answers)
    requests: list[str] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        requests.append(head.decode().split("\r\n")[0])
        writer.write(left.pop(0) if left else b"")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    try:
        yield KubernetesSettings(api_endpoint=f"http://127.0.0.1:{port}"), requests
    finally:
        server.close()


def _answer(status: str, body: bytes = b"{}", *headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", "Connection: close", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


LIST = _answer("200 OK", b'{"metadata": {"resourceVersion": "12"}, "items": []}')


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The waits between attempts, which are over at once."""
    found: list[float] = []

    async def sleep(seconds: float) -> None:
        found.append(seconds)

    monkeypatch.setattr(client.asyncio, "sleep", sleep)
    return found


def test_a_busy_server_is_asked_again_when_it_says(waits: list[float]) -> None:
    async def body() -> None:
        busy = _answer("429 Too Many Requests", b"{}", "Retry-After: 7")
        starting = _answer("503 Service Unavailable", b"{}", "Retry-After: 3600")
        async with (
            scripted(busy, starting, LIST) as (settings, requests),
            opened(settings) as store,
        ):
            assert (await store.list(KIND)).revision == 12
            assert len(requests) == 3

    run(body())
    assert [seconds for seconds in waits if seconds > 1] == [7, client.LONGEST_WAIT]


def test_requests_wait_for_their_turn(waits: list[float]) -> None:
    async def body() -> None:
        async with scripted(LIST, LIST) as (settings, _):
            slow = msgspec.structs.replace(settings, qps=1.0, burst=1)
            async with opened(slow) as store:
                await store.list(KIND)
                await store.list(KIND)

    run(body())
    assert [seconds for seconds in waits if 0.5 < seconds <= 1] != []


def test_a_server_that_stays_busy_is_unavailable(waits: list[float]) -> None:
    async def body() -> None:
        busy = _answer("429 Too Many Requests", b"{}", "Retry-After: 1")
        async with scripted(*[busy] * 9) as (settings, requests), opened(settings) as store:
            with pytest.raises(Unavailable, match="is overloaded"):
                await store.list(KIND)
            assert len(requests) == client.ATTEMPTS

    run(body())
    assert waits


@pytest.mark.parametrize("broken", [b"", _answer("502 Bad Gateway"), b"HTTP/1.1 200 OK\r\n"])
def test_a_read_that_broke_is_asked_again(waits: list[float], broken: bytes) -> None:
    async def body() -> None:
        async with scripted(broken, LIST) as (settings, _), opened(settings) as store:
            assert (await store.list(KIND)).revision == 12

    run(body())
    assert all(seconds < 1 for seconds in waits)


@pytest.mark.parametrize("broken", [b"", _answer("502 Bad Gateway"), b"HTTP/1.1 200 OK\r\n"])
def test_a_write_that_broke_is_never_repeated(broken: bytes) -> None:
    async def body() -> None:
        async with scripted(broken, LIST) as (settings, requests), opened(settings) as store:
            with pytest.raises(Unavailable, match=r"may (or may not )?have been"):
                await store.create(network_set("a"))
            assert len(requests) == 1

    run(body())


@pytest.mark.parametrize(
    "nonsense",
    [
        b"SSH-2.0-OpenSSH\r\n",
        b"\x00" * 100,
        _answer("200 OK", b"<html>"),
        _answer("200 OK", b"{}"),
    ],
)
def test_what_is_no_api_server_is_said(nonsense: bytes) -> None:
    async def body() -> None:
        async with scripted(*[nonsense] * 9) as (settings, _), opened(settings) as store:
            key = Key(KIND, "default", "a")
            for attempt in (store.list(KIND), store.get(key), store.identity()):
                with pytest.raises(Unavailable) as found:
                    await attempt
                assert "\n" not in str(found.value)

    run(body())
