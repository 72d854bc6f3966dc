"""What changes in a namespace, told as it happens, to an asyncio program.

What the kernel had to drop comes out as `Overrun`, on which the reader has to look at everything
again (see `listener`).
"""

from collections.abc import Callable
from enum import StrEnum

from msgspec import Struct
from msgspec.structs import replace

from tortie.linux.netlink.listener import Listener
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
from tortie.linux.netlink.wire import Message, parse_messages

LINK_GROUPS = (1,)
ADDRESS_GROUPS = (5, 9)
ROUTE_GROUPS = (7, 11)


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

    Begin listening before the first look at what is there: then nothing falls in between. Of an
    interface that was renamed it says that the old name is gone, then what the kernel says.
    """

    def __init__(
        self, handler: Callable[[Event], None], groups: tuple[int, ...] = LINK_GROUPS
    ) -> None:
        self._handler = handler
        self._names: dict[int, str] = {}  # of the interfaces heard of
        self._listener = Listener(NETLINK_ROUTE, groups, self._deliver, self._lost)

    def set_buffer(self, size: int) -> None:
        """How many bytes of notifications the kernel keeps for us (root; twice that is used)."""
        self._listener.set_buffer(size)

    def start(self) -> None:
        """Deliver events from the running loop from now on, those since the opening first."""
        self._listener.start()

    def close(self) -> None:
        """Stop; closing it twice is harmless."""
        self._listener.close()

    def _lost(self) -> None:
        self._handler(Overrun())

    def _deliver(self, data: bytes) -> None:
        events = [read_event(message) for message in parse_messages(data)]
        for event in events:
            for one in () if event is None else self._renamed(event):
                if self._listener.is_open:
                    self._handler(one)

    def _renamed(self, event: Event) -> tuple[Event, ...]:
        if not isinstance(event, LinkChanged):
            return (event,)
        link = event.link
        before = self._names.pop(link.index, link.name)
        if event.state != LinkState.GONE:
            self._names[link.index] = link.name
        if before == link.name:
            return (event,)
        return (LinkChanged(replace(link, name=before), LinkState.GONE), event)
