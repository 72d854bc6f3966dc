"""WireGuard devices as generic netlink messages (linux/wireguard.h)."""

import socket
import struct
import sys
from collections.abc import Iterable, Iterator

from tortie.linux.netlink.genetlink import attributes_of, build
from tortie.linux.netlink.rtfamily import BYTES, FAMILY, VERSION
from tortie.linux.netlink.wire import (
    MalformedMessage,
    Message,
    attribute,
    attribute_map,
    nested,
    parse_attributes,
    read_u16,
    read_u32,
    string,
    u8,
    u16,
    u32,
)
from tortie.linux.wireguard import Device, DeviceChange, Endpoint, Peer, PeerChange, PrivateKey
from tortie.net import Prefix

FAMILY_NAME = "wireguard"
VERSION_OF_FAMILY = 1
GET_DEVICE, SET_DEVICE = 0, 1
_IFNAME, _PRIVATE_KEY, _LISTEN_PORT, _MARK, _PEERS = 2, 3, 6, 7, 8  # WGDEVICE_A_…
_PUBLIC_KEY, _FLAGS, _ENDPOINT, _KEEPALIVE, _HANDSHAKE = 1, 3, 4, 5, 6  # WGPEER_A_…
_RECEIVED, _SENT, _ALLOWED = 7, 8, 9
_REMOVE, _REPLACE_ALLOWED = 1, 2  # WGPEER_F_…
_FAMILY, _ADDRESS, _LENGTH = 1, 2, 3  # WGALLOWEDIP_A_…
_SOCKADDR4, _SOCKADDR6 = struct.Struct("=H2s4s8x"), struct.Struct("=H2s4x16s4x")
_ROOM = 32 * 1024  # bytes of peers in one message: an attribute holds 64 KiB
_AT_ONCE = 500  # allowed prefixes of one peer in one message


def build_get(name: str) -> bytes:
    """The payload that asks (in a dump) what a device holds."""
    return build(GET_DEVICE, VERSION_OF_FAMILY, attribute(_IFNAME, string(name)))


def build_set(name: str, change: DeviceChange) -> list[bytes]:
    """The payloads that change a device, to be sent in order."""
    head = []
    if change.private_key is not None:
        head.append(attribute(_PRIVATE_KEY, change.private_key.secret))
    if change.port is not None:
        head.append(attribute(_LISTEN_PORT, u16(change.port)))
    if change.mark is not None:
        head.append(attribute(_MARK, u32(change.mark)))
    named = attribute(_IFNAME, string(name))
    payloads = []
    for peers in _chunks(part for peer in change.peers for part in _build_peer(peer)):
        listed = nested(_PEERS, *(nested(number, peer) for number, peer in enumerate(peers)))
        payloads.append(build(SET_DEVICE, VERSION_OF_FAMILY, named, *head, listed))
        head = []
    if head:
        payloads.append(build(SET_DEVICE, VERSION_OF_FAMILY, named, *head))
    return payloads


def _chunks(parts: Iterable[bytes]) -> Iterator[list[bytes]]:
    chunk: list[bytes] = []
    size = 0
    for part in parts:
        if chunk and size + len(part) > _ROOM:
            yield chunk
            chunk, size = [], 0
        chunk.append(part)
        size += len(part) + 4
    if chunk:
        yield chunk


def _build_peer(peer: PeerChange) -> Iterator[bytes]:
    """One peer, in as many pieces as its prefixes need."""
    key = attribute(_PUBLIC_KEY, peer.public_key)
    if peer.gone:
        yield key + attribute(_FLAGS, u32(_REMOVE))
        return
    head = [key]
    if peer.allowed is not None:
        head.append(attribute(_FLAGS, u32(_REPLACE_ALLOWED)))
    if peer.endpoint is not None:
        head.append(attribute(_ENDPOINT, _build_endpoint(peer.endpoint)))
    if peer.keepalive is not None:
        head.append(attribute(_KEEPALIVE, u16(peer.keepalive)))
    allowed = sorted((peer.allowed or frozenset()) | peer.added)
    for start in range(0, max(1, len(allowed)), _AT_ONCE):
        some = allowed[start : start + _AT_ONCE]
        listed = nested(_ALLOWED, *(_build_allowed(n, one) for n, one in enumerate(some)))
        yield b"".join(head if start == 0 else [key]) + (listed if some else b"")


def _build_allowed(number: int, prefix: Prefix) -> bytes:
    return nested(
        number,
        attribute(_FAMILY, u16(FAMILY[prefix.version])),
        attribute(_ADDRESS, prefix.address.to_bytes(BYTES[prefix.version])),
        attribute(_LENGTH, u8(prefix.length)),
    )


def _build_endpoint(endpoint: Endpoint) -> bytes:
    address, port = endpoint.address, endpoint.port.to_bytes(2)
    if address.version == 4:
        return _SOCKADDR4.pack(socket.AF_INET, port, address.address.to_bytes(4))
    return _SOCKADDR6.pack(socket.AF_INET6, port, address.address.to_bytes(16))


def parse_device(messages: Iterable[Message]) -> Device:
    """What the messages of a dump say together. Raises MalformedMessage.

    A peer with many prefixes is told in several pieces.
    """
    device = Device()
    peers: dict[bytes, Peer] = {}
    for message in messages:
        found = attributes_of(message)
        if _PRIVATE_KEY in found or _LISTEN_PORT in found:
            device = _parse_own(found)
        for each in parse_attributes(found.get(_PEERS, b"")):
            peer = _parse_peer(each.value)
            before = peers.get(peer.public_key)
            if before is not None:
                allowed = before.allowed | peer.allowed
                peer = Peer(
                    before.public_key,
                    before.endpoint,
                    before.keepalive,
                    allowed,
                    before.handshake,
                    before.received,
                    before.sent,
                )
            peers[peer.public_key] = peer
    return Device(device.private_key, device.port, device.mark, peers)


def _parse_own(found: dict[int, bytes]) -> Device:
    secret = found.get(_PRIVATE_KEY)
    return Device(
        PrivateKey(secret) if secret else None,
        read_u16(found.get(_LISTEN_PORT, b"\0\0")),
        read_u32(found.get(_MARK, bytes(4))),
    )


def _parse_peer(data: bytes) -> Peer:
    found = attribute_map(data)
    endpoint, handshake = found.get(_ENDPOINT), found.get(_HANDSHAKE, bytes(8))
    allowed = parse_attributes(found.get(_ALLOWED, b""))
    return Peer(
        found.get(_PUBLIC_KEY, b""),
        _parse_endpoint(endpoint) if endpoint else None,
        read_u16(found.get(_KEEPALIVE, b"\0\0")),
        frozenset(_parse_allowed(each.value) for each in allowed),
        int.from_bytes(handshake[:8], sys.byteorder),
        int.from_bytes(found.get(_RECEIVED, b""), sys.byteorder),
        int.from_bytes(found.get(_SENT, b""), sys.byteorder),
    )


def _parse_allowed(data: bytes) -> Prefix:
    found = attribute_map(data)
    version = VERSION.get(read_u16(found.get(_FAMILY, b"\0\0")))
    address, length = found.get(_ADDRESS, b""), found.get(_LENGTH, b"\xff")[:1]
    if version is None or len(address) != BYTES[version] or length[0] > 8 * len(address):
        raise MalformedMessage("an allowed prefix of WireGuard that is none")
    return Prefix(version, int.from_bytes(address), length[0])


def _parse_endpoint(data: bytes) -> Endpoint | None:
    version = VERSION.get(read_u16(data))
    if version == 4 and len(data) >= _SOCKADDR4.size:
        _, port, address = _SOCKADDR4.unpack_from(data)
    elif version == 6 and len(data) >= _SOCKADDR6.size:
        _, port, address = _SOCKADDR6.unpack_from(data)
    else:
        return None
    return Endpoint(Prefix.single(version, int.from_bytes(address)), int.from_bytes(port))
