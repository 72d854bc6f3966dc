"""What processes do to the queues and filters of interfaces, told as it happens."""

import sys
from collections.abc import Callable
from typing import NamedTuple

from tortie.linux.netlink.listener import Listener
from tortie.linux.netlink.rttc import (
    RTM_DELQDISC,
    RTM_DELTFILTER,
    RTM_NEWQDISC,
    RTM_NEWTFILTER,
)
from tortie.linux.netlink.socketfilter import PORT, TYPE, Test, of_values
from tortie.linux.netlink.sockets import NETLINK_ROUTE
from tortie.linux.netlink.wire import MalformedMessage, parse_messages

_GROUP = 4  # RTNLGRP_TC
_TYPES = (RTM_NEWQDISC, RTM_DELQDISC, RTM_NEWTFILTER, RTM_DELTFILTER)
_INDEX_AT = slice(4, 8)  # tcm_ifindex


class QueueChange(NamedTuple):
    """The socket with this `port` (often its process's number) changed something of an interface's
    queues or filters; `link` is the interface's index.
    """

    port: int
    link: int


def read_changes(data: bytes) -> list[QueueChange]:
    """What a datagram tells. Raises MalformedMessage."""
    found = []
    for message in parse_messages(data):
        if message.type in _TYPES:
            if len(message.payload) < _INDEX_AT.stop:
                raise MalformedMessage(f"a queue of {len(message.payload)} bytes")
            link = int.from_bytes(message.payload[_INDEX_AT], sys.byteorder)
            found.append(QueueChange(message.port, link))
    return found


class QueueMonitor:
    """Calls `handler` with what processes, this one too, do; `lost` if some was missed."""

    def __init__(self, handler: Callable[[QueueChange], None], lost: Callable[[], None]) -> None:
        self._handler = handler
        self._listener = Listener(NETLINK_ROUTE, (_GROUP,), self._deliver, lost)
        wanted = of_values(TYPE, _TYPES, "asked", otherwise="drop")
        self._listener.set_filter([*wanted, Test(PORT, 0, "drop", "keep", label="asked")])

    def start(self) -> None:
        """Deliver from the running loop from now on, those since the opening first."""
        self._listener.start()

    def close(self) -> None:
        """Stop; closing it twice is harmless."""
        self._listener.close()

    def _deliver(self, data: bytes) -> None:
        for change in read_changes(data):
            if self._listener.is_open:
                self._handler(change)
