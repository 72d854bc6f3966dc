"""What the drivers of routes, tunnels and queues do alike: one netlink socket, one shape.

`fold` takes a delta into a desired state and says whether only all can be looked at; `apply` writes
what is pending, `resync` reads back what is there. What the kernel refuses is a Failure that stays
until it is tried again; an exception ends the socket, and the next call reads everything back.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

from tortie.dataplane.contract import Applied, Failure
from tortie.engine.delta import Delta
from tortie.linux.links import Links
from tortie.linux.netlink.sockets import NetlinkSocket

KeyT = TypeVar("KeyT", bound=Hashable)  # by what a driver knows its failures
OpenSocket = Callable[[], NetlinkSocket]


class Follower(ABC, Generic[KeyT]):
    """A driver in the network namespace of the thread that first uses it.

    Raises NetlinkError or TimeoutError when the kernel can't be asked.
    """

    name: str

    def __init__(self, open_socket: OpenSocket) -> None:
        self._open_socket = open_socket
        self._socket: NetlinkSocket | None = None
        self._failures: dict[KeyT, Failure] = {}
        self._is_synced = False  # until everything was read back
        self.ports: frozenset[int] = frozenset()  # from which it writes now
        self.written = 0  # objects, so far

    @abstractmethod
    def fold(self, delta: Delta) -> None:
        """Take the delta into the desired state; touch nothing."""

    @abstractmethod
    def _write_pending(self) -> None:
        """Write what follows from what was folded, and try again what failed."""

    @abstractmethod
    def _settle(self) -> None:
        """Read back what is there; adopt, repair, remove what is not desired."""

    def _begin(self, sock: NetlinkSocket) -> None:
        """A socket was opened: make what works by it."""

    @property
    def _is_idle(self) -> bool:
        """Whether nothing follows from what was folded: then not even a socket is needed."""
        return False

    def apply(self, delta: Delta) -> Applied:
        """Take the delta in, write what follows from it, and try again what failed."""
        self.fold(delta)
        if self._is_idle:
            return self._applied()
        if not self._is_synced:
            return self.resync()
        return self._guarded(self._write_pending)

    def resync(self) -> Applied:
        """Read back what is there; adopt, repair, remove what is not desired."""
        return self._guarded(self._settle_all)

    def close(self) -> None:
        """Close the socket. What is in the kernel stays."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None
            self.ports = frozenset()
        self._is_synced = False

    def _settle_all(self) -> None:
        self._settle()
        self._is_synced = True

    def _guarded(self, work: Callable[[], None]) -> Applied:
        try:
            self._opened()
            work()
        except (OSError, ValueError):
            self.close()  # half-read answers and half-known state go with it
            raise
        return self._applied()

    def _applied(self) -> Applied:
        return Applied(tuple(self._failures.values()))

    def _opened(self) -> NetlinkSocket:
        if self._socket is None:
            self._socket = self._open_socket()
            self.ports = frozenset((self._socket.port,))
            self._begin(self._socket)
        return self._socket

    @property
    def _links(self) -> Links:
        return Links(self._opened())

    def _wrote(self, count: int) -> None:
        self.written += count
