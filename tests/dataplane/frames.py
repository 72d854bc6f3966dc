"""Ethernet frames for packets of the evaluator's kind, with right checksums: conntrack asks."""

import struct

from tortie.net.protocols import ICMP, ICMPV6, SCTP, TCP, UDP, UDPLITE
from tortie.policy import Packet


def frame(packet: Packet, source_mac: bytes, destination_mac: bytes, token: bytes) -> bytes:
    """The first packet of a connection, with `token` as its last bytes."""
    ethertype = b"\x08\x00" if packet.version == 4 else b"\x86\xdd"
    return destination_mac + source_mac + ethertype + datagram(packet, token)


def datagram(packet: Packet, token: bytes) -> bytes:
    """The IP packet alone."""
    width = 4 if packet.version == 4 else 16
    source, destination = packet.source.to_bytes(width), packet.destination.to_bytes(width)
    payload = _transport(packet, source + destination, token)
    if packet.version == 6:
        return struct.pack("!IHBB", 6 << 28, len(payload), packet.protocol, 64) + (
            source + destination + payload
        )
    length = 20 + len(payload)
    head = struct.pack("!BBHHHBBH", 0x45, 0, length, 0, 0, 64, packet.protocol, 0)
    total = _ones(head + source + destination)
    return head[:10] + struct.pack("!H", total) + source + destination + payload


def _transport(packet: Packet, addresses: bytes, token: bytes) -> bytes:
    ports = struct.pack("!HH", packet.source_port or 0, packet.destination_port or 0)
    if packet.protocol == TCP:
        syn = ports + struct.pack("!IIBBHHH", 1, 0, 5 << 4, 2, 8192, 0, 0) + token
        return _summed(packet, addresses, syn, 16)
    if packet.protocol == UDPLITE:  # a coverage of 0 is all of it
        return _summed(packet, addresses, struct.pack("!HHHH", 7, 7, 0, 0) + token, 6)
    if packet.protocol == UDP:
        return _summed(packet, addresses, ports + struct.pack("!HH", 8 + len(token), 0) + token, 6)
    if packet.protocol in (ICMP, ICMPV6):
        head = struct.pack("!BBHHH", packet.icmp_type or 0, packet.icmp_code or 0, 0, 7, 1)
        return _summed(packet, addresses, head + token, 2)
    if packet.protocol == SCTP:
        return _sctp_init(ports, token)
    return token


def _summed(packet: Packet, addresses: bytes, segment: bytes, place: int) -> bytes:
    """The segment with its checksum; ICMP for IPv4 has no pseudo header."""
    pseudo = addresses + struct.pack("!II", len(segment), packet.protocol)
    total = _ones(segment if packet.protocol == ICMP else pseudo + segment)
    return segment[:place] + struct.pack("!H", total) + segment[place + 2 :]


def _ones(data: bytes) -> int:
    total = sum(struct.unpack(f"!{len(data) // 2}H", data + b"\0" * (len(data) % 2)))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total ^ 0xFFFF


def _sctp_init(ports: bytes, token: bytes) -> bytes:
    """An INIT chunk whose one parameter, of a type to be skipped, holds the token."""
    parameter = struct.pack("!HH", 0x8FFF, 4 + len(token)) + token
    chunk = struct.pack("!BBHIIHHI", 1, 0, 20 + len(parameter), 1, 65535, 1, 1, 1) + parameter
    blank = ports + struct.pack("!II", 0, 0) + chunk
    return blank[:8] + struct.pack("<I", crc32c(blank)) + blank[12:]


def crc32c(data: bytes) -> int:
    """The checksum of SCTP (RFC 9260, appendix A)."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF
