"""Notifications of one netlink protocol, given to an asyncio program datagram by datagram.

The kernel drops notifications when nobody reads them in time, and says so once; it goes on dropping
until its queue has been read to the end. So the loss is told only then: whoever looked at the
report would miss what changed meanwhile.
"""

import asyncio
import errno
import socket
from collections.abc import Callable, Iterable, Sequence

from tortie.linux.netlink.socketfilter import Test, attach
from tortie.linux.netlink.wire import MalformedMessage

_SOL_NETLINK, _NETLINK_ADD_MEMBERSHIP = 270, 1
_SO_RCVBUFFORCE = 33
_RECEIVE = 64 * 1024
_DATAGRAMS_PER_TURN = 64  # then the event loop's other work has its turn


class Listener:
    """Calls `deliver` in the event loop with each datagram, `lost` when some were dropped.

    `deliver` may raise MalformedMessage: that counts as a loss. Begin listening before the first
    look at what is there: then nothing falls in between. A socket belongs to the namespace of the
    thread that makes it.
    """

    def __init__(
        self,
        protocol: int,
        groups: Iterable[int],
        deliver: Callable[[bytes], None],
        lost: Callable[[], None],
    ) -> None:
        self._deliver, self._tell_loss = deliver, lost
        self._loop: asyncio.AbstractEventLoop | None = None
        self._lost = False
        self._socket = socket.socket(
            socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_NONBLOCK, protocol
        )
        try:
            self._socket.bind((0, 0))
            for group in groups:
                self._socket.setsockopt(_SOL_NETLINK, _NETLINK_ADD_MEMBERSHIP, group)
        except OSError:
            self._socket.close()
            raise

    @property
    def is_open(self) -> bool:
        """Whether datagrams are being delivered."""
        return self._loop is not None

    def set_buffer(self, size: int) -> None:
        """How many bytes of notifications the kernel keeps for us (root; twice that is used)."""
        self._socket.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, size)

    def set_filter(self, tests: Sequence[Test]) -> None:
        """Have the kernel leave out what nobody here wants to hear of: it wakes nobody."""
        attach(self._socket, tests)

    def start(self) -> None:
        """Deliver from the running loop from now on, what came since the opening first."""
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._socket.fileno(), self._readable)

    def close(self) -> None:
        """Stop; closing it twice is harmless."""
        if self._loop is not None:
            self._loop.remove_reader(self._socket.fileno())
            self._loop = None
        self._socket.close()

    def _readable(self) -> None:
        for _ in range(_DATAGRAMS_PER_TURN):
            if self._loop is None:  # closed by whoever was told
                return
            try:
                data, _, _, sender = self._socket.recvmsg(_RECEIVE)
            except BlockingIOError:
                self._read_to_the_end()
                return
            except OSError as error:
                if error.errno != errno.ENOBUFS:
                    raise
                self._lost = True
                continue
            if sender[0] == 0:  # another process may send to our port
                self._take(data)
        if self._loop is not None:  # there may be nothing left that would wake us
            self._loop.call_soon(self._readable)

    def _take(self, data: bytes) -> None:
        try:
            self._deliver(data)
        except MalformedMessage:
            self._lost = True  # like what the kernel drops

    def _read_to_the_end(self) -> None:
        if self._lost:
            self._lost = False
            self._tell_loss()
