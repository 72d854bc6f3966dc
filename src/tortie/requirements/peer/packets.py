"""What is sent to try a way, and how it is known again. Pure.

It begins with a zero, which neither VXLAN nor WireGuard takes for anything: a daemon that has the
port drops it. What travels in IP-in-IP is a packet to 127.0.0.1 with no life left, which no host
would pass on.
"""

import struct

TOKEN = 16  # bytes
_BEGIN = b"\0tortie-check"
_SIZE = struct.Struct("!H")
_UDP = 8
_EXPERIMENT = 253  # RFC 3692
HEADERS = {4: 28, 6: 48}
"""Bytes of IP's and UDP's headers, by IP version."""


def payload(token: bytes, size: int = 0) -> bytes:
    """The bytes of a test; filled up so that `size` is the whole packet's."""
    return _BEGIN + token + _SIZE.pack(size)


def padded(token: bytes, size: int, version: int) -> bytes:
    """A UDP payload that makes a packet of that many bytes."""
    return payload(token, size).ljust(size - HEADERS[version], b"\0")


def smallest(version: int) -> int:
    """The smallest packet that holds a test."""
    return len(payload(bytes(TOKEN))) + HEADERS[version]


def size_in(data: bytes, token: bytes) -> int | None:
    """The size that a test tells, found anywhere in a packet; None where it is no test of ours."""
    place = data.find(_BEGIN + token)
    end = place + len(_BEGIN) + len(token)
    if place < 0 or len(data) < end + _SIZE.size:
        return None
    size: int = _SIZE.unpack_from(data, end)[0]
    return size


def udp_port(packet: bytes, version: int) -> int:
    """The destination port of a packet as a raw socket gives it: with IPv4's header, without
    IPv6's."""
    start = (packet[0] & 0xF) * 4 if packet and version == 4 else 0
    return int.from_bytes(packet[start + 2 : start + 4]) if len(packet) >= start + _UDP else 0


def inner(token: bytes) -> bytes:
    """An IPv4 packet for IP-in-IP, with a test in it."""
    data = payload(token)
    loopback = bytes((127, 0, 0, 1))
    head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(data), 0, 0, 1, _EXPERIMENT, 0)
    head += loopback + loopback
    total = sum(struct.unpack("!10H", head))
    total = (total & 0xFFFF) + (total >> 16)
    checksum = ~((total & 0xFFFF) + (total >> 16)) & 0xFFFF
    return head[:10] + struct.pack("!H", checksum) + head[12:] + data
