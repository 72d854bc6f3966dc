"""What changes in a namespace, told as it happens, to an asyncio program.

The kernel drops notifications when nobody reads them in time, and says so: that comes out as
`Overrun`, on which the reader has to look at everything again. It says so once, and goes on
dropping until its queue has been read to the end, so that `Overrun` is told only then: whoever
looked earlier would miss what changed meanwhile.
"""

import asyncio
import errno
import socket
from collections.abc import Callable
from enum import StrEnum

from msgspec import Struct

from tortie.linux.netlink.rtnetlink import (
    RTM_DELADDR,
    RTM_DELLINK,
    RTM_DELROUTE,
    RTM_NEWADDR,
    RTM_NEWLINK,
    RTM_NEWROUTE,
    Address,
    KernelRoute,
    Link,
    parse_address,
    parse_link,
    parse_route,
)
from tortie.linux.netlink.sockets import NETLINK_ROUTE
from tortie.linux.netlink.wire import MalformedMessage, Message, parse_messages

LINK_GROUPS = (1,)
ADDRESS_GROUPS = (5, 9)
ROUTE_GROUPS = (7, 11)
_SOL_NETLINK, _NETLINK_ADD_MEMBERSHIP = 270, 1
_SO_RCVBUFFORCE = 33
_RECEIVE = 64 * 1024
_DATAGRAMS_PER_TURN = 64  # then the event loop's other work has its turn


class LinkState(StrEnum):
    """What became of an interface: DOWN is administratively down, GONE is deleted."""

    UP = "up"
    DOWN = "down"
    GONE = "gone"


class LinkChanged(Struct, frozen=True):
    """An interface appeared, changed or went."""

    link: Link
    state: LinkState


class AddressChanged(Struct, frozen=True):
    """An interface gained or lost an address."""

    address: Address
    gone: bool


class RouteChanged(Struct, frozen=True):
    """A route appeared, was replaced or went."""

    route: KernelRoute
    gone: bool


class Overrun(Struct, frozen=True):
    """Notifications were lost: what they would have told has to be read anew."""


Event = LinkChanged | AddressChanged | RouteChanged | Overrun


def read_event(message: Message) -> Event | None:
    """What one notification says; None for those that are about something else.

    Raises MalformedMessage.
    """
    kind = message.type
    if kind in (RTM_NEWLINK, RTM_DELLINK):
        return _link_event(message)
    if kind in (RTM_NEWADDR, RTM_DELADDR):
        return AddressChanged(parse_address(message.payload), kind == RTM_DELADDR)
    if kind in (RTM_NEWROUTE, RTM_DELROUTE):
        return RouteChanged(parse_route(message.payload), kind == RTM_DELROUTE)
    return None


def _link_event(message: Message) -> LinkChanged | None:
    if message.payload[:1] != b"\0":  # AF_BRIDGE and others tell of ports, not of links
        return None
    link = parse_link(message.payload)
    if message.type == RTM_DELLINK:
        return LinkChanged(link, LinkState.GONE)
    return LinkChanged(link, LinkState.UP if link.up else LinkState.DOWN)


class Monitor:
    """Calls `handler` in the event loop with every event of the namespace it was opened in.

    Begin listening before the first look at what is there: then nothing falls in between.
    """

    def __init__(
        self, handler: Callable[[Event], None], groups: tuple[int, ...] = LINK_GROUPS
    ) -> None:
        self._handler = handler
        self._loop: asyncio.AbstractEventLoop | None = None
        self._lost = False
        self._socket = socket.socket(
            socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_NONBLOCK, NETLINK_ROUTE
        )
        try:
            self._listen(groups)
        except OSError:
            self._socket.close()
            raise

    def _listen(self, groups: tuple[int, ...]) -> None:
        self._socket.bind((0, 0))
        for group in groups:
            self._socket.setsockopt(_SOL_NETLINK, _NETLINK_ADD_MEMBERSHIP, group)

    def set_buffer(self, size: int) -> None:
        """How many bytes of notifications the kernel keeps for us (root; twice that is used)."""
        self._socket.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, size)

    def start(self) -> None:
        """Deliver events from the running loop from now on, those since the opening first."""
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
            if self._loop is None:  # closed by the handler
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
            if sender[0] == 0:
                self._deliver(data)
        if self._loop is not None:  # there may be nothing left that would wake us
            self._loop.call_soon(self._readable)

    def _read_to_the_end(self) -> None:
        if self._lost:
            self._lost = False
            self._handler(Overrun())

    def _deliver(self, data: bytes) -> None:
        try:
            events = [read_event(message) for message in parse_messages(data)]
        except MalformedMessage:
            self._lost = True  # like what the kernel drops
            return
        for event in events:
            if event is not None and self._loop is not None:
                self._handler(event)
