"""What the kernel holds of our routes, learnt once and kept up with what is written."""

from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

from tortie.dataplane.routes.desired import as_wanted, is_ours
from tortie.dataplane.routes.plan import Change, in_safe_order
from tortie.dataplane.routes.settings import RouteSettings
from tortie.linux.netlink.rtnetlink import RTN_BLACKHOLE, KernelRoute, parse_route
from tortie.linux.netlink.sockets import NetlinkError, NetlinkSocket
from tortie.linux.routes import Routes, deleting, replacing
from tortie.net import Prefix

Wanted = Callable[[Prefix], KernelRoute | None]
Names = Mapping[int, str]  # of interfaces, by index
_FEW = 64  # up to here, asking one by one is cheaper than reading the table


class Refusals(NamedTuple):
    """What could not be written: by an error, or because another route has the place."""

    failed: dict[Prefix, str]
    taken: set[Prefix]


class RouteTable:
    """Our part of one routing table. `known` has routes in the form in which we ask for them.

    `wrote` hears how many changes were asked for. Raises NetlinkError or TimeoutError when the
    kernel can't be asked.
    """

    def __init__(
        self, settings: RouteSettings, sock: NetlinkSocket, wrote: Callable[[int], None]
    ) -> None:
        self._settings, self._wrote = settings, wrote
        self._routes = Routes(sock)
        self.known: dict[Prefix, KernelRoute] = {}
        self._read: dict[bytes, KernelRoute] = {}  # what was parsed before, by the kernel's bytes

    def read(self, wanted: Wanted, names: Names) -> list[KernelRoute]:
        """Learn everything anew; returns our routes that stand beside the one to keep."""
        self.known.clear()
        strays: list[KernelRoute] = []
        for route in self._read_ours(names):
            destination = route.destination
            known = self.known.get(destination)
            if not self._may_keep(route) or (known and known == wanted(destination)):
                strays.append(route)
                continue
            if known:
                strays.append(known)
            self.known[destination] = route
        return strays

    def _read_ours(self, names: Names) -> Iterable[KernelRoute]:
        """Most of the kernel's bytes are those of the time before, and need no parsing."""
        settings, before, now = self._settings, self._read, dict[bytes, KernelRoute]()
        protocols = {0} if settings.remove_external else settings.protocols  # 0: whoever's
        for version in (4, 6):
            for protocol in protocols:
                for found in self._routes.dump(version, table=settings.table, protocol=protocol):
                    route = before.get(found) or as_wanted(parse_route(found), settings)
                    now[found] = route
                    if is_ours(route, names, settings):
                        yield route
        self._read = now

    def _may_keep(self, route: KernelRoute) -> bool:
        """Whether what is wanted instead would take this route's place in the kernel."""
        return route.priority == self._settings.priority(route.destination.version)

    def look_again(self, destinations: set[Prefix], wanted: Wanted, names: Names) -> None:
        """Learn anew what the kernel holds for these."""
        if not destinations:
            return
        is_hidden = any(_is_hidden(wanted(destination)) for destination in destinations)
        if is_hidden or len(destinations) > _FEW:
            found = {route.destination: route for route in self._read_ours(names)}
        else:
            found = {route.destination: route for route in self._look_up(destinations, names)}
        for destination in destinations:
            self._learn(destination, found.get(destination))

    def _look_up(self, destinations: Iterable[Prefix], names: Names) -> Iterable[KernelRoute]:
        for destination in destinations:
            route = self._routes.lookup(destination)
            if route and route.destination == destination and is_ours(route, names, self._settings):
                yield as_wanted(route, self._settings)

    def write(self, destinations: Iterable[Prefix], wanted: Wanted) -> Refusals:
        """Write what differs from what is wanted."""
        changes = in_safe_order(
            change
            for destination in destinations
            if (change := Change(destination, self.known.get(destination), wanted(destination)))
            if change.known != change.wanted
        )
        self._wrote(len(changes))
        errors = self._routes.batch([change.request for change in changes])
        refusals = Refusals({}, set())
        for index, change in enumerate(changes):
            error = errors.get(index)
            if error is not None and change.means_misled(error):
                error = self._write_in_steps(change)
            elif error is not None and change.means_taken(error):
                error = self._replace_on_its_link(change, error)
            self._note(change, error, refusals)
        return refusals

    def _write_in_steps(self, change: Change) -> NetlinkError | None:
        errors = self._routes.batch(change.in_two_steps)
        return errors.get(0) or errors.get(1)

    def _replace_on_its_link(self, change: Change, taken: NetlinkError) -> NetlinkError | None:
        """On a workload's own interface its address has its place, whoever made what is there.

        Such as ours were before another DeviceRouteProtocol: they are foreign ones then.
        """
        wanted, other = change.wanted, self._routes.lookup(change.destination)
        if wanted is None or not wanted.oif or wanted.gateway is not None or other is None:
            return taken
        if (other.destination, other.oif) != (wanted.destination, wanted.oif):
            return taken
        return self._routes.batch([replacing(wanted)]).get(0)

    def _note(self, change: Change, error: NetlinkError | None, refusals: Refusals) -> None:
        """Learn from the kernel's answer to one change."""
        if error is None or change.means_gone(error):
            self._learn(change.destination, change.wanted)
        elif change.means_taken(error):
            refusals.taken.add(change.destination)
        else:
            refusals.failed[change.destination] = str(error)

    def _learn(self, destination: Prefix, route: KernelRoute | None) -> None:
        if route is None:
            self.known.pop(destination, None)
        else:
            self.known[destination] = route

    def delete(self, strays: list[KernelRoute]) -> dict[Prefix, str]:
        """Delete routes beside those that are known; returns what could not be, and why."""
        self._wrote(len(strays))
        errors = self._routes.batch([deleting(route) for route in strays])
        return {
            strays[index].destination: str(error)
            for index, error in errors.items()
            if not Change(strays[index].destination, strays[index], None).means_gone(error)
        }

    def why_taken(self, destination: Prefix) -> str:
        """Which route is where ours should be, for people."""
        other = self._routes.lookup(destination)
        shown = f": {other}" if other and other.destination == destination else ""
        return (
            f"a route to {destination} that is not ours has its place{shown}; "
            "delete that one, or give it another metric"
        )


def _is_hidden(route: KernelRoute | None) -> bool:
    """Whether looking a route up would not find it: no blackhole is found so, and what leads to
    another node is in WireGuard's table, too, which is asked first."""
    return route is not None and (route.type == RTN_BLACKHOLE or route.gateway is not None)
