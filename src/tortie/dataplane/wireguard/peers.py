"""A device's key and peers: as read once, then as written."""

from collections.abc import Callable, Iterable, Mapping

from tortie.dataplane.contract import Failure
from tortie.dataplane.wireguard.desired import DesiredWireguard
from tortie.dataplane.wireguard.keys import Keys
from tortie.dataplane.wireguard.settings import WireguardSettings
from tortie.linux.wireguard import (
    Device,
    DeviceChange,
    Peer,
    PeerChange,
    Wireguard,
    differences,
)

_MANY = 32  # peers; in wireguard-go a handshake's first half takes a millisecond of the caller's
_POKE = 25  # seconds: any keepalive, for a moment


class Peers:
    """What a device knows of other nodes. `wrote` hears how much was written."""

    def __init__(
        self,
        device: Wireguard,
        settings: WireguardSettings,
        desired: DesiredWireguard,
        wrote: Callable[[int], None],
    ) -> None:
        self._device, self._settings = device, settings
        self._desired, self._wrote = desired, wrote
        self._known: dict[str, Peer] = {}  # as written, by node

    def close(self) -> None:
        """Let go of the device, which stays."""
        self._device.close()

    def settle(self) -> Mapping[bytes, Peer]:
        """Give the device its key and peers; those that it has never spoken with by these keys."""
        keys, own = Keys(self._settings.keys_file), self._desired.own
        key = (keys.holding(own.public_key) if own else None) or keys.newest
        wanted = Device(key, self._settings.port, self._settings.mark, self._desired.peers())
        found = self._device.read()
        change = differences(found, wanted)
        if change:
            self._device.write(change)
            self._wrote(1 + len(change.peers))
        if own is not None:
            keys.settle(own.public_key)
        nodes = self._desired.nodes()
        self._known = {one: peer for one in nodes if (peer := self._desired.peer(one)) is not None}
        if found.private_key != key:
            return wanted.peers
        return {name: peer for name, peer in wanted.peers.items() if name not in found.peers}

    def write(self, nodes: Iterable[str]) -> None:
        """Have the device know of these nodes what is desired; with each all that share its key."""
        before = {node: self._known.get(node) for node in nodes}
        after = {node: self._desired.peer(node) for node in nodes}
        found = {peer.public_key: peer for peer in before.values() if peer}
        wanted = {peer.public_key: peer for peer in after.values() if peer}
        change = differences(Device(peers=found), Device(peers=wanted))
        if change:
            self._device.write(change)
            self._wrote(len(change.peers))
        self.poke({key: peer for key, peer in wanted.items() if key not in found})
        self._learn(after)

    def _learn(self, after: Mapping[str, Peer | None]) -> None:
        for node, peer in after.items():
            if peer is None:
                self._known.pop(node, None)
            else:
                self._known[node] = peer

    def poke(self, peers: Mapping[bytes, Peer]) -> None:
        """Agree on keys now. Of two nodes only who learnt of the other last can: what the other
        tried before was not understood, and is tried again only after five seconds. A node that
        learns of many at once is new: they learn of it later, and it need not begin."""
        if not peers or len(peers) > _MANY:
            return
        for keepalive in (0, _POKE):
            self._device.write(
                DeviceChange(peers=[PeerChange(key, keepalive=keepalive) for key in peers])
            )
        self._device.write(
            DeviceChange(peers=[PeerChange(k, keepalive=p.keepalive) for k, p in peers.items()])
        )


def clashes(
    nodes: Iterable[str], desired: DesiredWireguard, driver: str
) -> dict[str, Failure | None]:
    """Of each of these nodes, whether another one has its public key already."""
    found: dict[str, Failure | None] = {}
    for node in nodes:
        other = desired.clash(node)
        reason = f"its public key is node {other}'s already: give it another one"
        found[node] = Failure(driver, f"node {node}", reason) if other else None
    return found
