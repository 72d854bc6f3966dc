"""What processes do to routes, rules, addresses and neighbours, told as it happens.

What the kernel does by itself (an interface goes, and its routes with it) comes with news of the
link, and is left out here by a filter in the kernel, as are routes of protocols that nobody asked
for: a routing daemon may change a thousand a second. Of forwarding entries the kernel does not
tell who changed them, so that all permanent ones are told, with port 0.
"""

import sys
from collections.abc import Callable, Collection
from enum import StrEnum
from typing import NamedTuple

from tortie.linux.netlink.listener import Listener
from tortie.linux.netlink.monitor import ADDRESS_GROUPS, ROUTE_GROUPS
from tortie.linux.netlink.rtaddress import RTM_DELADDR, RTM_NEWADDR, parse_address
from tortie.linux.netlink.rtfamily import AF_BRIDGE
from tortie.linux.netlink.rtneighbour import NUD_PERMANENT, RTM_DELNEIGH, RTM_NEWNEIGH
from tortie.linux.netlink.rtroute import RTM_DELROUTE, RTM_NEWROUTE, KernelRoute, parse_route
from tortie.linux.netlink.rtrule import RTM_DELRULE, RTM_NEWRULE, Rule, parse_rule
from tortie.linux.netlink.socketfilter import FLAGS, PORT, TYPE, Test, in_payload, of_values
from tortie.linux.netlink.sockets import NETLINK_ROUTE
from tortie.linux.netlink.wire import NLM_F_REPLACE, MalformedMessage, Message, parse_messages

_NEIGHBOUR_GROUP = 3
_RULE_GROUPS = (8, 19)  # RTNLGRP_IPV4_RULE, RTNLGRP_IPV6_RULE
_PROTOCOL = in_payload(5, 1)  # rtm_protocol
_FAMILY, _STATE = in_payload(0, 1), in_payload(8, 2)  # ndm_family, ndm_state
_INDEX_AT = slice(4, 8)  # ndm_ifindex
_ROUTES = (RTM_NEWROUTE, RTM_DELROUTE)
_RULES = (RTM_NEWRULE, RTM_DELRULE)
_NEIGHBOURS = (RTM_NEWNEIGH, RTM_DELNEIGH)


class What(StrEnum):
    """Of what a change is."""

    ROUTE = "route"
    ADDRESS = "address"
    NEIGHBOUR = "neighbour"  # forwarding entries, too
    RULE = "rule"


class ForeignChange(NamedTuple):
    """What the socket with this `port` (often its process's number) did on an interface.

    `route` is given for routes, `rule` for rules; `link` is an interface's index, 0 for none.
    """

    port: int
    what: What
    link: int
    route: KernelRoute | None = None
    rule: Rule | None = None


def read_change(message: Message) -> ForeignChange | None:
    """What one notification says. Raises MalformedMessage."""
    kind, payload = message.type, message.payload
    if kind in _ROUTES:
        route = parse_route(payload)
        return ForeignChange(message.port, What.ROUTE, route.oif, route)
    if kind in _RULES:
        return ForeignChange(message.port, What.RULE, 0, rule=parse_rule(payload))
    if kind in (RTM_NEWADDR, RTM_DELADDR):
        return ForeignChange(message.port, What.ADDRESS, parse_address(payload).index)
    if kind in _NEIGHBOURS:
        if len(payload) < _INDEX_AT.stop:
            raise MalformedMessage(f"a neighbour of {len(payload)} bytes")
        index = int.from_bytes(payload[_INDEX_AT], sys.byteorder)
        return ForeignChange(message.port, What.NEIGHBOUR, index)
    return None


def _wanted(protocols: Collection[int]) -> list[Test]:
    """The filter: routes of these protocols or in another's place, permanent forwarding entries;
    of these and all else only what a process asked for.
    """
    return [
        *of_values(TYPE, _ROUTES, "route"),
        *of_values(TYPE, _NEIGHBOURS, "neighbour", otherwise="asked"),
        Test(_FAMILY, AF_BRIDGE, "", "asked", label="neighbour"),
        Test(_STATE, NUD_PERMANENT, "keep", "drop", any_bit=True),
        *of_values(_PROTOCOL, protocols, "asked", label="route"),
        Test(FLAGS, NLM_F_REPLACE, "asked", "drop", any_bit=True),
        Test(PORT, 0, "drop", "keep", label="asked"),
    ]


class ForeignMonitor:
    """Calls `handler` with what processes, this one too, do to routes of the given protocols (or
    put in the place of another route), to rules, addresses, neighbours; `lost` if some was missed.
    """

    def __init__(
        self,
        protocols: Collection[int],
        handler: Callable[[ForeignChange], None],
        lost: Callable[[], None],
    ) -> None:
        self._handler = handler
        groups = (*ADDRESS_GROUPS, *ROUTE_GROUPS, _NEIGHBOUR_GROUP, *_RULE_GROUPS)
        self._listener = Listener(NETLINK_ROUTE, groups, self._deliver, lost)
        self._listener.set_filter(_wanted(protocols))

    def start(self) -> None:
        """Deliver from the running loop from now on, those since the opening first."""
        self._listener.start()

    def close(self) -> None:
        """Stop; closing it twice is harmless."""
        self._listener.close()

    def _deliver(self, data: bytes) -> None:
        for message in parse_messages(data):
            change = read_change(message)
            if change is not None and self._listener.is_open:
                self._handler(change)
