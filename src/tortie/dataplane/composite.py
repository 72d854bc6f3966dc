"""The node's drivers as one, in the order that never leaves a workload reachable unprotected.

Coming: policy, then tunnels, then routes. Going: routes, then policy, then tunnels. No route is
programmed before policy has been in force once, so that a machine whose firewall can't be written
forwards nothing. What the drivers raise becomes a failure here: one driver's trouble does not stop
the others, and the driver is resynced by `retry`.
"""

from collections.abc import Callable, Collection, Iterable, Mapping
from functools import partial
from typing import Protocol

from tortie.dataplane.contract import Applied, Driver, Failure, Watch
from tortie.engine.delta import Delta
from tortie.policy.program import EndpointId


class PolicyDriver(Driver, Protocol):
    """The driver of policy can also shut what nothing is known of, and knows the node's links."""

    def links_changed(self) -> Applied:
        """The node's interfaces or their addresses changed: one may be another host endpoint."""
        ...

    def guard(self) -> Applied:
        """Make sure that nothing passes unasked where there are no rules; leave others alone."""
        ...

    def watch(self, told: Callable[[str], None]) -> Watch:
        """Tells who, as far as is known, changed what is the driver's. Raises OSError."""
        ...


class LinkDriver(Driver, Protocol):
    """A driver that also follows the machine's links."""

    def link_changed(self, name: str, event: str) -> Applied:
        """A link is now "up", "down" or "gone", or has other addresses ("address")."""
        ...


class RoutingDriver(LinkDriver, Protocol):
    """The driver of routes also knows who is reachable."""

    def ready(self, endpoint_id: EndpointId) -> bool:
        """Whether the endpoint's routes are programmed."""
        ...


class Dataplane:
    """Policy, tunnels and routes of one node. Called by one thread; never raises.

    `followers` come last: they look at what the others have put in force.
    """

    def __init__(
        self,
        policy: PolicyDriver,
        routes: RoutingDriver,
        tunnels: Iterable[LinkDriver] = (),
        followers: Iterable[Driver] = (),
    ) -> None:
        self._policy = policy
        self._routes = routes
        self._tunnels = tuple(tunnels)
        self._followers = tuple(followers)
        self._unsynced = {driver.name for driver in self._all}
        self._failed: dict[str, tuple[Failure, ...]] = {}

    @property
    def _all(self) -> tuple[Driver, ...]:
        return (self._policy, *self._tunnels, self._routes, *self._followers)

    @property
    def failures(self) -> tuple[Failure, ...]:
        """What is not as desired now, of every driver."""
        return tuple(
            failure for driver in self._all for failure in self._failed.get(driver.name, ())
        )

    def guard(self) -> Applied:
        """Before anything is known: make sure that no workload is reachable without policy.

        What an earlier process left in force stays; only where there is nothing, the policy
        driver makes tables that let nothing through.
        """
        self._failed.pop(self._policy.name, None)
        self._attempt(self._policy, self._policy.guard)
        self._unsynced.add(self._policy.name)
        return Applied(self.failures)

    def fold(self, delta: Delta) -> None:
        """Take the delta into the desired state of every driver, and touch nothing."""
        for driver in self._all:
            driver.fold(delta)

    def apply(self, delta: Delta) -> Applied:
        """Write the delta. A driver that waits for its resync only folds it."""
        going, coming = _departures(delta), _without_departures(delta)
        if going:
            self._write(self._routes, going)
        self._write(self._policy, delta)
        for driver in self._tunnels:
            self._write(driver, delta)
        if coming:
            self._write(self._routes, coming)
        for follower in self._followers:
            self._write(follower, delta)
        return Applied(self.failures)

    def resync(self) -> Applied:
        """Have every driver adopt and repair what is in the kernel."""
        for driver in self._all:
            self._resync(driver)
        return Applied(self.failures)

    def ports(self, *names: str) -> frozenset[int]:
        """The netlink ports from which these drivers write now. From any thread."""
        return frozenset(
            port for driver in self._all if driver.name in names for port in driver.ports
        )

    def watch_policy(self, told: Callable[[str, str], None]) -> Watch:
        """Tells the policy driver's name and who changed what is its own. Raises OSError."""
        return self._policy.watch(partial(told, self._policy.name))

    def written(self) -> Mapping[str, int]:
        """How many objects each driver wrote so far."""
        return {driver.name: driver.written for driver in self._all}

    def repair(self, names: Collection[str]) -> Applied:
        """Resync these drivers after somebody changed what is theirs.

        One that waits for its own resync is left to that.
        """
        for driver in self._all:
            if driver.name in names and driver.name not in self._unsynced:
                self._resync(driver)
        return Applied(self.failures)

    def retry(self) -> Applied:
        """Resync the drivers that have failures or an earlier exception behind them."""
        for driver in self._all:
            if driver.name in self._unsynced or self._failed.get(driver.name):
                self._resync(driver)
        return Applied(self.failures)

    def links_changed(self, events: Iterable[tuple[str, str]]) -> Applied:
        """Tell of links: name, and "up", "down", "gone" or, for other addresses, "address"."""
        if self._policy.name not in self._unsynced:
            self._attempt(self._policy, self._policy.links_changed)
        followers: tuple[LinkDriver, ...] = (*self._tunnels, self._routes)
        for name, event in events:
            for driver in followers:
                if driver.name not in self._unsynced:
                    self._attempt(driver, partial(driver.link_changed, name, event))
        return Applied(self.failures)

    def waiting_for(self, endpoint_id: EndpointId) -> str:
        """Why traffic of this endpoint is not yet as desired; empty when it is."""
        if self._policy.name in self._unsynced:
            return "the node's policy is not in the kernel"
        named = str(endpoint_id)
        for failure in self.failures:
            if failure.subject == named:
                return failure.message
        return "" if self._routes.ready(endpoint_id) else "its route is not programmed"

    def _write(self, driver: Driver, delta: Delta) -> None:
        if driver in self._followers and self._policy.name in self._unsynced:
            self._unsynced.add(driver.name)  # it looks once policy is in force
        if driver.name in self._unsynced:
            driver.fold(delta)
        else:
            self._attempt(driver, partial(driver.apply, delta))

    def _resync(self, driver: Driver) -> None:
        behind = (self._routes, *self._followers)
        if driver in behind and self._policy.name in self._unsynced:
            return  # no route without policy
        self._unsynced.discard(driver.name)
        self._failed.pop(driver.name, None)
        self._attempt(driver, driver.resync)

    def _attempt(self, driver: Driver, write: Callable[[], Applied]) -> None:
        try:
            applied = write()
        except Exception as problem:  # whatever it was: resync is the way back
            self._unsynced.add(driver.name)
            self._failed[driver.name] = (_whole(driver, problem),)
            return
        # Of policy, a write tells of its own objects only; the others tell of all there are.
        kept = self._failed.get(driver.name, ()) if driver is self._policy else ()
        self._failed[driver.name] = tuple(dict.fromkeys((*kept, *applied.failed)))


def _whole(driver: Driver, problem: Exception) -> Failure:
    return Failure(driver.name, "everything", f"{type(problem).__name__}: {problem}")


def _departures(delta: Delta) -> Delta:
    return Delta(endpoints_removed=delta.endpoints_removed, routes_removed=delta.routes_removed)


def _without_departures(delta: Delta) -> Delta:
    return Delta(
        endpoints=delta.endpoints,
        routes=delta.routes,
        local_vtep=delta.local_vtep,
        local_vtep_v6=delta.local_vtep_v6,
        encapsulation=delta.encapsulation,
    )
