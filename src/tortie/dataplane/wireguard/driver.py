"""Desired peers and routes into a WireGuard device, a table and a rule."""

from collections.abc import Callable, Iterable, Mapping

from tortie.dataplane.contract import Applied, Failure
from tortie.dataplane.tunnels.device import hold_only
from tortie.dataplane.tunnels.underlay import Refused, inner_mtu, underlay_of
from tortie.dataplane.wireguard import device as devices
from tortie.dataplane.wireguard.desired import DesiredWireguard
from tortie.dataplane.wireguard.kernel import loosen, set_threaded
from tortie.dataplane.wireguard.keys import Keys, public_key
from tortie.dataplane.wireguard.settings import OVERHEAD, WireguardSettings
from tortie.dataplane.wireguard.table import WireguardTable
from tortie.engine.delta import Delta
from tortie.linux.links import Links
from tortie.linux.netlink.rtnetlink import Link
from tortie.linux.netlink.sockets import NetlinkLost, NetlinkSocket
from tortie.linux.wireguard import (
    Device,
    DeviceChange,
    Peer,
    PeerChange,
    Wireguard,
    differences,
)
from tortie.net import Prefix

Told = Callable[[int, str], None]  # IP version, public key
_MANY = 32  # peers; in wireguard-go a handshake's first half takes a millisecond of the caller's
_POKE = 25  # seconds: any keepalive, for a moment


class WireguardDriver:
    """WireGuard of one node for packets of one IP version.

    It works in the network namespace of the thread that first uses it. `told` hears, in that
    thread, which public key may be published: the device is there and has it. Raises NetlinkError
    or TimeoutError when the kernel can't be asked; what it refuses is a Failure.
    """

    name = "wireguard"

    def __init__(
        self,
        settings: WireguardSettings,
        told: Told = lambda _version, _key: None,
        open_socket: Callable[[], NetlinkSocket] = NetlinkSocket,
    ) -> None:
        self._settings, self._told = settings, told
        self.name = driver_name(settings.version)
        self._open_socket = open_socket
        self._socket: NetlinkSocket | None = None
        self._desired = DesiredWireguard(settings)
        self._device: Wireguard | None = None
        self._table: WireguardTable | None = None
        self._link: Link | None = None
        self._parent: Link | None = None
        self._peers: dict[str, Peer] = {}  # as written, by node
        self._pending_nodes: set[str] = set()
        self._pending: set[Prefix] = set()
        self._failures: dict[str | Prefix, Failure] = {}
        self._synced = False
        self.ports: frozenset[int] = frozenset()
        self._written = 0

    @property
    def written(self) -> int:
        """How many routes, peers and devices it wrote or removed so far."""
        return self._written + (self._table.written if self._table else 0)

    def configure(self, settings: WireguardSettings) -> bool:
        """Whether these are other settings; the next write is then a resync that takes them."""
        if settings == self._settings:
            return False
        renamed = settings.device != self._settings.device
        if renamed and self._socket is not None:
            devices.remove(self._settings, Links(self._socket))
        self._settings = settings
        self._desired.configure(settings)
        self.close()
        return True

    def close(self) -> None:
        """Close the sockets. The device stays."""
        self._written = self.written
        if self._device is not None:
            self._device.close()
        if self._socket is not None:
            self._socket.close()
        self._socket = self._device = self._table = None
        self.ports = frozenset()
        self._synced = False

    def fold(self, delta: Delta) -> None:
        """Take the delta into the desired state; touch nothing."""
        touched = self._desired.fold(delta)
        self._pending_nodes |= touched.nodes
        self._pending |= touched.destinations
        if touched.own:
            self._synced = False  # keys, addresses, whether we take part at all

    def apply(self, delta: Delta) -> Applied:
        """Take the delta in, and write what follows from it."""
        self.fold(delta)
        if not self._synced:
            return self.resync()
        return self._guarded(self._write_pending)

    def resync(self) -> Applied:
        """Read back device, table and rule; adopt, repair, remove what is not desired."""
        return self._guarded(self._settle)

    def link_changed(self, name: str, event: str) -> Applied:
        """An interface is now "up", "down" or "gone", or has other addresses."""
        if self._synced and not self._concerns(name, event):
            return self._applied()
        return self.resync()

    def _concerns(self, name: str, event: str) -> bool:
        if not self._is_wanted or self._socket is None:
            return False
        mine = {self._settings.device: self._link}
        if self._parent is not None:
            mine[self._parent.name] = self._parent
        elif event != "gone":
            return True  # this may be what was waited for
        if name not in mine:
            return False
        return event != "up" or Links(self._socket).find(name) != mine[name]

    @property
    def _is_wanted(self) -> bool:
        """Not without an address of this IP version; and what others still know us by stays until
        they know better."""
        on = self._settings.enabled and self._desired.underlay is not None
        return on or self._desired.own is not None

    def _applied(self) -> Applied:
        return Applied(tuple(self._failures.values()))

    def _guarded(self, work: Callable[[Links, WireguardTable], None]) -> Applied:
        if not self._is_wanted and self._synced:
            return self._applied()
        try:
            if self._socket is None:
                self._socket = self._open_socket()
                self.ports = frozenset((self._socket.port,))
                self._table = WireguardTable(self._settings, self._socket)
            assert self._table is not None
            work(Links(self._socket), self._table)
        except OSError:
            self.close()  # half-read answers and half-known state go with it
            raise
        return self._applied()

    def _settle(self, links: Links, table: WireguardTable) -> None:
        self._failures.clear()
        if not self._is_wanted:
            self._withdraw(links, table)
        else:
            self._bring(links, table)
        self._synced = True

    def _withdraw(self, links: Links, table: WireguardTable) -> None:
        table.route_by_rule(False)
        table.write([(destination, None) for destination in table.read()], 0)
        if self._device is not None:
            self._device.close()
            self._device = None
        if devices.remove(self._settings, links):
            self._written += 1
            Keys(self._settings.keys_file).forget()
        self._link, self._peers = None, {}

    def _bring(self, links: Links, table: WireguardTable) -> None:
        """The table comes first: what is to be encrypted is dropped until the device is there."""
        there = table.read()
        self._pending = self._desired.destinations() | there
        try:
            self._link = self._bring_device(links)
        except (NetlinkLost, TimeoutError):
            raise
        except (Refused, OSError, ValueError) as error:
            self._link = None
            reason = str(error)
            self._failures[self._settings.device] = Failure(
                self.name, self._settings.device, reason
            )
        takes_part = self._desired.own is not None
        self._write_routes(table, there)
        table.route_by_rule(takes_part)

    def _bring_device(self, links: Links) -> Link:
        settings, underlay = self._settings, self._desired.underlay
        if underlay is None:
            raise Refused(
                f"this node's Node has no IPv{settings.version} address, so that nothing can be "
                "sent to it"
            )
        self._parent = underlay_of(underlay, links)
        mtu = inner_mtu(self._parent, OVERHEAD[settings.version], settings.version, settings.mtu)
        if self._device is not None:
            self._device.close()
        self._device = devices.opened(settings, links)
        link = links.get(settings.device)
        strangers = self._configure_device(self._device)
        if settings.encrypts_hosts and settings.version == 4:
            loosen(self._parent.name)
        if link.mtu != mtu:
            links.set_mtu(settings.device, mtu)
        own = self._desired.own
        hold_only(settings.device, own.address if own else None, links)
        if not link.up:
            links.set_up(settings.device)
        self._poke(self._device, strangers)
        link = links.get(settings.device)
        if link.kind == "wireguard":
            set_threaded(settings.device, link.index, settings.threaded)
        return link

    def _configure_device(self, device: Wireguard) -> Mapping[bytes, Peer]:
        """Give it its key and peers; those that it has never spoken with by these keys."""
        keys = Keys(self._settings.keys_file)
        newest = keys.newest
        own = self._desired.own
        key = (keys.holding(own.public_key) if own else None) or newest
        wanted = Device(key, self._settings.port, self._settings.mark, self._desired.peers())
        found = device.read()
        change = differences(found, wanted)
        if change:
            device.write(change)
            self._written += 1 + len(change.peers)
        if own is not None:
            keys.settle(own.public_key)
        self._peers = {
            node: peer
            for node in self._desired.nodes()
            if (peer := self._desired.peer(node)) is not None
        }
        self._name_clashes(self._desired.nodes())
        self._told(self._settings.version, public_key(newest))
        if found.private_key != key:
            return wanted.peers
        return {name: peer for name, peer in wanted.peers.items() if name not in found.peers}

    def _write_pending(self, _: Links, table: WireguardTable) -> None:
        nodes, self._pending_nodes = self._pending_nodes, set()
        if self._device is not None and self._link is not None:
            self._write_peers(self._device, nodes)
        self._write_routes(table, self._pending)

    def _write_peers(self, device: Wireguard, nodes: Iterable[str]) -> None:
        before = {node: self._peers.get(node) for node in nodes}
        after = {node: self._desired.peer(node) for node in nodes}
        self._name_clashes(nodes)
        found = {peer.public_key: peer for peer in before.values() if peer}
        wanted = {peer.public_key: peer for peer in after.values() if peer}
        still = {peer.public_key for node, peer in self._peers.items() if node not in before}
        found = {key: peer for key, peer in found.items() if key in wanted or key not in still}
        change = differences(Device(peers=found), Device(peers=wanted))
        if change:
            device.write(change)
            self._written += len(change.peers)
        self._poke(device, {key: peer for key, peer in wanted.items() if key not in found})
        for node, peer in after.items():
            if peer is None:
                self._peers.pop(node, None)
            else:
                self._peers[node] = peer

    def _name_clashes(self, nodes: Iterable[str]) -> None:
        for node in nodes:
            self._failures.pop(node, None)
            other = self._desired.clash(node)
            if other:
                reason = f"its public key is node {other}'s already: give it another one"
                self._failures[node] = Failure(self.name, f"node {node}", reason)

    def _poke(self, device: Wireguard, peers: Mapping[bytes, Peer]) -> None:
        """Agree on keys now. Of two nodes only who learnt of the other last can: what the other
        tried before was not understood, and is tried again only after five seconds. A node that
        learns of many at once is new: they learn of it later, and it need not begin."""
        if not peers or len(peers) > _MANY:
            return
        for keepalive in (0, _POKE):
            device.write(
                DeviceChange(peers=[PeerChange(key, keepalive=keepalive) for key in peers])
            )
        device.write(
            DeviceChange(peers=[PeerChange(k, keepalive=p.keepalive) for k, p in peers.items()])
        )

    def _write_routes(self, table: WireguardTable, destinations: Iterable[Prefix]) -> None:
        pending, self._pending = self._pending | set(destinations), set()
        takes_part = self._desired.own is not None
        index = self._link.index if self._link else 0
        for destination in pending:
            self._failures.pop(destination, None)
        failed = table.write(
            [(one, self._desired.way(one) if takes_part else None) for one in pending], index
        )
        for destination, reason in failed.items():
            self._failures[destination] = Failure(self.name, str(destination), reason)
        self._pending |= failed.keys()


def driver_name(version: int) -> str:
    """What the driver for packets of an IP version is called."""
    return "wireguard" if version == 4 else "wireguard-v6"
