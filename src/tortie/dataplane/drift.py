"""Who else changes what the drivers own, told as it happens; repair is the drivers' business.

Four kinds of state, each known by what marks it as ours: the firewall's rules, routes of our
protocols or in the place of ours, the tunnel devices' addresses and entries, queues and filters of
workloads' interfaces. What goes with a link
comes with news of links. Of interfaces' settings the kernel tells the value, and not who set it.
"""

import socket
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import NamedTuple

from tortie.dataplane.contract import Watch
from tortie.dataplane.qos import QosDriver
from tortie.dataplane.qos.desired import IFB_PREFIX
from tortie.dataplane.routes import RouteDriver, RouteSettings
from tortie.dataplane.routes.sysctls import Sysctls
from tortie.linux.netlink.rtforeign import ForeignChange, ForeignMonitor
from tortie.linux.netlink.rtnetconf import ConfChange, ConfMonitor
from tortie.linux.netlink.rtroute import KernelRoute
from tortie.linux.netlink.tcforeign import QueueChange, QueueMonitor

_LOST = "notifications were lost"


class Drift(NamedTuple):
    """A driver's state may not be as it left it. `by`: who changed it, as far as is known."""

    driver: str
    by: str


class Owners(NamedTuple):
    """Which driver of a tunnel owns which device, and which routing table."""

    devices: Mapping[str, str]
    tables: Mapping[int, str]

    @property
    def drivers(self) -> tuple[str, ...]:
        """All of them."""
        return tuple(dict.fromkeys((*self.devices.values(), *self.tables.values())))


class DriftWatch:
    """Calls `handler` in the event loop for what others change.

    Make it in the node's namespace, before the drivers read what is there, so that nothing falls
    in between. `ports` says from which netlink ports drivers write at that moment, by their names;
    `watch_policy` makes what watches over the firewall.
    """

    def __init__(
        self,
        handler: Callable[[Drift], None],
        ports: Callable[..., frozenset[int]],
        watch_policy: Callable[[Callable[[str, str], None]], Watch],
        routes: RouteSettings,
        tunnels: Owners,
        sysctls: Sysctls,
    ) -> None:
        self._handler, self._ports, self._routes = handler, ports, routes
        self._tunnels, self._sysctls = tunnels, sysctls
        self._firewall = watch_policy(self._changed_policy)
        try:
            protocols = {routes.device_protocol, routes.cluster_protocol}
            self._network = ForeignMonitor(protocols, self._change, self._network_lost)
        except OSError:
            self._firewall.close()
            raise
        try:
            self._settings = ConfMonitor(self._setting, self._settings_lost)
        except OSError:
            self._firewall.close()
            self._network.close()
            raise
        try:
            self._queues = QueueMonitor(self._queue, self._queues_lost)
        except OSError:
            for one in (self._firewall, self._network, self._settings):
                one.close()
            raise

    def start(self) -> None:
        """Tell from the running loop from now on; what came since the making first."""
        self._firewall.start()
        self._network.start()
        self._settings.start()
        self._queues.start()

    def close(self) -> None:
        """Stop; closing it twice is harmless."""
        self._firewall.close()
        self._network.close()
        self._settings.close()
        self._queues.close()

    def _queue(self, found: QueueChange) -> None:
        name = _interface(found.link)
        is_ours = self._routes.is_workload(name) or name.startswith(IFB_PREFIX)
        if is_ours and found.port not in self._ports(QosDriver.name):
            self._handler(Drift(QosDriver.name, _sender(found.port)))

    def _queues_lost(self) -> None:
        self._handler(Drift(QosDriver.name, _LOST))

    def _setting(self, change: ConfChange) -> None:
        if self._sysctls.differs(change):
            self._handler(Drift(Sysctls.name, _sender(0)))

    def _settings_lost(self) -> None:
        self._handler(Drift(RouteDriver.name, _LOST))  # whose resync writes all of them

    def _changed_policy(self, driver: str, by: str) -> None:
        self._handler(Drift(driver, by))

    def _network_lost(self) -> None:
        for name in (RouteDriver.name, *self._tunnels.drivers):
            self._handler(Drift(name, _LOST))

    def _change(self, found: ForeignChange) -> None:
        if found.port in self._ports(RouteDriver.name, *self._tunnels.drivers):
            return
        driver = self._concerned(found)
        if driver:
            self._handler(Drift(driver, _sender(found.port)))

    def _concerned(self, found: ForeignChange) -> str:
        """The driver whose state it is; "" for none's."""
        if found.rule is not None:
            return self._tunnels.tables.get(found.rule.table, "")
        if found.route is None:
            return self._tunnels.devices.get(_interface(found.link), "")
        if found.route.table in self._tunnels.tables:
            return self._tunnels.tables[found.route.table]
        return RouteDriver.name if self._concerns(found.route) else ""

    def _concerns(self, route: KernelRoute) -> bool:
        """Whether it is one of ours, or came in the place of one."""
        settings = self._routes
        if route.table != settings.table:
            return False
        if route.protocol == settings.cluster_protocol:
            return True
        if settings.is_workload(_interface(route.oif)):
            return True
        # Of a foreign protocol, only one that took another's place gets here.
        return route.priority == settings.priority(route.destination.version)


def _interface(index: int) -> str:
    with suppress(OSError):
        return socket.if_indextoname(index)
    return ""  # gone meanwhile: that is news of a link


def _sender(port: int) -> str:
    """A netlink port is its process's number, unless that process has several sockets."""
    if not port:
        return "an unnamed process"
    with suppress(OSError), open(f"/proc/{port}/comm") as file:
        return f"{file.read().strip()} (process {port})"
    return f"process {port}"
