"""A WireGuard device as data: what one holds, and what is to change about it.

Keys are 32 bytes. A private key is never shown: not by `repr`, not in an error.
"""

from base64 import b64encode
from collections.abc import Iterable, Iterator, Mapping, Sequence
from hashlib import sha256
from typing import NamedTuple, Protocol

from msgspec import Struct

from tortie.net import Prefix

KEY_LENGTH = 32
NOBODY = sha256(b"nobody has the private half of this").digest()  # a public key


class PrivateKey:
    """A private key, kept out of logs and errors.

    Six of its bits are the same in all (RFC 7748); devices give them back so.
    """

    __slots__ = ("secret",)

    def __init__(self, secret: bytes) -> None:
        if len(secret) != KEY_LENGTH:
            raise ValueError(f"a WireGuard key has {KEY_LENGTH} bytes, not {len(secret)}")
        self.secret = bytes((secret[0] & 248, *secret[1:31], secret[31] & 127 | 64))

    def __repr__(self) -> str:
        return "PrivateKey(…)"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, PrivateKey) and self.secret == other.secret

    def __hash__(self) -> int:
        return hash(self.secret)


class Endpoint(NamedTuple):
    """Where a peer is reached: an address alone (/32 or /128) and a UDP port."""

    address: Prefix
    port: int


class Peer(Struct, frozen=True):
    """Another end. `keepalive` is seconds, 0 for never; `allowed` is what it may send and gets.

    `handshake` is when keys were last agreed on (seconds since 1970; 0: never).
    """

    public_key: bytes
    endpoint: Endpoint | None = None
    keepalive: int = 0
    allowed: frozenset[Prefix] = frozenset()
    handshake: int = 0
    received: int = 0  # bytes
    sent: int = 0

    def __str__(self) -> str:
        return f"peer {b64encode(self.public_key).decode()}"


class Device(Struct, frozen=True):
    """This end. `mark` is set on the packets that it sends outside; 0 for none."""

    private_key: PrivateKey | None = None
    port: int = 0
    mark: int = 0
    peers: Mapping[bytes, Peer] = {}


class PeerChange(Struct, frozen=True):
    """What becomes of one peer: None leaves a part as it is; `gone` removes it.

    `allowed` takes the place of all that it was allowed before, which loses packets: for a moment
    it is allowed nothing. `added` is allowed besides; what another peer had moves at once.
    """

    public_key: bytes
    gone: bool = False
    endpoint: Endpoint | None = None
    keepalive: int | None = None
    allowed: frozenset[Prefix] | None = None
    added: frozenset[Prefix] = frozenset()


class DeviceChange(Struct, frozen=True):
    """What becomes of a device; None leaves a part as it is."""

    private_key: PrivateKey | None = None
    port: int | None = None
    mark: int | None = None
    peers: Sequence[PeerChange] = ()

    def __bool__(self) -> bool:
        return self != _NOTHING


_NOTHING = DeviceChange()


class Wireguard(Protocol):
    """How a device is spoken with: the kernel's, or one of wireguard-go.

    Everything raises OSError for a refusal.
    """

    def read(self) -> Device:
        """What it holds."""
        ...

    def write(self, change: DeviceChange) -> None:
        """Change it."""
        ...

    def close(self) -> None:
        """Let go of it; the device stays."""
        ...


def differences(found: Device, wanted: Device) -> DeviceChange:
    """What makes one device of another, and loses no packet to what stays reachable.

    A peer's endpoint is left where it moved to by itself. Peers that go come last: others have
    their prefixes by then. What a peer loses to nobody is moved to NOBODY, who goes, too.
    """
    gone = found.peers.keys() - wanted.peers.keys()
    freed = {
        key: peer.allowed - (wanted.peers[key].allowed if key in wanted.peers else frozenset())
        for key, peer in found.peers.items()
    }
    lost = _union(freed[key] for key in freed.keys() - gone)
    lost -= _union(peer.allowed for peer in wanted.peers.values())
    return DeviceChange(
        private_key=None if found.private_key == wanted.private_key else wanted.private_key,
        port=None if found.port == wanted.port else wanted.port,
        mark=None if found.mark == wanted.mark else wanted.mark,
        peers=(
            *_peers(found.peers, wanted.peers, _union(freed.values())),
            *((PeerChange(NOBODY, allowed=lost), PeerChange(NOBODY, gone=True)) if lost else ()),
            *(PeerChange(key, gone=True) for key in sorted(gone)),
        ),
    )


def _union(sets: Iterable[frozenset[Prefix]]) -> frozenset[Prefix]:
    return frozenset().union(*sets)


def _peers(
    found: Mapping[bytes, Peer], wanted: Mapping[bytes, Peer], freed: frozenset[Prefix]
) -> Iterator[PeerChange]:
    """`freed`: what some peer had and may not have; who else is allowed it is given it anew."""
    for key, peer in wanted.items():
        old = found.get(key)
        if old is None:
            yield PeerChange(key, False, peer.endpoint, peer.keepalive, peer.allowed)
            continue
        change = PeerChange(
            key,
            False,
            None if old.endpoint == peer.endpoint else peer.endpoint,
            None if old.keepalive == peer.keepalive else peer.keepalive,
            added=(peer.allowed - old.allowed) | (peer.allowed & freed),
        )
        if change != PeerChange(key):
            yield change
