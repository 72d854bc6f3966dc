"""Our routing table, and the rule that has packets look there first.

A destination that is to be encrypted has two routes: to the device, and behind it by metric one
that drops. The kernel forgets the first when the device goes; what then finds the second is lost,
and not sent in clear by the main table.
"""

import errno
from collections.abc import Callable, Iterable, Iterator

from tortie.dataplane.wireguard.desired import Way
from tortie.dataplane.wireguard.settings import WireguardSettings
from tortie.linux.netlink.rtnetlink import (
    RTN_BLACKHOLE,
    RTN_THROW,
    RTN_UNICAST,
    SCOPE_LINK,
    SCOPE_UNIVERSE,
    TABLE_MAIN,
    KernelRoute,
)
from tortie.linux.netlink.rtrule import Rule
from tortie.linux.netlink.sockets import NetlinkSocket, Request
from tortie.linux.routes import Routes, deleting, replacing
from tortie.linux.rules import Rules
from tortie.net import Prefix

_GONE = frozenset({errno.ESRCH, errno.ENODEV, errno.ENOENT})
Place = tuple[Prefix, int]  # destination and metric


class WireguardTable:
    """One table of one IP version. Raises NetlinkError or TimeoutError.

    `wrote` hears how much was written.
    """

    def __init__(
        self, settings: WireguardSettings, sock: NetlinkSocket, wrote: Callable[[int], None]
    ) -> None:
        self._settings, self._wrote = settings, wrote
        self._routes, self._rules = Routes(sock), Rules(sock)
        self._known: dict[Place, KernelRoute] = {}
        self._metrics = {settings.priority, settings.last_resort}  # of ours, those of before, too

    def read(self) -> set[Prefix]:
        """Learn what is there; the destinations."""
        version, table = self._settings.version, self._settings.table
        found = self._routes.list(version, table=table, protocol=self._settings.protocol)
        self._known = {(route.destination, route.priority): _plain(route) for route in found}
        self._metrics |= {route.priority for route in found}
        return {route.destination for route in found}

    def write(self, wanted: Iterable[tuple[Prefix, Way | None]], device: int) -> dict[Prefix, str]:
        """Have the table lead there; what the kernel refuses, by destination."""
        requests: list[Request] = []
        places: list[tuple[Place, KernelRoute | None]] = []
        for destination, way in wanted:
            routes = {route.priority: route for route in self._wanted(destination, way, device)}
            for metric in sorted(self._metrics):  # the way of before goes before what drops
                place, route = (destination, metric), routes.get(metric)
                known = self._known.get(place)
                if known != route:
                    requests.append(replacing(route) if route else deleting(known or _never()))
                    places.append((place, route))
        self._wrote(len(requests))
        errors = self._routes.batch(requests)
        failed: dict[Prefix, str] = {}
        for index, (place, route) in enumerate(places):
            error = errors.get(index)
            if error is not None and not (route is None and error.errno in _GONE):
                failed[place[0]] = str(error)
            elif route is None:
                self._known.pop(place, None)
            else:
                self._known[place] = route
        return failed

    def _wanted(self, destination: Prefix, way: Way | None, device: int) -> Iterator[KernelRoute]:
        settings = self._settings
        if way is Way.MAIN:
            yield self._route(destination, RTN_THROW, settings.priority)
        elif way is not None:
            yield self._route(destination, RTN_BLACKHOLE, settings.last_resort)
            if device and way is Way.DEVICE:
                yield self._route(destination, RTN_UNICAST, settings.priority, device)

    def _route(self, destination: Prefix, kind: int, metric: int, device: int = 0) -> KernelRoute:
        return KernelRoute(
            destination,
            kind,
            self._settings.protocol,
            SCOPE_LINK if device and destination.version == 4 else SCOPE_UNIVERSE,
            self._settings.table,
            metric,
            device,
        )

    def route_by_rule(self, wanted: bool) -> None:
        """Have the rule there, and none besides, or no rule.

        One of before other settings has a table of its own, which goes with it: the next one is
        asked by then, and a route that nobody keeps would lead astray or drop for ever.
        """
        settings = self._settings
        mine = Rule(
            settings.version,
            settings.rule_priority,
            settings.table,
            mask=settings.mark,  # of the bit none: all but what WireGuard sends outside itself
            protocol=settings.protocol,
        )
        found = [rule for rule in self._rules.list(settings.version) if self._is_ours(rule)]
        if wanted and mine not in found:
            self._rules.add(mine)
            self._wrote(1)
        for rule in found:
            if rule != mine or not wanted:
                self._empty(rule.table)
                self._rules.delete(rule)
                self._wrote(1)

    def _is_ours(self, rule: Rule) -> bool:
        """Nobody else makes rules of this protocol and form: who has none of a bit."""
        has_form = rule.mask != 0 and rule.mark == 0 and not rule.inverted and rule.source is None
        return rule.protocol == self._settings.protocol and has_form

    def _empty(self, table: int) -> None:
        """Take our routes out of a table of before."""
        settings = self._settings
        if table in (settings.table, TABLE_MAIN):
            return
        former = self._routes.list(settings.version, table=table, protocol=settings.protocol)
        self._wrote(len(former))
        for error in self._routes.batch([deleting(route) for route in former]).values():
            if error.errno not in _GONE:
                raise error


def _plain(route: KernelRoute) -> KernelRoute:
    """In the form in which we ask for it: IPv6 ones that drop or throw are on the loopback."""
    if route.type in (RTN_BLACKHOLE, RTN_THROW) and route.oif:
        return KernelRoute(
            route.destination,
            route.type,
            route.protocol,
            route.scope,
            route.table,
            route.priority,
        )
    return route


def _never() -> KernelRoute:
    raise AssertionError("a route that is not known is not deleted")
