"""Who else changes what the drivers own, told as it happens; repair is the drivers' business.

Three kinds of state, each known by what marks it as ours: the tables named `calico`, routes of our
protocols or in the place of ours, the tunnel device's addresses and entries. What goes with a link
comes with news of links; sysctls give no notification and wait for the timer.
"""

import socket
from collections.abc import Callable
from contextlib import suppress
from typing import NamedTuple

from tortie.dataplane.nftables.driver import NftablesDataplane
from tortie.dataplane.nftables.names import TABLE
from tortie.dataplane.routes import RouteDriver, RouteSettings
from tortie.dataplane.tunnels import VxlanDriver
from tortie.linux.netlink.nftevents import Transaction, TransactionMonitor
from tortie.linux.netlink.rtforeign import ForeignChange, ForeignMonitor, What
from tortie.linux.netlink.rtroute import KernelRoute

_LOST = "notifications were lost"


class Drift(NamedTuple):
    """A driver's state may not be as it left it. `by`: who changed it, as far as is known."""

    driver: str
    by: str


class DriftWatch:
    """Calls `handler` in the event loop for what others change.

    Make it in the node's namespace, before the drivers read what is there, so that nothing falls
    in between. `ports` says from which netlink ports drivers write at that moment, by their names;
    those of nftables never change.
    """

    def __init__(
        self,
        handler: Callable[[Drift], None],
        ports: Callable[..., frozenset[int]],
        routes: RouteSettings,
    ) -> None:
        self._handler, self._ports, self._routes = handler, ports, routes
        self._firewall = TransactionMonitor(
            TABLE, ports(NftablesDataplane.name), self._transaction, self._firewall_lost
        )
        try:
            protocols = {routes.device_protocol, routes.cluster_protocol}
            self._network = ForeignMonitor(protocols, self._change, self._network_lost)
        except OSError:
            self._firewall.close()
            raise

    def start(self) -> None:
        """Tell from the running loop from now on; what came since the making first."""
        self._firewall.start()
        self._network.start()

    def close(self) -> None:
        """Stop; closing it twice is harmless."""
        self._firewall.close()
        self._network.close()

    def _transaction(self, found: Transaction) -> None:
        self._handler(Drift(NftablesDataplane.name, str(found)))

    def _firewall_lost(self) -> None:
        self._handler(Drift(NftablesDataplane.name, _LOST))

    def _network_lost(self) -> None:
        for name in (RouteDriver.name, VxlanDriver.name):
            self._handler(Drift(name, _LOST))

    def _change(self, found: ForeignChange) -> None:
        if found.port in self._ports(RouteDriver.name, VxlanDriver.name):
            return
        if found.route is not None:
            if self._concerns(found.route):
                self._handler(Drift(RouteDriver.name, _sender(found.port)))
        elif self._is_tunnel(found):
            self._handler(Drift(VxlanDriver.name, _sender(found.port)))

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

    def _is_tunnel(self, found: ForeignChange) -> bool:
        name = _interface(found.link)
        devices = (self._routes.vxlan_device4, self._routes.vxlan_device6)
        return found.what is not What.ROUTE and name in devices


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
