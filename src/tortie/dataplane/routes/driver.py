"""Desired routes into the kernel: reads back once, then writes differences.

`_known` is what the kernel holds of ours, in the form in which we would ask for it. The kernel
drops routes by itself when an interface goes down, often without a word, so that knowledge about
an interface's routes ends with each of its events and is fetched anew.
"""

from collections.abc import Callable, Iterable

from tortie.dataplane.contract import Applied, Failure
from tortie.dataplane.routes.desired import DesiredRoutes, as_wanted, is_ours
from tortie.dataplane.routes.plan import Change, in_safe_order
from tortie.dataplane.routes.settings import RouteSettings
from tortie.dataplane.routes.sysctls import Sysctls
from tortie.engine.delta import Delta
from tortie.linux.links import Links
from tortie.linux.netlink.rtnetlink import RTN_BLACKHOLE, KernelRoute, Link
from tortie.linux.netlink.sockets import NetlinkError, NetlinkSocket
from tortie.linux.routes import Routes, deleting
from tortie.net import Prefix
from tortie.policy.program import EndpointId

_FEW = 64  # below this, asking one by one is cheaper than reading the table


class RouteDriver:
    """Routes of one node, in the network namespace of the thread that first uses it.

    Raises NetlinkError or TimeoutError when the kernel can't be asked; what it refuses is a
    Failure. After an exception the next call reads everything back.
    """

    name = "routes"

    def __init__(
        self,
        settings: RouteSettings | None = None,
        open_socket: Callable[[], NetlinkSocket] = NetlinkSocket,
    ) -> None:
        self._settings = settings or RouteSettings()
        self._open_socket = open_socket
        self._socket: NetlinkSocket | None = None
        self._desired = DesiredRoutes(self._settings)
        self._sysctls = Sysctls()
        self._known: dict[Prefix, KernelRoute] = {}
        self._links: dict[str, Link] = {}  # those that are up, of the names that matter
        self._pending: set[Prefix] = set()
        self._unseen: set[str] = set()  # interfaces to look at
        self._failures: dict[Prefix, Failure] = {}
        self._synced = False

    def close(self) -> None:
        """Close the socket. Routes stay in the kernel."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None
        self._synced = False

    def fold(self, delta: Delta) -> None:
        """Take the delta into the desired state; touch nothing."""
        touched = self._desired.fold(delta)
        self._pending |= touched.destinations
        self._unseen |= touched.interfaces
        if delta.local_vtep is not None:  # the device may be another one now
            self._unseen |= self._tunnels()
        elif delta.routes:
            self._unseen |= self._tunnels() - self._links.keys()

    def apply(self, delta: Delta) -> Applied:
        """Take the delta in, write what follows from it, and try again what failed."""
        self.fold(delta)
        if not self._synced:
            return self.resync()
        return self._guarded(self._settle)

    def resync(self) -> Applied:
        """Read back interfaces and routes; adopt, repair, remove what is ours and not desired."""
        return self._guarded(self._read_and_settle)

    def link_changed(self, name: str, event: str) -> Applied:
        """An interface is now "up", "down" or "gone": routes that depend on it are written anew."""
        if not self._synced:
            return self.resync()
        depending = self._desired.through(name)
        if depending or name in self._desired.interfaces or name in self._tunnels():
            self._unseen.add(name)
        elif not self._settings.is_workload(name):
            depending = self._desired.direct()
        if event != "up":
            self._links.pop(name, None)
        self._pending |= depending
        return self._guarded(lambda: self._look_and_settle(depending))

    def ready(self, endpoint_id: EndpointId) -> bool:
        """Whether all routes of an endpoint are in the kernel and its interface carries packets.

        Until the interface runs, an "up" event of it is to be waited for.
        """
        endpoint = self._desired.endpoints.get(endpoint_id)
        if endpoint is None or not self._synced or endpoint.interface in self._unseen:
            return False
        link = self._links.get(endpoint.interface)
        return (
            link is not None
            and link.running
            and self._sysctls.done(endpoint, link.index)
            and all(self._holds(address.network, endpoint_id) for address in endpoint.addresses)
        )

    def _holds(self, destination: Prefix, endpoint_id: EndpointId) -> bool:
        wanted = self._desired.route(destination, self._links)
        is_owner = self._desired.owner(destination) == endpoint_id
        return is_owner and wanted is not None and self._known.get(destination) == wanted

    def _guarded(self, work: Callable[[], None]) -> Applied:
        if self._socket is None:
            self._socket = self._open_socket()
        try:
            work()
        except (OSError, ValueError):
            self.close()  # half-read answers and half-known state go with it
            raise
        return Applied((*self._sysctls.failures, *self._failures.values()))

    @property
    def _routes(self) -> Routes:
        assert self._socket is not None
        return Routes(self._socket)

    def _read_and_settle(self) -> None:
        assert self._socket is not None
        links = Links(self._socket).list()
        wanted_names = self._desired.interfaces.keys() | self._tunnels()
        self._links = {link.name: link for link in links if link.up and link.name in wanted_names}
        strays = self._read_all({link.index: link.name for link in links})
        self._unseen.clear()
        self._sysctls.forget()
        self._configure(self._desired.interfaces)
        self._failures.clear()
        self._pending = set(self._desired.destinations()) | self._known.keys()
        self._synced = True
        self._write_pending()
        self._delete(strays)

    def _read_all(self, names: dict[int, str]) -> list[KernelRoute]:
        """Learn what the kernel holds of ours; returns what stands beside the one to keep."""
        self._known.clear()
        strays: list[KernelRoute] = []
        for route in self._read_ours(names):
            destination = route.destination
            known = self._known.get(destination)
            if not self._may_keep(route) or (known and known == self._wanted(destination)):
                strays.append(route)
                continue
            if known:
                strays.append(known)
            self._known[destination] = route
        return strays

    def _read_ours(self, names: dict[int, str]) -> Iterable[KernelRoute]:
        settings = self._settings
        for version in (4, 6):
            for protocol in {settings.device_protocol, settings.cluster_protocol}:
                for route in self._routes.list(version, table=settings.table, protocol=protocol):
                    if is_ours(route, names, settings):
                        yield as_wanted(route, settings)

    def _may_keep(self, route: KernelRoute) -> bool:
        """Whether what is wanted instead would take this route's place in the kernel."""
        return route.priority == self._settings.priority(route.destination.version)

    def _wanted(self, destination: Prefix) -> KernelRoute | None:
        return self._desired.route(destination, self._links)

    def _tunnels(self) -> set[str]:
        return {self._settings.vxlan_device4, self._settings.vxlan_device6}

    def _look_and_settle(self, destinations: set[Prefix]) -> None:
        self._refresh_links()
        self._look_again(destinations)
        self._write_pending()

    def _settle(self) -> None:
        self._refresh_links()
        self._write_pending()

    def _refresh_links(self) -> None:
        assert self._socket is not None
        if not self._unseen:
            return
        links = Links(self._socket)
        if len(self._unseen) > _FEW:
            found = {link.name: link for link in links.list()}
        else:
            found = {link.name: link for name in self._unseen if (link := _find(links, name))}
        for name in self._unseen:
            self._learn_link(name, found.get(name))
        self._configure(self._unseen)
        self._unseen = set()

    def _learn_link(self, name: str, link: Link | None) -> None:
        before = self._links.pop(name, None)
        if link is not None and link.up:
            self._links[name] = link
        if before == self._links.get(name):
            return
        self._pending |= self._desired.through(name)
        # The routes through the interface of before went with it.
        if before and (link is None or not link.up or link.index != before.index):
            for destination in self._desired.through(name):
                known = self._known.get(destination)
                if known and known.oif == before.index:
                    del self._known[destination]

    def _configure(self, interfaces: Iterable[str]) -> None:
        """Set up the interfaces before any route leads to them."""
        for name in interfaces:
            link = self._links.get(name)
            owners = self._desired.interfaces.get(name)
            if link is None or not owners:
                self._sysctls.gone(name)
            else:
                self._sysctls.configure(self._desired.endpoints[min(owners)], link.index)

    def _write_pending(self) -> None:
        if self._settings.ip_forwarding:
            self._sysctls.forward({4} | {destination.version for destination in self._pending})
        pending, self._pending = self._pending, set()
        taken = self._write(pending)
        if taken:  # a route is there that we did not know of: perhaps our own
            self._look_again(taken)
            for destination in self._write(taken):
                self._fail(destination, self._why_taken(destination))
        self._name_rivals(pending)

    def _write(self, destinations: Iterable[Prefix]) -> set[Prefix]:
        """Write what differs; returns the destinations whose place is taken by another route."""
        changes: list[Change] = []
        for destination in destinations:
            self._failures.pop(destination, None)
            wanted, known = self._wanted(destination), self._known.get(destination)
            if wanted != known:
                changes.append(Change(destination, known, wanted))
        changes = in_safe_order(changes)
        errors = self._routes.batch([change.request for change in changes])
        return {
            change.destination
            for index, change in enumerate(changes)
            if self._is_taken(change, errors.get(index))
        }

    def _is_taken(self, change: Change, error: NetlinkError | None) -> bool:
        """Learn from the kernel's answer to one change; whether another route has the place."""
        if error is None or change.means_gone(error):
            self._learn(change.destination, change.wanted)
            return False
        if change.means_taken(error):
            return True
        self._fail(change.destination, str(error))
        self._pending.add(change.destination)
        return False

    def _learn(self, destination: Prefix, route: KernelRoute | None) -> None:
        if route is None:
            self._known.pop(destination, None)
        else:
            self._known[destination] = route

    def _fail(self, destination: Prefix, reason: str) -> None:
        owner = self._desired.owner(destination)
        subject = str(owner) if owner else str(destination)
        self._failures[destination] = Failure(self.name, subject, reason)

    def _name_rivals(self, destinations: Iterable[Prefix]) -> None:
        for destination in destinations:
            rivals = self._desired.rivals(destination)
            if rivals and destination not in self._failures:
                reason = f"{destination} belongs to {self._desired.owner(destination)} already"
                self._failures[destination] = Failure(self.name, str(rivals[0]), reason)

    def _look_again(self, destinations: set[Prefix]) -> None:
        """Learn anew what the kernel holds for these."""
        assert self._socket is not None
        if not destinations:
            return
        blackholes = any(self._is_blackhole(destination) for destination in destinations)
        names = {link.index: link.name for link in self._links.values()}
        if blackholes or len(destinations) > _FEW:  # a blackhole can't be looked up
            found = {route.destination: route for route in self._read_ours(names)}
        else:
            found = {route.destination: route for route in self._look_up(destinations, names)}
        for destination in destinations:
            self._learn(destination, found.get(destination))

    def _is_blackhole(self, destination: Prefix) -> bool:
        wanted = self._wanted(destination)
        return wanted is not None and wanted.type == RTN_BLACKHOLE

    def _look_up(
        self, destinations: Iterable[Prefix], names: dict[int, str]
    ) -> Iterable[KernelRoute]:
        for destination in destinations:
            route = self._routes.lookup(destination)
            if route and route.destination == destination and is_ours(route, names, self._settings):
                yield as_wanted(route, self._settings)

    def _why_taken(self, destination: Prefix) -> str:
        other = self._routes.lookup(destination)
        shown = f": {other}" if other and other.destination == destination else ""
        return (
            f"a route to {destination} that is not ours has its place{shown}; "
            "delete that one, or give it another metric"
        )

    def _delete(self, strays: list[KernelRoute]) -> None:
        errors = self._routes.batch([deleting(route) for route in strays])
        for index, error in errors.items():
            if not Change(strays[index].destination, strays[index], None).means_gone(error):
                self._fail(strays[index].destination, str(error))


def _find(links: Links, name: str) -> Link | None:
    try:
        return links.find(name)
    except ValueError:  # a name that no interface can have: one endpoint's trouble, not all's
        return None
