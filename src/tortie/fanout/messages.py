"""What the bodies of frames say: JSON for the few words between two peers, records for objects.

A record is one object as the datastores' JSON, under the key by which `tortie.sync` knows it. It is
encoded when it changes, and from then on only copied: into pictures, and into batches for clients.
"""

import zlib
from collections.abc import Iterable
from typing import Annotated, NamedTuple, TypeVar

import msgspec
from msgspec import Meta, Struct

from tortie.fanout.frames import FrameType, ProtocolError, frame

VERSIONS = (1,)  # of the protocol, that this program speaks

FROM_CLIENT = 16 << 10  # bytes of a frame's body, at most
FROM_SERVER = 16 << 20
UNPACKED = 64 << 20  # bytes of a batch after decompression, at most
_WORTH_PACKING = 256  # bytes
_FASTEST = 1  # of zlib's levels; higher ones cost the server more than they save

_Text = Annotated[str, Meta(max_length=1024)]


class Hello(Struct, frozen=True, kw_only=True):
    """A client's first word. `reached`: the revision up to which it knows everything."""

    versions: Annotated[tuple[int, ...], Meta(max_length=64)]
    stream: _Text
    node: _Text = ""
    program: _Text = ""
    reached: int = 0


class Welcome(Struct, frozen=True):
    """The server's answer: the version of all that follows."""

    version: int
    program: str = ""


class Refused(Struct, frozen=True):
    """Why there will be no stream; `versions` are those that the server speaks."""

    reason: str
    versions: tuple[int, ...] = VERSIONS


class Picture(Struct, frozen=True):
    """A picture begins, of the datastore of that identity."""

    datastore: str


class Complete(Struct, frozen=True):
    """All objects of the picture are out, and all changes up to `revision`."""

    revision: int


class Progress(Struct, frozen=True):
    """All changes up to and including `revision` are out."""

    revision: int


class Status(Struct, frozen=True):
    """Why the server can't follow the datastore, and for how many seconds; "": it can.

    `absent`: a line for each stored policy that is not in the stream, since it can't be read.
    """

    outage: str = ""
    lasting: float = 0.0
    absent: tuple[str, ...] = ()


class Goodbye(Struct, frozen=True):
    """The server ends the connection, and why: another one will do."""

    reason: str


class Ping(Struct, frozen=True):
    """Are you there? The answer, a Pong, is the same."""

    number: int


class Record(NamedTuple):
    """An object's JSON under its key; no value: it is gone.

    `type` is the kind of the value, which is another one than the key's where a Kubernetes object
    keeps its key, and what stands for it does not.
    """

    kind: str
    namespace: str
    name: str
    type: str
    value: bytes | None


Message = Hello | Welcome | Refused | Picture | Complete | Progress | Status | Goodbye | Ping
M = TypeVar("M", bound=Struct)

_json = msgspec.json.Encoder()
_pack = msgspec.msgpack.Encoder()
_records = msgspec.msgpack.Decoder(list[Record])


def written(type_: FrameType, message: Message) -> bytes:
    """The frame of a message."""
    return frame(type_, _json.encode(message))


def read(type_: type[M], body: bytes) -> M:
    """The message in a frame's body; fields of newer versions are passed over.

    Raises ProtocolError.
    """
    try:
        return msgspec.json.decode(body, type=type_)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ProtocolError(f"no {type_.__name__}: {error}") from None


def encode_record(record: Record) -> bytes:
    """A record's bytes, to be joined by `batch`."""
    return _pack.encode(record)


def batch(records: Iterable[bytes], count: int) -> bytes:
    """The frame of `count` records, compressed where that is worth it."""
    body = b"\xdd" + count.to_bytes(4, "big") + b"".join(records)  # MessagePack's array 32
    if len(body) < _WORTH_PACKING:
        return frame(FrameType.RECORDS, body)
    return frame(FrameType.PACKED, zlib.compress(body, _FASTEST))


def read_batch(type_: FrameType, body: bytes) -> list[Record]:
    """The records of a RECORDS or PACKED frame. Raises ProtocolError."""
    try:
        return _records.decode(_unpacked(body) if type_ is FrameType.PACKED else body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, zlib.error) as error:
        raise ProtocolError(f"no records: {error}") from None


def _unpacked(body: bytes) -> bytes:
    """The plain bytes, of which there may be `UNPACKED` and no more, whatever is announced."""
    unpacker = zlib.decompressobj()
    plain = unpacker.decompress(body, UNPACKED)
    if not unpacker.eof:
        raise ProtocolError(f"a batch that is cut off, or has more than {UNPACKED} bytes")
    return plain
