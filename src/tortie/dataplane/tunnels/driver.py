"""Desired tunnel ends into the kernel: the device, then differences of its entries."""

import errno
from collections.abc import Sequence

from tortie.dataplane.contract import Failure
from tortie.dataplane.follower import OpenSocket
from tortie.dataplane.tunnels.desired import DesiredTunnels, local_end, underlay_address
from tortie.dataplane.tunnels.device import ensure, remove, wanted_device
from tortie.dataplane.tunnels.settings import VxlanSettings
from tortie.dataplane.tunnels.tunnel import TunnelDriver
from tortie.engine.delta import Delta, Vtep
from tortie.linux.neighbours import Entry, Neighbours, deleting, setting
from tortie.linux.netlink.rtnetlink import NUD_PERMANENT, Address, Forwarding, Link, Neighbour
from tortie.linux.netlink.sockets import NetlinkError, NetlinkSocket, Request
from tortie.net import Prefix

Key = str | Prefix  # a MAC's forwarding entry, a tunnel address's neighbour entry
_NOT_THERE = frozenset({errno.ENOENT, errno.ENODEV, errno.EADDRNOTAVAIL})


class VxlanDriver(TunnelDriver[VxlanSettings, Key]):
    """One node's VXLAN tunnel for packets of one IP version. `written`: the device, its entries."""

    name = "vxlan"  # "vxlan-v6" is the other one's

    def __init__(
        self, settings: VxlanSettings | None = None, open_socket: OpenSocket = NetlinkSocket
    ) -> None:
        super().__init__(settings or VxlanSettings(), open_socket)
        self.name = driver_name(self._settings.version)
        self._desired = DesiredTunnels(self._settings.version)
        self._device: Link | None = None
        self._known: dict[Key, Entry] = {}
        self._pending: set[Key] = set()

    @property
    def _is_wanted(self) -> bool:
        return self._desired.local is not None

    def fold(self, delta: Delta) -> None:
        """Take the delta into the desired state; touch nothing."""
        self._pending |= self._desired.fold(delta)
        if local_end(delta, self._settings.version) is not None:
            self._is_synced = False  # another device is needed, or none

    def _device_changed(self, _event: str, /) -> bool:
        """The kernel drops its entries when it goes down: any news is a reason to look."""
        return True

    @property
    def _neighbours(self) -> Neighbours:
        return Neighbours(self._opened())

    def _settle(self) -> None:
        self._failures.clear()
        self._known.clear()
        if not self._is_wanted:
            remove(self._settings.device, self._links)
        self._device = self._bring(self._make) if self._is_wanted else None
        if self._device is None:
            return
        strays = self._read_entries(self._device.index)
        self._pending = self._desired.keys() | self._known.keys()
        self._write_pending()
        self._wrote(len(strays))
        for index, error in self._neighbours.batch([deleting(one) for one in strays]).items():
            if error.errno not in _NOT_THERE:
                self._fail(_key(strays[index]), str(error))

    def _make(self) -> Link:
        assert self._desired.local is not None, "a device is made for an end"
        before = self._device_seen()
        wanted = wanted_device(self._desired.local, self._links, self._settings)
        device = ensure(self._settings.device, wanted, self._links)
        self._parent = wanted.parent
        self._wrote(before != self._device_seen())
        return device

    def _device_seen(self) -> tuple[Link | None, Sequence[Address]]:
        name = self._settings.device
        found = self._links.find(name)
        return found, self._links.addresses(name) if found else []

    def _read_entries(self, index: int) -> list[Entry]:
        """Learn what the device holds; returns what stands beside the one entry of a key.

        Only MACs of groups and of all have several: the kernel lets nobody give another one more.
        Entries that the kernel made by itself (multicast) are not permanent, and not ours.
        """
        strays: list[Entry] = []
        found: list[Entry] = [*self._neighbours.forwarding(index), *self._neighbours.list(index)]
        for entry in found:
            if not entry.state & NUD_PERMANENT:
                continue
            if self._known.setdefault(_key(entry), entry) is not entry:
                strays.append(entry)
        return strays

    def _owner(self, key: Key) -> Vtep | None:
        """Who has a MAC or an address: of several the one that the kernel knows, so that nobody
        takes another node's traffic by claiming what is its; else the first by name."""
        claims, known = self._desired.claims(key), self._known.get(key)
        if len(claims) > 1:
            for vtep in claims:
                if self._entry(key, vtep) == known:
                    return vtep
        return claims[0] if claims else None

    def _wanted(self, key: Key) -> Entry | None:
        vtep = self._owner(key)
        return None if vtep is None else self._entry(key, vtep)

    def _entry(self, key: Key, vtep: Vtep) -> Entry | None:
        if self._device is None:
            return None
        if isinstance(key, Prefix):
            return Neighbour(self._device.index, key, vtep.mac.lower())
        return Forwarding(self._device.index, key, underlay_address(vtep))

    def _write_pending(self) -> None:
        if self._device is None:  # there is a failure that says why
            return
        pending, self._pending = self._pending, set()
        keys: list[Key] = []
        requests: list[Request] = []
        for key in pending:
            self._failures.pop(key, None)
            self._name_clash(key)
            request = self._request(key)
            if request is not None:
                keys.append(key)
                requests.append(request)
        self._wrote(len(requests))
        errors = self._neighbours.batch(requests)
        self._note(errors, keys)
        for index, key in enumerate(keys):
            if index not in errors:
                self._learn(key)

    def _request(self, key: Key) -> Request | None:
        try:
            wanted, known = self._wanted(key), self._known.get(key)
            if wanted == known:
                return None
            return setting(wanted) if wanted else deleting(known) if known else None
        except ValueError as error:  # a MAC that is none: this node's trouble, not all's
            self._fail(key, str(error))
            return None

    def _learn(self, key: Key) -> None:
        wanted = self._wanted(key)
        if wanted is None:
            self._known.pop(key, None)
        else:
            self._known[key] = wanted

    def _note(self, errors: dict[int, NetlinkError], keys: list[Key]) -> None:
        for index, error in errors.items():
            key = keys[index]
            if self._wanted(key) is None and error.errno in _NOT_THERE:
                self._learn(key)
            else:
                self._fail(key, str(error))

    def _fail(self, key: Key, reason: str) -> None:
        vtep = self._owner(key)
        subject = f"node {vtep.node}" if vtep else str(key)
        self._failures[key] = Failure(self.name, subject, reason)
        self._pending.add(key)

    def _name_clash(self, key: Key) -> None:
        """Of an end of our own nobody else has it; of others' all but one have not."""
        has, local = self._owner(key), self._desired.local
        if local is not None and self._desired.is_own(key):
            has = local
        if has is None:
            return
        for vtep in self._desired.claims(key):
            if vtep.node != has.node:
                reason = f"its tunnel has {key}, which is node {has.node}'s already"
                self._failures[key] = Failure(self.name, f"node {vtep.node}", reason)


def driver_name(version: int) -> str:
    """What the driver for packets of an IP version is called."""
    return "vxlan" if version == 4 else "vxlan-v6"


def _key(entry: Entry) -> Key:
    return entry.address if isinstance(entry, Neighbour) else entry.mac
