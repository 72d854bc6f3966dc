"""A whole picture as frames, made once for all clients that join at about the same time."""

import asyncio
from collections.abc import Iterator
from typing import NamedTuple

from tortie.fanout.frames import FrameType
from tortie.fanout.messages import Complete, Picture, batch, written
from tortie.fanout.trail import Crumb

CHUNK = 256 << 10  # bytes of records in a frame; decoding one takes a client some 10 ms


class Snapshot(NamedTuple):
    """A picture's frames; who has sent them goes on with the crumbs after `at`."""

    frames: tuple[bytes, ...]
    at: Crumb
    raw_bytes: int
    packed_bytes: int


async def pack(records: list[bytes], identity: str, revision: int, at: Crumb) -> Snapshot:
    """Compress a picture in a worker thread; zlib does its work without the GIL."""
    return await asyncio.to_thread(_pack, records, identity, revision, at)


def _pack(records: list[bytes], identity: str, revision: int, at: Crumb) -> Snapshot:
    frames = (
        written(FrameType.PICTURE, Picture(identity)),
        *(batch(chunk, len(chunk)) for chunk in chunks(records)),
        written(FrameType.COMPLETE, Complete(revision)),
    )
    return Snapshot(frames, at, sum(map(len, records)), sum(map(len, frames)))


def chunks(records: list[bytes]) -> Iterator[list[bytes]]:
    """The records in parts of about `CHUNK` bytes, each with one record at least."""
    start = size = 0
    for end, record in enumerate(records):
        if end > start and size + len(record) > CHUNK:
            yield records[start:end]
            start, size = end, 0
        size += len(record)
    if start < len(records):
        yield records[start:]
