"""One client, as the server sees it: handshake, hello, a snapshot, then crumb after crumb.

It is driven by the event loop's readiness and by new crumbs, and keeps a position in the shared
trail, the buffer that is half sent, and nothing else. Whatever its peer does ends this connection
at most.
"""

import asyncio
import math
import time
from collections import deque
from collections.abc import Callable
from enum import Enum

from tortie.fanout.certificates import Tls, WrongPeer, check_peer
from tortie.fanout.frames import FrameType, ProtocolError
from tortie.fanout.messages import Goodbye, Hello, Ping, Refused, written
from tortie.fanout.protocol import Pong, ServerSide
from tortie.fanout.snapshots import Snapshot
from tortie.fanout.tally import Tally
from tortie.fanout.trail import Crumb, Trail
from tortie.fanout.wire import Wire

_LARGE = 64 << 10  # bytes that are offered to the kernel in one go
_TURN = 512 << 10  # bytes after which other clients have their turn


class Stage(Enum):
    """How far a client has come."""

    HANDSHAKE = "handshake"
    GREETING = "greeting"
    WAITING = "waiting"
    SNAPSHOT = "snapshot"
    FOLLOWING = "following"
    CLOSED = "closed"


class Connection:
    """A client. `on_hello` is called once, `on_close` once with the reason."""

    def __init__(
        self,
        wire: Wire,
        peer: str,
        tls: Tls | None,
        on_hello: Callable[["Connection", Hello], None],
        on_close: Callable[["Connection", str], None],
    ) -> None:
        self._wire = wire
        self._tls = tls
        self._on_hello = on_hello
        self._on_close = on_close
        self._loop = asyncio.get_running_loop()
        self._protocol = ServerSide()
        self._words: deque[bytes] = deque()  # of the server to this client alone
        self._frames: deque[bytes] = deque()  # of its snapshot
        self._left: bytes | memoryview | None = None  # what is half sent
        self._writing = False  # it waits for the kernel to take more
        self._at: Crumb | None = None  # the crumb that it has, or is being sent
        self._begun = 0.0
        self.leaving_since: float | None = None
        self._ping = Ping(0)
        self.peer = peer
        self.node = ""
        self._tally = Tally()  # of nobody, until its stream is known
        self._trail: Trail | None = None
        self.stage = Stage.HANDSHAKE
        self.has_picture = asyncio.Event()  # or is closed
        self.let_off = False
        self.opened_at = self.moved_at = self.heard_at = self.pinged_at = time.monotonic()

    @property
    def behind_since(self) -> float:
        """When the oldest crumb was made that it does not have; never, if it has all."""
        if self._at is None:
            return math.inf
        if self.stage is Stage.FOLLOWING and self._begun:
            return self._at.made_at
        return self._at.next.made_at if self._at.next else math.inf

    @property
    def behind_bytes(self) -> int:
        """How much of the trail it does not have."""
        return self._trail.behind(self._at) if self._trail and self._at else 0

    @property
    def owes_pong(self) -> bool:
        """Whether a ping is not answered yet."""
        return self.heard_at < self.pinged_at

    @property
    def stuck(self) -> bool:
        """Whether it does not take what is sent to it."""
        return self._writing

    def start(self) -> None:
        """Begin with the handshake."""
        self._loop.add_reader(self._wire.fileno(), self._readable)
        self._guarded(self._shake_hands)

    def say(self, word: bytes) -> None:
        """Send something to this client alone, after what is half sent."""
        self._words.append(word)
        self._guarded(self._push)

    def refuse(self, reason: str) -> None:
        """Say why there will be no stream, and close."""
        self.leave(written(FrameType.REFUSED, Refused(reason)))

    def dismiss(self, reason: str) -> None:
        """Send the client to another server, and close."""
        self.leave(written(FrameType.GOODBYE, Goodbye(reason)))

    def leave(self, word: bytes) -> None:
        """A last word, then close once it is out."""
        if self.stage is Stage.HANDSHAKE:
            self.close("sent away")  # before that there are no words
            return
        self.leaving_since = time.monotonic()
        self.say(word)

    def note_let_off(self) -> None:
        """It is further behind than others may be, for it is new."""
        self.let_off = True
        self._tally.grace_used += 1

    def ping(self, now: float) -> None:
        """Ask whether it is there, unless it owes an answer or could not hear us now."""
        if not self.owes_pong and not self._writing:
            self._ping = Ping(self._ping.number + 1)
            self.pinged_at = now
            self.say(written(FrameType.PING, self._ping))

    def join(self, trail: Trail, tally: Tally) -> None:
        """It is a client of that stream."""
        self._trail, self._tally = trail, tally

    def send_snapshot(self, snapshot: Snapshot, status: bytes) -> None:
        """Begin with the picture; `status` comes behind it."""
        self._frames.extend((*snapshot.frames, status))
        self._at = snapshot.at
        self._begun = time.monotonic()
        self.stage = Stage.SNAPSHOT
        self._guarded(self._push)

    def push(self) -> None:
        """There are new crumbs."""
        if not self._writing and self.stage is Stage.FOLLOWING:
            self._guarded(self._push)

    def close(self, reason: str) -> None:
        """End it now."""
        if self.stage is Stage.CLOSED:
            return
        self.stage = Stage.CLOSED
        self._loop.remove_reader(self._wire.fileno())
        self._loop.remove_writer(self._wire.fileno())
        self._wire.close()
        self._left = self._at = None
        self._words.clear()
        self._frames.clear()
        self.has_picture.set()
        self._on_close(self, reason)

    def _guarded(self, step: Callable[[], None]) -> None:
        try:
            if self.stage is not Stage.CLOSED:
                step()
        except (ValueError, WrongPeer) as error:  # a ProtocolError, or what ssl can't decode
            self.close(str(error))
        except OSError as error:
            self.close(error.strerror or str(error))

    def _readable(self) -> None:
        self._guarded(self._shake_hands if self.stage is Stage.HANDSHAKE else self._receive)

    def _writable(self) -> None:
        self._guarded(self._shake_hands if self.stage is Stage.HANDSHAKE else self._push)

    def _shake_hands(self) -> None:
        done = self._wire.shake_hands()
        self._wait_to_write(not done and self._wire.wants_write)
        if done:
            if self._tls is not None:
                check_peer(self._wire.certificate(), self._tls)
            self.stage = Stage.GREETING
            self._receive()

    def _receive(self) -> None:
        data, ended = self._wire.receive()
        for event in self._protocol.feed(data) if data else ():
            if isinstance(event, Pong):
                self._ponged(event)
            else:
                self.stage, self.node = Stage.WAITING, event.node
                self.heard_at = time.monotonic()
                self._on_hello(self, event)
        if ended:
            self.close("the client ended the connection")

    def _ponged(self, pong: Pong) -> None:
        if pong.number != self._ping.number or not self.owes_pong:
            raise ProtocolError("a pong that answers no ping")
        self.heard_at = time.monotonic()
        self._tally.ping.add(self.heard_at - self.pinged_at)

    def _push(self) -> None:
        """Send until all is out, the kernel takes no more, or it is others' turn."""
        turn = 0
        while True:
            if self._left is None:
                self._left = self._next()
                if self._left is None:
                    self._wait_to_write(False)
                    return
            left = self._left
            sent = self._wire.send(left if len(left) <= _LARGE else memoryview(left)[:_LARGE])
            if sent == len(left):
                self._left = None
            else:
                self._left = memoryview(left)[sent:]
            turn += sent
            if not sent or turn > _TURN:
                self._wait_to_write(True)
                return

    def _next(self) -> bytes | None:
        """What is to be sent next, if anything is."""
        self.moved_at = time.monotonic()
        if self._words:
            return self._words.popleft()
        if self.leaving_since is not None:
            self.close("sent away")
            return None
        if self._frames:
            return self._frames.popleft()
        if self._at is None:
            return None
        return self._next_crumb(self._at)

    def _next_crumb(self, at: Crumb) -> bytes | None:
        tally = self._tally
        if self.stage is Stage.SNAPSHOT:
            self.stage = Stage.FOLLOWING
            self.has_picture.set()
            tally.snapshot_send.add(self.moved_at - self._begun)
        elif self._begun:  # the crumb at which it is, is out
            tally.client_latency.add(self.moved_at - at.made_at)
            tally.write_latency.add(self.moved_at - self._begun)
        crumb = at.next
        if crumb is None:
            self._begun = 0.0
            tally.crumbs_blocked += 1
            return None
        tally.crumbs_not_blocked += 1
        self._at, self._begun = crumb, self.moved_at
        tally.crumb_latency.add(self.moved_at - crumb.made_at)
        return crumb.wire

    def _wait_to_write(self, wanted: bool) -> None:
        if wanted is self._writing or self.stage is Stage.CLOSED:
            return
        self._writing = wanted
        if wanted:
            self._loop.add_writer(self._wire.fileno(), self._writable)
        else:
            self._loop.remove_writer(self._wire.fileno())
