"""Desired routes into the kernel: reads back once, then writes differences.

The kernel drops routes by itself when an interface goes down, often without a word, so that what
is known of an interface's routes ends with each of its events and is looked up anew.
"""

from collections.abc import Collection, Iterable, Iterator

from tortie.dataplane.contract import Applied, Failure
from tortie.dataplane.follower import Follower, OpenSocket
from tortie.dataplane.routes.desired import DesiredRoutes
from tortie.dataplane.routes.holders import Holder, Holders, Partings
from tortie.dataplane.routes.settings import RouteSettings
from tortie.dataplane.routes.sysctls import Sysctls
from tortie.dataplane.routes.table import RouteTable
from tortie.engine.delta import Delta
from tortie.linux.flows import Flows
from tortie.linux.links import Links
from tortie.linux.netlink.rtnetlink import KernelRoute, Link
from tortie.linux.netlink.sockets import NetlinkSocket
from tortie.net import Prefix
from tortie.policy.program import Endpoint, EndpointId

_FEW = 64  # up to here, asking for interfaces one by one is cheaper than listing them


class RouteDriver(Follower[Prefix]):
    """Routes of one node, in the network namespace of the thread that first uses it."""

    name = "routes"

    def __init__(
        self, settings: RouteSettings | None = None, open_socket: OpenSocket = NetlinkSocket
    ) -> None:
        super().__init__(open_socket)
        self._settings = settings or RouteSettings()
        self._flows: Flows | None = None  # with the socket
        self._table: RouteTable  # from the first opening of the socket on
        self._desired = DesiredRoutes(self._settings)
        self.sysctls = Sysctls()  # beside it in the agent, a driver of its own
        self._up: dict[str, Link] = {}  # interfaces that are up, of the names that matter
        self._down: set[str] = set()  # watched interfaces that are there and set down
        self._holders = Holders()
        self._pending: set[Prefix] = set()
        self._unseen: set[str] = set()  # interfaces to look at
        # What followed from the desired state when a destination was written last; of all that are
        # not pending. None: of none.
        self._followed: dict[Prefix, KernelRoute] | None = None

    def close(self) -> None:
        """Close the sockets. Routes stay in the kernel."""
        if self._flows is not None:
            self._flows.close()
            self._flows = None
        super().close()
        self._followed = None

    def _begin(self, sock: NetlinkSocket) -> None:
        self._flows = Flows()
        self._table = RouteTable(self._settings, sock, self._wrote)

    def fold(self, delta: Delta) -> None:
        """Take the delta into the desired state; touch nothing."""
        touched = self._desired.fold(delta)
        self._pending |= touched.destinations
        self._unseen |= touched.interfaces
        if _moves_tunnels(delta):  # a device may be another one now
            self._unseen |= self._settings.tunnels
        elif delta.routes:
            self._unseen |= self._settings.tunnels - self._up.keys()

    def link_changed(self, name: str, event: str) -> Applied:
        """An interface is now "up", "down" or "gone": routes that depend on it are written anew."""
        if not self._is_synced:
            return self.resync()
        depending = self._desired.through(name)
        if depending or name in self._desired.interfaces or name in self._settings.tunnels:
            self._unseen.add(name)
        elif not self._settings.is_workload(name):
            depending = self._desired.direct()
        if event == "gone":
            self.sysctls.gone(name)  # its settings went with it, and its index may come again
        self._pending |= depending
        return self._guarded(lambda: self._look_and_write(depending))

    def ready(self, endpoint_id: EndpointId) -> bool:
        """Whether all routes of an endpoint are in the kernel and its interface carries packets.

        Until the interface runs, an "up" event of it is to be waited for.
        """
        endpoint = self._desired.endpoints.get(endpoint_id)
        if endpoint is None or not self._is_synced or endpoint.interface in self._unseen:
            return False
        link = self._up.get(endpoint.interface)
        return (
            link is not None
            and link.running
            and self.sysctls.done(endpoint, link.index)
            and (self._settings.disabled or self._all_held(endpoint))
        )

    def _all_held(self, endpoint: Endpoint) -> bool:
        return all(self._holds(one.network, endpoint.id) for one in endpoint.addresses)

    def _holds(self, destination: Prefix, endpoint_id: EndpointId) -> bool:
        wanted = self._desired.route(destination, self._up)
        is_owner = self._desired.owner(destination) == endpoint_id
        return is_owner and wanted is not None and self._table.known.get(destination) == wanted

    def _applied(self) -> Applied:
        return Applied((*self.sysctls.failures, *self._failures.values(), *self._shut_down()))

    def _shut_down(self) -> Iterator[Failure]:
        """Workloads whose interface somebody has set down: the kernel took their routes away."""
        for name in sorted(self._down & self._desired.interfaces.keys()):
            for owner in self._desired.interfaces[name]:
                reason = f"interface {name} is down: ip link set {name} up"
                yield Failure(self.name, str(owner), reason)

    def _settle(self) -> None:
        found = self._links.list()
        watched = self._desired.interfaces.keys() | self._settings.tunnels
        before = self._up
        self._up = {link.name: link for link in found if link.up and link.name in watched}
        self._down = {link.name for link in found if not link.up and link.name in watched}
        for name in before.keys() | self._up.keys():
            if before.get(name) != self._up.get(name):
                self._pending |= self._desired.through(name)
        strays: list[KernelRoute] = []
        if not self._settings.disabled:
            strays = self._table.read(self._wanted, {link.index: link.name for link in found})
        self._unseen.clear()
        self.sysctls.forget()
        self._configure(self._desired.interfaces)
        self._pending |= self._suspects() | self._failures.keys() | self._desired.contested
        self._failures.clear()
        self._write_routes()
        for destination, reason in self._table.delete(strays).items():
            self._fail(destination, reason)

    def _suspects(self) -> set[Prefix]:
        """The destinations of which the kernel may not hold what follows from the desired state."""
        followed, known = self._followed, self._table.known
        if followed is None:
            self._followed = {}
            return set(self._desired.destinations()) | known.keys()
        if followed == known:
            return set()
        return {
            one for one in followed.keys() | known.keys() if followed.get(one) != known.get(one)
        }

    def _write_pending(self) -> None:
        self._refresh_links()
        self._write_routes()

    def _wanted(self, destination: Prefix) -> KernelRoute | None:
        found = self._desired.route(destination, self._up)
        if self._followed is not None:
            if found is None:
                self._followed.pop(destination, None)
            else:
                self._followed[destination] = found
        return found

    def _look_and_write(self, destinations: set[Prefix]) -> None:
        self._refresh_links()
        if self._settings.disabled:
            return
        self._table.look_again(destinations, self._wanted, self._names())
        self._write_routes()

    def _names(self) -> dict[int, str]:
        return {link.index: link.name for link in self._up.values()}

    def _refresh_links(self) -> None:
        """Look at interfaces that may have changed, and set them up before routes lead there."""
        unseen, links = self._unseen, self._links
        if len(unseen) > _FEW:
            found = {link.name: link for link in links.list()}
        else:
            found = {link.name: link for name in unseen if (link := _find(links, name))}
        for name in unseen:
            self._learn_link(name, found.get(name))
        self._configure(unseen)
        self._unseen = set()

    def _learn_link(self, name: str, link: Link | None) -> None:
        before = self._up.pop(name, None)
        self._down.discard(name)
        if link is not None and link.up:
            self._up[name] = link
        elif link is not None:
            self._down.add(name)
        if before != self._up.get(name):
            self._pending |= self._desired.through(name)

    def _configure(self, interfaces: Iterable[str]) -> None:
        for name in interfaces:
            link = self._up.get(name)
            owners = self._desired.interfaces.get(name)
            if link is None or not owners:
                self.sysctls.gone(name)
            else:
                self.sysctls.configure(self._desired.endpoints[min(owners)], link.index)

    def _write_routes(self) -> None:
        table = self._table
        pending, self._pending = self._pending, set()
        if self._settings.disabled:
            pending = set()
        if self._settings.ip_forwarding:
            self.sysctls.forward({4} | {destination.version for destination in pending})
        for destination in self._failures.keys() & pending:
            del self._failures[destination]
        partings = self._partings(pending)
        strangers = partings.before & table.known.keys()
        self._forget(partings.before)
        refusals = table.write(pending, self._wanted)
        self._forget(partings.after | strangers)
        failed = refusals.failed
        if refusals.taken:  # a route is there that we did not know of: perhaps our own
            table.look_again(refusals.taken, self._wanted, self._names())
            again = table.write(refusals.taken, self._wanted)
            failed |= again.failed
            for destination in again.taken:  # no use in asking again before something changes
                self._fail(destination, table.why_taken(destination))
        for destination, reason in failed.items():
            self._fail(destination, reason)
        self._pending |= failed.keys()
        self._name_rivals(pending & self._desired.contested)

    def _forget(self, addresses: Collection[Prefix]) -> None:
        assert self._flows is not None, "it is there while the socket is"
        self._flows.forget(addresses)

    def _partings(self, pending: set[Prefix]) -> Partings:
        asked = self._desired.claimed(pending) | self._holders.held(pending)
        known = {one for one in asked if self._is_known(one)}
        return self._holders.settle(
            {one: self._holder(one) for one in known},
            {one for one in known if self._table.known.get(one) == self._wanted(one)},
            self._desired.sealed(known),
        )

    def _is_known(self, destination: Prefix) -> bool:
        """Who has an address; not while its interface is down: who had it may still have it."""
        owner = self._desired.owner(destination)
        return owner is None or self._desired.endpoints[owner].interface in self._up

    def _holder(self, destination: Prefix) -> Holder | None:
        owner = self._desired.owner(destination)
        if owner is None:
            return None
        return Holder(owner, self._up[self._desired.endpoints[owner].interface].index)

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


def _moves_tunnels(delta: Delta) -> bool:
    return (
        delta.local_vtep is not None
        or delta.local_vtep_v6 is not None
        or delta.encapsulation is not None
    )


def _find(links: Links, name: str) -> Link | None:
    try:
        return links.find(name)
    except ValueError:  # a name that no interface can have: one endpoint's trouble, not all's
        return None
