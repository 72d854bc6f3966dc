"""Frames: four bytes of length, one of type, then the body. Bytes in, frames out; no I/O.

The length counts the body only. A frame that announces more than the limit ends the connection
before a byte of its body is kept, so a peer that is not known yet can make us hold nothing.
"""

import struct
from enum import IntEnum
from typing import NamedTuple

_HEAD = struct.Struct("!IB")


class ProtocolError(ValueError):
    """The peer sent what the protocol does not allow; the message says what."""


class FrameType(IntEnum):
    """What a frame's body is. Numbers never change their meaning."""

    HELLO = 1  # client: which versions and which stream
    WELCOME = 2  # server: the version that is spoken from here on
    REFUSED = 3  # server: why there will be no stream
    PICTURE = 4  # server: a whole picture begins
    RECORDS = 5  # server: changed objects
    PACKED = 6  # the same, compressed
    COMPLETE = 7  # server: the picture is whole
    PROGRESS = 8  # server: all changes up to a revision are out
    STATUS = 9  # server: whether the datastore can be followed
    PING = 10  # server: are you there?
    PONG = 11  # client: yes
    GOODBYE = 12  # server: connect to another one


class Frame(NamedTuple):
    """One frame, as it came."""

    type: FrameType
    body: bytes


def frame(type_: FrameType, body: bytes = b"") -> bytes:
    """The bytes of a frame."""
    return _HEAD.pack(len(body), type_) + body


class FrameReader:
    """Cuts a stream of bytes into frames with bodies of at most `limit` bytes."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._buffer = bytearray()

    @property
    def held(self) -> int:
        """Bytes of a frame that is not complete yet."""
        return len(self._buffer)

    def feed(self, data: bytes) -> list[Frame]:
        """The frames that `data` completes, in order. Raises ProtocolError."""
        self._buffer += data
        found, at = [], 0
        while len(self._buffer) - at >= _HEAD.size:
            length, number = _HEAD.unpack_from(self._buffer, at)
            type_ = self._checked(length, number)
            end = at + _HEAD.size + length
            if len(self._buffer) < end:
                break
            found.append(Frame(type_, bytes(self._buffer[at + _HEAD.size : end])))
            at = end
        del self._buffer[:at]
        return found

    def _checked(self, length: int, number: int) -> FrameType:
        try:
            type_ = FrameType(number)
        except ValueError:
            raise ProtocolError(f"no frame has type {number}") from None
        if length > self._limit:
            raise ProtocolError(
                f"a {type_.name} frame of {length} bytes, where {self._limit} are the most"
            )
        return type_
