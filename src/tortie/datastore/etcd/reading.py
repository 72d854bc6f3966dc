"""Reads: one object, or a kind in pages of one snapshot; the next comes while one is used."""

import asyncio
from collections.abc import AsyncGenerator, Iterable
from contextlib import suppress

from tortie.api import Key, Resource
from tortie.datastore.contract import Listing, Malformed
from tortie.datastore.etcd import requests
from tortie.datastore.etcd import rpc_pb2 as pb
from tortie.datastore.etcd.connection import Connection
from tortie.datastore.etcd.layout import (
    RESOURCES,
    Span,
    key_of,
    needs_search,
    paths_of,
    spans,
)
from tortie.datastore.etcd.members import RANGE, TXN
from tortie.datastore.etcd.objects import read

PAGE_SECONDS = 30.0  # of one member, for a page: 500 objects of 1 MiB take their time
_SEARCH_PAGE = 5_000


async def find(connection: Connection, key: Key) -> pb.KeyValue | None:
    """What stands under a key; None for nothing."""
    paths = paths_of(key)
    if len(paths) == 1:
        return await at(connection, paths[0])
    if paths:
        answer, _ = await connection.ask(TXN, requests.read_any(paths), f"read {key}")
        return requests.found(answer)
    return await _searched(connection, key) if needs_search(key) else None


async def at(connection: Connection, path: bytes) -> pb.KeyValue | None:
    """What stands in one place; None for nothing."""
    answer, _ = await connection.ask(RANGE, requests.read(path), f"read {path.decode()}")
    found: pb.KeyValue | None = answer.kvs[0] if answer.kvs else None
    return found


async def revision(connection: Connection, past: int = 0) -> int:
    """The revision of the cluster's last write. Raises Gone if `past` is compacted or to come."""
    request = pb.RangeRequest(key=RESOURCES.encode(), revision=past, count_only=True)
    answer, _ = await connection.ask(RANGE, request, f"read {RESOURCES}")
    last: int = answer.header.revision
    return last


async def pages(
    connection: Connection, kind: str, namespace: str | None, size: int
) -> AsyncGenerator[Listing, None]:
    """See `Datastore.pages`. Decoding here and reading in etcd go on at the same time."""
    at_revision = 0
    for number, span in enumerate(spans(kind, namespace)):
        start: bytes | None = span.start
        reading = _reading(connection, span, span.start, size, at_revision)
        try:
            while start is not None:
                answer = await reading
                at_revision = at_revision or answer.header.revision
                start = answer.kvs[-1].key + b"\0" if answer.more else None
                if start is not None:
                    reading = _reading(connection, span, start, size, at_revision)
                    await _sent()
                if answer.kvs or not number:
                    yield _listing(answer.kvs, at_revision)
        finally:
            await _dropped(reading)


async def _searched(connection: Connection, key: Key) -> pb.KeyValue | None:
    """Some name holds a hash, so that only the keys tell whose it is."""
    for span in spans(key.kind):
        start: bytes | None = span.start
        while start is not None:
            request = requests.page(span, start, _SEARCH_PAGE, 0)
            request.keys_only = True
            answer, _ = await connection.ask(RANGE, request, f"read {key}", PAGE_SECONDS)
            for kv in answer.kvs:
                if key_of(kv.key) == key:
                    return await at(connection, kv.key)
            start = answer.kvs[-1].key + b"\0" if answer.more else None
    return None


def _reading(
    connection: Connection, span: Span, start: bytes, size: int, at_revision: int
) -> "asyncio.Task[pb.RangeResponse]":
    async def read_page() -> pb.RangeResponse:
        request = requests.page(span, start, size, at_revision)
        answer, _ = await connection.ask(
            RANGE, request, f"read {span.start.decode()}", PAGE_SECONDS
        )
        page: pb.RangeResponse = answer
        return page

    return asyncio.ensure_future(read_page())


async def _sent() -> None:
    """Let what was begun come as far as to the member, before we compute.

    Without it the page would be asked for once this one is decoded and used, and etcd idle until
    then. The turns are ours, gRPC's, and one to spare.
    """
    for _ in range(3):
        await asyncio.sleep(0)


async def _dropped(reading: "asyncio.Task[pb.RangeResponse]") -> None:
    """End a page that nobody wants any more; what became of it is of no interest."""
    reading.cancel()
    with suppress(asyncio.CancelledError):
        await asyncio.wait([reading])
    if not reading.cancelled():
        reading.exception()


def _listing(kvs: Iterable[pb.KeyValue], at_revision: int) -> Listing:
    """In the order of etcd's keys, which for the names in use is that of ours nearly always."""
    resources: list[Resource] = []
    malformed: list[Malformed] = []
    for kv in kvs:
        key = key_of(kv.key)
        if key is None:
            continue  # somebody else's, in the middle of ours
        found = read(kv, key)
        if isinstance(found, Malformed):
            malformed.append(found)
        else:
            resources.append(found)
    return Listing(tuple(resources), tuple(malformed), at_revision)


def joined(listings: list[Listing]) -> Listing:
    """The pages of one snapshot as one listing, sorted by key."""
    resources = [resource for listing in listings for resource in listing.resources]
    return Listing(
        resources=tuple(sorted(resources, key=_place)),
        malformed=tuple(item for listing in listings for item in listing.malformed),
        revision=listings[0].revision,
    )


def _place(resource: Resource) -> tuple[str, str]:
    """etcd sorts by the bytes of its keys, where "-" comes before the "/" after a namespace."""
    return resource.metadata.namespace, resource.metadata.name
