"""Settings of interfaces (/proc/sys/net/ipv4/conf and ipv6/conf), told as they change.

From linux/netconf.h. The kernel tells of a few settings only, those that routing daemons ask for,
and never who changed them. Of all others (`route_localnet`, `accept_ra`, a neighbour table's) it
tells nothing.
"""

import struct
from collections.abc import Callable
from enum import IntEnum
from typing import NamedTuple

from tortie.linux.netlink.listener import Listener
from tortie.linux.netlink.rtfamily import VERSION
from tortie.linux.netlink.sockets import NETLINK_ROUTE
from tortie.linux.netlink.wire import MalformedMessage, Message, attribute_map, parse_messages

RTM_NEWNETCONF = 80
_GROUPS = (24, 25)  # RTNLGRP_IPV4_NETCONF, RTNLGRP_IPV6_NETCONF
_HEADER = 4  # struct netconfmsg: the family, padded
_S32 = struct.Struct("=i")
_INDEX = 1  # NETCONFA_IFINDEX
ALL_INTERFACES = -1  # of `conf/all`


class Conf(IntEnum):
    """Which setting: NETCONFA_…; PROXY is proxy_arp of IPv4 and proxy_ndp of IPv6."""

    FORWARDING = 2
    RP_FILTER = 3
    PROXY = 5


class ConfChange(NamedTuple):
    """What the settings of an interface (or ALL_INTERFACES) are now, as far as they are told."""

    version: int
    link: int
    values: dict[Conf, int]


def read_conf(message: Message) -> ConfChange | None:
    """What one notification says; None for what is no such change. Raises MalformedMessage."""
    if message.type != RTM_NEWNETCONF:
        return None
    version = VERSION.get(message.payload[0] if message.payload else 0)
    if version is None:
        return None  # MPLS and others have settings, too
    found = {
        kind: _S32.unpack(value)[0]
        for kind, value in attribute_map(message.payload, _HEADER).items()
        if len(value) == _S32.size
    }
    if _INDEX not in found:
        raise MalformedMessage("settings of no interface")
    return ConfChange(version, found[_INDEX], {kind: found[kind] for kind in Conf if kind in found})


class ConfMonitor:
    """Calls `handler` with each change of its namespace; `lost` if some was missed."""

    def __init__(self, handler: Callable[[ConfChange], None], lost: Callable[[], None]) -> None:
        self._handler = handler
        self._listener = Listener(NETLINK_ROUTE, _GROUPS, self._deliver, lost)

    def start(self) -> None:
        """Deliver from the running loop from now on, those since the opening first."""
        self._listener.start()

    def close(self) -> None:
        """Stop; closing it twice is harmless."""
        self._listener.close()

    def _deliver(self, data: bytes) -> None:
        for message in parse_messages(data):
            change = read_conf(message)
            if change is not None and self._listener.is_open:
                self._handler(change)
