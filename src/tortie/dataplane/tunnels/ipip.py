"""tunl0, the IPIP device: there, up and with this node's tunnel address while a pool asks for it.

It needs no entries for other nodes: each route names the node that its packets go to.
"""

import errno

from tortie.dataplane.follower import OpenSocket
from tortie.dataplane.tunnels.device import hold_only
from tortie.dataplane.tunnels.settings import IPIP_OVERHEAD, IpipSettings
from tortie.dataplane.tunnels.tunnel import TunnelDriver
from tortie.dataplane.tunnels.underlay import Refused, inner_mtu, underlay_of
from tortie.engine.delta import Delta, Host
from tortie.linux.links import Links
from tortie.linux.netlink.rtnetlink import Link
from tortie.linux.netlink.sockets import NetlinkError, NetlinkSocket
from tortie.net import Prefix

_MISSING = (
    "this kernel can't make IPIP interfaces: load its module (modprobe ipip), or give the pools "
    "vxlanMode instead of ipipMode; until then pods of other nodes are not reached"
)


class IpipDriver(TunnelDriver[IpipSettings, str]):
    """The IPIP device of one node, in the network namespace of the thread that first uses it."""

    name = "ipip"

    def __init__(self, settings: IpipSettings, open_socket: OpenSocket = NetlinkSocket) -> None:
        super().__init__(settings, open_socket)
        self._asked_for = False
        self._host: Host | None = None
        self._pools: set[Prefix] = set()
        self._published: set[Prefix] = set()  # our Node's ends, this one and those before

    @property
    def _is_wanted(self) -> bool:
        return self._asked_for

    def fold(self, delta: Delta) -> None:
        """Take the delta into the desired state; touch nothing."""
        before = self._asked_for, self._host
        if delta.encapsulation is not None:
            self._asked_for = delta.encapsulation.ipip
        self._host = delta.hosts.get(self._settings.node, self._host)
        if self._settings.node in delta.hosts_removed:
            self._host = None
        self._pools |= delta.pools.keys()
        if self._host is not None and self._host.ipip is not None:
            self._published.add(self._host.ipip)
        if before != (self._asked_for, self._host):
            self._is_synced = False

    def _write_pending(self) -> None:
        """Nothing: what concerns the device is a reason to look at all of it."""

    def _device_changed(self, _event: str, /) -> bool:
        return self._asked_for

    def _settle(self) -> None:
        self._failures.clear()
        if self._asked_for:
            self._bring(self._make)
        else:
            self._withdraw(self._links)

    def _reason(self, error: Exception) -> str:
        is_missing = isinstance(error, NetlinkError) and error.errno == errno.EOPNOTSUPP
        return _MISSING if is_missing else super()._reason(error)

    def _make(self) -> Link:
        name, host, links = self._settings.device, self._host, self._links
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
        self._wrote(before != _seen(name, links))
        return found

    def _withdraw(self, links: Links) -> None:
        """The kernel's own tunl0 can't be deleted; without addresses and down it does nothing.

        One that has no address of ours is somebody else's. The Node still tells of ours where the
        pool was deleted while there was no agent.
        """
        name = self._settings.device
        found = links.find(name)
        if found is None or found.kind != "ipip":
            return
        ours = [
            one.prefix
            for one in links.addresses(name)
            if one.prefix in self._published or self._is_in_a_pool(one.prefix)
        ]
        for prefix in ours:
            links.delete_address(name, prefix)
        if ours:
            links.set_down(name)
            self._wrote(1)

    def _is_in_a_pool(self, prefix: Prefix) -> bool:
        return prefix.is_single and any(pool.contains(prefix) for pool in self._pools)


def _seen(name: str, links: Links) -> object:
    found = links.find(name)
    return (found, tuple(links.addresses(name))) if found else None
