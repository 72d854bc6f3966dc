"""tunl0, the IPIP device: there, up and with this node's tunnel address while a pool asks for it.

It needs no entries for other nodes: each route names the node that its packets go to.
"""

import errno
from collections.abc import Callable

from tortie.dataplane.contract import Applied, Failure
from tortie.dataplane.tunnels.device import hold_only
from tortie.dataplane.tunnels.settings import IPIP_OVERHEAD, IpipSettings
from tortie.dataplane.tunnels.underlay import Refused, inner_mtu, underlay_of
from tortie.engine.delta import Delta, Host
from tortie.linux.links import Links
from tortie.linux.netlink.rtnetlink import Link
from tortie.linux.netlink.sockets import NetlinkError, NetlinkLost, NetlinkSocket
from tortie.net import Prefix

_MISSING = (
    "this kernel can't make IPIP interfaces: load its module (modprobe ipip), or give the pools "
    "vxlanMode instead of ipipMode; until then pods of other nodes are not reached"
)


class IpipDriver:
    """The IPIP device of one node, in the network namespace of the thread that first uses it.

    Raises as VxlanDriver does.
    """

    name = "ipip"

    def __init__(
        self,
        settings: IpipSettings,
        open_socket: Callable[[], NetlinkSocket] = NetlinkSocket,
    ) -> None:
        self._settings = settings
        self._open_socket = open_socket
        self._socket: NetlinkSocket | None = None
        self._is_wanted = False
        self._host: Host | None = None
        self._pools: set[Prefix] = set()
        self._parent: Link | None = None
        self._failed: tuple[Failure, ...] = ()
        self._synced = False
        self.ports: frozenset[int] = frozenset()
        self.written = 0

    def configure(self, settings: IpipSettings) -> bool:
        """Whether these are other settings; the next write is then a resync that takes them."""
        if settings == self._settings:
            return False
        self._settings, self._synced = settings, False
        return True

    def close(self) -> None:
        """Close the socket. The tunnel stays."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None
            self.ports = frozenset()
        self._synced = False

    def fold(self, delta: Delta) -> None:
        """Take the delta into the desired state; touch nothing."""
        before = self._is_wanted, self._host
        if delta.encapsulation is not None:
            self._is_wanted = delta.encapsulation.ipip
        self._host = delta.hosts.get(self._settings.node, self._host)
        if self._settings.node in delta.hosts_removed:
            self._host = None
        self._pools |= delta.pools.keys()
        if before != (self._is_wanted, self._host):
            self._synced = False

    def apply(self, delta: Delta) -> Applied:
        """Take the delta in, and write where it concerns this device."""
        self.fold(delta)
        return Applied(self._failed) if self._synced else self.resync()

    def link_changed(self, name: str, event: str) -> Applied:
        """An interface is now "up", "down" or "gone", or has other addresses."""
        if not self._synced or (self._is_wanted and self._concerns(name, event)):
            return self.resync()
        return Applied(self._failed)

    def _concerns(self, name: str, event: str) -> bool:
        if self._parent is None or name == self._settings.device or self._socket is None:
            return True  # the first: this may be what was waited for
        if name != self._parent.name:
            return False
        return event != "up" or Links(self._socket).find(name) != self._parent

    def resync(self) -> Applied:
        """Read back what is there; make it as it should be."""
        try:
            if self._socket is None:
                self._socket = self._open_socket()
                self.ports = frozenset((self._socket.port,))
            self._settle(Links(self._socket))
        except OSError:
            self.close()
            raise
        self._synced = True
        return Applied(self._failed)

    def _settle(self, links: Links) -> None:
        self._failed, self._parent = (), None
        try:
            if self._is_wanted:
                self._bring(links)
            else:
                self._withdraw(links)
        except (NetlinkLost, TimeoutError):
            raise
        except (Refused, NetlinkError) as error:
            reason = str(error)
            if isinstance(error, NetlinkError) and error.errno == errno.EOPNOTSUPP:
                reason = _MISSING
            self._failed = (Failure(self.name, self._settings.device, reason),)

    def _bring(self, links: Links) -> None:
        name, host = self._settings.device, self._host
        if host is None or host.ipv4 is None:
            raise Refused("this node's Node has no IPv4 address, so that nothing can be sent to it")
        self._parent = underlay_of(host.ipv4, links)
        mtu = inner_mtu(self._parent, IPIP_OVERHEAD, 4, self._settings.mtu)
        before = _seen(name, links)
        found = links.find(name)
        if found is None:
            links.create_ipip(name)
            found = links.get(name)
        if found.kind != "ipip":
            raise Refused(f"{name} is there already and no IPIP device ({found.kind}); rename it")
        if found.mtu != mtu:
            links.set_mtu(name, mtu)
        hold_only(name, host.ipip, links)
        if not found.up:
            links.set_up(name)
        self.written += before != _seen(name, links)

    def _withdraw(self, links: Links) -> None:
        """The kernel's own tunl0 can't be deleted; without addresses and down it does nothing.

        One that has no address of ours is somebody else's.
        """
        name = self._settings.device
        found = links.find(name)
        if found is None or found.kind != "ipip":
            return
        ours = [
            one.prefix
            for one in links.addresses(name)
            if one.prefix.is_single and any(pool.contains(one.prefix) for pool in self._pools)
        ]
        for prefix in ours:
            links.delete_address(name, prefix)
        if ours:
            links.set_down(name)
            self.written += 1


def _seen(name: str, links: Links) -> object:
    found = links.find(name)
    return (found, tuple(links.addresses(name))) if found else None
