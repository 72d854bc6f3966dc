"""Desired peers and routes into a WireGuard device, a table and a rule."""

from collections.abc import Callable, Iterable

from tortie.dataplane.contract import Applied, Failure
from tortie.dataplane.follower import OpenSocket
from tortie.dataplane.tunnels.device import hold_only
from tortie.dataplane.tunnels.tunnel import TunnelDriver
from tortie.dataplane.tunnels.underlay import Refused, inner_mtu, underlay_of
from tortie.dataplane.wireguard import device as devices
from tortie.dataplane.wireguard import process
from tortie.dataplane.wireguard.desired import DesiredWireguard
from tortie.dataplane.wireguard.kernel import loosen, set_threaded
from tortie.dataplane.wireguard.keys import Keys, public_key
from tortie.dataplane.wireguard.peers import Peers, clashes
from tortie.dataplane.wireguard.settings import OVERHEAD, WireguardSettings
from tortie.dataplane.wireguard.silence import Silence
from tortie.dataplane.wireguard.table import WireguardTable
from tortie.engine.delta import Delta
from tortie.linux.netlink.rtnetlink import Link
from tortie.linux.netlink.sockets import NetlinkSocket
from tortie.linux.wguapi import NoAnswer
from tortie.net import Prefix

Told = Callable[[int, str], None]  # IP version, public key


class WireguardDriver(TunnelDriver[WireguardSettings, str | Prefix]):
    """WireGuard of one node for packets of one IP version.

    `told` hears, in the driver's thread, which public key may be published: the device is there and
    has it. `written` counts routes, peers and devices.
    """

    name = "wireguard"

    def __init__(
        self,
        settings: WireguardSettings,
        told: Told = lambda _version, _key: None,
        open_socket: OpenSocket = NetlinkSocket,
        silence: Silence | None = None,
    ) -> None:
        super().__init__(settings, open_socket)
        self._told = told
        self.name = driver_name(settings.version)
        self._desired = DesiredWireguard(settings)
        self._peers: Peers | None = None  # with the device
        self._table: WireguardTable  # from the first opening of the socket on
        self._link: Link | None = None
        self._silence = silence or Silence()
        self._has_looked_back = False  # for what was made under other settings, by one before us
        self._pending_nodes: set[str] = set()
        self._pending: set[Prefix] = set()

    @property
    def _is_wanted(self) -> bool:
        """Not without an address of this IP version; and what others still know us by stays until
        they know better."""
        on = self._settings.enabled and self._desired.underlay is not None
        return on or self._desired.own is not None

    def configure(self, settings: WireguardSettings) -> bool:
        """Whether these are other settings; the next write is then a resync that takes them."""
        before = self._settings
        if not super().configure(settings):
            return False
        if settings.device != before.device and self._socket is not None:
            devices.remove(before, self._links)
        self._desired.configure(settings)
        self.close()
        return True

    def close(self) -> None:
        """Close the sockets. The device stays."""
        self._let_go()
        super().close()

    def _let_go(self) -> None:
        if self._peers is not None:
            self._peers.close()
            self._peers = None

    def fold(self, delta: Delta) -> None:
        """Take the delta into the desired state; touch nothing."""
        touched = self._desired.fold(delta)
        if touched.own:
            self._is_synced = False  # keys, addresses, whether we take part at all
        if not self._is_idle:  # who comes to take part brings everything
            self._pending_nodes |= touched.nodes
            self._pending |= touched.destinations

    @property
    def _is_idle(self) -> bool:
        """A node without WireGuard is looked at once, for what was left behind."""
        return self._is_synced and not self._is_wanted

    def resync(self) -> Applied:
        """Read back device, table and rule; adopt, repair, remove what is not desired."""
        return self._applied() if self._is_idle else super().resync()

    def _device_changed(self, event: str, /) -> bool:
        return self._is_wanted and self._is_other(event, self._link)

    def _begin(self, sock: NetlinkSocket) -> None:
        self._table = WireguardTable(self._settings, sock, self._wrote)

    def _settle(self) -> None:
        self._failures.clear()
        if not self._has_looked_back:
            self._wrote(len(devices.remove_former(self._settings, self._links)))
            self._has_looked_back = True
        if self._is_wanted:
            self._bring_all()
        else:
            self._withdraw()

    def _withdraw(self) -> None:
        self._pending_nodes, self._pending = set(), set()
        table = self._table
        table.route_by_rule(False)
        table.write([(destination, None) for destination in table.read()], 0)
        self._let_go()
        if devices.remove(self._settings, self._links):
            self._wrote(1)
            Keys(self._settings.keys_file).forget()
        self._link = None

    def _bring_all(self) -> None:
        """The table comes first: what is to be encrypted is dropped until the device is there."""
        there = self._table.read()
        self._pending = self._desired.destinations() | there
        self._link = self._bring(self._make_or_keep)
        self._write_routes()
        self._table.route_by_rule(self._desired.own is not None)

    def _make_or_keep(self) -> Link:
        """A device whose program hangs stays as it is, but not for long; what is new is dropped."""
        try:
            return self._make()
        except NoAnswer as problem:
            self._silence.unheard()
            self._let_go()
            text = f"{problem}; it is ended, and another one begun, unless it does"
            self._failures[self._settings.device] = Failure(self.name, self._settings.device, text)
            return self._links.get(self._settings.device)

    def _make(self) -> Link:
        settings, underlay, links = self._settings, self._desired.underlay, self._links
        if underlay is None:
            raise Refused(
                f"this node's Node has no IPv{settings.version} address, so that nothing can be "
                "sent to it"
            )
        self._parent = underlay_of(underlay, links)
        mtu = inner_mtu(self._parent, OVERHEAD[settings.version], settings.version, settings.mtu)
        self._let_go()
        if self._silence.is_over:
            process.end(settings.sockets, settings.device)
            self._silence.heard()
        opened = devices.opened(settings, links, lambda: self._silence.patience)
        self._peers = Peers(opened, settings, self._desired, self._wrote)
        link = links.get(settings.device)
        strangers = self._peers.settle()
        self._silence.heard()
        self._name_clashes(self._desired.nodes())
        self._told(settings.version, public_key(Keys(settings.keys_file).newest))
        if settings.encrypts_hosts and settings.version == 4:
            loosen(self._parent.name)
        if link.mtu != mtu:
            links.set_mtu(settings.device, mtu)
        own = self._desired.own
        hold_only(settings.device, own.address if own else None, links)
        if not link.up:
            links.set_up(settings.device)
        self._peers.poke(strangers)
        link = links.get(settings.device)
        if link.kind == "wireguard":
            set_threaded(settings.device, link.index, settings.threaded)
        return link

    def _write_pending(self) -> None:
        nodes, self._pending_nodes = self._pending_nodes, set()
        if self._peers is not None and self._link is not None:
            self._name_clashes(nodes)
            self._peers.write(nodes)
        self._write_routes()

    def _name_clashes(self, nodes: Iterable[str]) -> None:
        for node, failure in clashes(nodes, self._desired, self.name).items():
            self._failures.pop(node, None)
            if failure is not None:
                self._failures[node] = failure

    def _write_routes(self) -> None:
        pending, self._pending = self._pending, set()
        takes_part = self._desired.own is not None
        index = self._link.index if self._link else 0
        for destination in pending:
            self._failures.pop(destination, None)
        failed = self._table.write(
            [(one, self._desired.way(one) if takes_part else None) for one in pending], index
        )
        for destination, reason in failed.items():
            self._failures[destination] = Failure(self.name, str(destination), reason)
        self._pending |= failed.keys()


def driver_name(version: int) -> str:
    """What the driver for packets of an IP version is called."""
    return "wireguard" if version == 4 else "wireguard-v6"
