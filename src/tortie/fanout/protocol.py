"""The two sides of the protocol, as bytes in and events out; no I/O, no clock.

client                      server
HELLO versions, stream  ─▶
                        ◀─  WELCOME version | REFUSED reason
                        ◀─  PICTURE, records..., COMPLETE revision
                        ◀─  records, PROGRESS revision | STATUS | PING | GOODBYE, for ever
PONG                    ─▶
"""

from typing import NamedTuple

from tortie.fanout.frames import Frame, FrameReader, FrameType, ProtocolError
from tortie.fanout.messages import (
    FROM_CLIENT,
    FROM_SERVER,
    VERSIONS,
    Complete,
    Goodbye,
    Hello,
    Picture,
    Ping,
    Progress,
    Record,
    Refused,
    Status,
    Welcome,
    read,
    read_batch,
)


class Pong(NamedTuple):
    """The client is there; `number` is the ping's."""

    number: int


class Records(NamedTuple):
    """Objects of a picture, or that changed."""

    records: list[Record]


ServerEvent = Hello | Pong
Said = Welcome | Refused | Picture | Complete | Progress | Status | Ping | Goodbye
ClientEvent = Said | Records

_WORDS: dict[FrameType, type[Said]] = {
    FrameType.WELCOME: Welcome,
    FrameType.REFUSED: Refused,
    FrameType.PICTURE: Picture,
    FrameType.COMPLETE: Complete,
    FrameType.PROGRESS: Progress,
    FrameType.STATUS: Status,
    FrameType.PING: Ping,
    FrameType.GOODBYE: Goodbye,
}
_ANY_TIME = (FrameType.STATUS, FrameType.PING, FrameType.GOODBYE)
_BATCHES = (FrameType.RECORDS, FrameType.PACKED)
# What may come next, beside what may come at any time, by what came last of these.
_AFTER: dict[FrameType | None, tuple[FrameType, ...]] = {
    None: (FrameType.WELCOME, FrameType.REFUSED),
    FrameType.WELCOME: (FrameType.PICTURE, FrameType.REFUSED),
    FrameType.REFUSED: (),
    FrameType.PICTURE: (*_BATCHES, FrameType.COMPLETE),
    FrameType.COMPLETE: (*_BATCHES, FrameType.PROGRESS),
}


def common_version(offered: tuple[int, ...]) -> int | None:
    """The newest version that both sides speak."""
    return max(set(offered) & set(VERSIONS), default=None)


class ServerSide:
    """What one client says."""

    def __init__(self) -> None:
        self._frames = FrameReader(FROM_CLIENT)
        self._greeted = False

    def feed(self, data: bytes) -> list[ServerEvent]:
        """What the client said with these bytes. Raises ProtocolError."""
        return [self._event(frame) for frame in self._frames.feed(data)]

    def _event(self, frame: Frame) -> ServerEvent:
        if frame.type is FrameType.HELLO and not self._greeted:
            self._greeted = True
            return read(Hello, frame.body)
        if frame.type is FrameType.PONG and self._greeted:
            return Pong(read(Ping, frame.body).number)
        raise ProtocolError(f"a client's {frame.type.name} out of turn")


class ClientSide:
    """What the server says."""

    def __init__(self) -> None:
        self._frames = FrameReader(FROM_SERVER)
        self._stage: FrameType | None = None

    def feed(self, data: bytes) -> list[ClientEvent]:
        """What the server said with these bytes. Raises ProtocolError."""
        return [self._event(frame) for frame in self._frames.feed(data)]

    def _event(self, frame: Frame) -> ClientEvent:
        if frame.type not in _ANY_TIME and frame.type not in _AFTER[self._stage]:
            after = self._stage.name if self._stage else "the start"
            raise ProtocolError(f"a server's {frame.type.name} after {after}")
        if frame.type in _AFTER:
            self._stage = frame.type
        if frame.type in _BATCHES:
            return Records(read_batch(frame.type, frame.body))
        return read(_WORDS[frame.type], frame.body)
