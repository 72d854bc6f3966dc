"""Packets that also end at the node, begin there, and pass between two links of its own.

A host endpoint may guard every link, so that no last packet can be sent through the node. It is
seen as it comes in instead, and sent twice: when the second is seen, what the node passed on before
the first has reached the other end.
"""

import select
import socket
import struct
from contextlib import suppress
from types import TracebackType

from dataplane.frames import datagram
from dataplane.packets import UPLINK, PacketLab, Sent, arrived, packet_socket, wait_for
from dataplane.programming import WORKLOADS
from strategies.programs import OUTSIDE
from tortie.linux.namespaces import in_namespace
from tortie.net import Prefix, format_address, parse_network
from tortie.net.protocols import ICMP, ICMPV6, SCTP, TCP, UDP, UDPLITE
from tortie.policy import Packet, Path

SIDE = "side"
FAR = [parse_network("203.0.113.9"), parse_network("2001:db8:2::9")]
NODE = [parse_network("192.0.2.10"), parse_network("2001:db8:1::10")]
SIDE_NODE = [parse_network("192.0.2.20"), parse_network("2001:db8:1::20")]
_SENTINEL_LINK = "sentinel-a"
_SOLICITATION = (b"\x86\xdd", ICMPV6, 135)
_HEADER_INCLUDED6 = 36  # IPV6_HDRINCL
_ALL = (TCP, UDP, SCTP, UDPLITE, ICMP, ICMPV6, 99)
_PROTOCOLS = {4: _ALL, 6: _ALL}


class HostLab(PacketLab):
    """A node with two links of its own, UPLINK and SIDE, and an address on each."""

    def __init__(self) -> None:
        super().__init__(WORKLOADS, [SIDE])
        self._raw: list[socket.socket] = []
        self._out: dict[int, socket.socket] = {}
        self._tap: socket.socket | None = None

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for one in (*self._raw, *self._out.values(), self._tap):
            if one is not None:
                one.close()
        super().__exit__(kind, error, trace)

    def _build(self) -> None:
        super()._build()
        for link, own in ((UPLINK, NODE), (SIDE, SIDE_NODE)):
            for address in own:
                self.own(address, link)
        self.ip(*(f"route add {one} dev {SIDE}" for one in FAR))
        self.know(FAR, SIDE)
        with in_namespace(f"/run/netns/{self.node}"):
            self._raw = [
                _listening(version, protocol)
                for version, protocols in _PROTOCOLS.items()
                for protocol in protocols
            ]
            self._out = {version: _sending(version) for version in (4, 6)}
            self._tap = packet_socket(_SENTINEL_LINK)

    def restore_routes(self) -> None:
        """Put back what the kernel took away with an interface that was down."""
        for link, own in ((UPLINK, NODE), (SIDE, SIDE_NODE)):
            for address in own:
                self.own(address, link)
        self.ip(f"route replace default dev {UPLINK}", f"route replace ::/0 dev {UPLINK}")
        self.know(OUTSIDE)

    def connections(self) -> int:
        """How many connections the node tracks."""
        with self.inside(), open("/proc/sys/net/netfilter/nf_conntrack_count") as file:
            return int(file.read())

    def solicits(self, address: Prefix) -> bool:
        """Whether the node asks its uplink for who has an IPv6 address."""
        to = format_address(6, address.address)
        with self.inside():
            asker = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
        with asker, suppress(PermissionError):
            asker.sendto(b"x", (to, 53))
        wire = self._sockets[UPLINK]
        while select.select([wire], [], [], 5)[0]:
            frame = wire.recv(4096)
            if len(frame) > 54 and (frame[12:14], frame[20], frame[54]) == _SOLICITATION:
                return True
        return False

    def _send(self, sent: Sent) -> bytes:
        if sent.packet.path is not Path.FROM_HOST:
            return super()._send(sent)
        token = self._token()
        packet = sent.packet
        to = format_address(packet.version, packet.destination)
        with suppress(PermissionError):  # it was dropped on the way out
            self._out[packet.version].sendto(datagram(packet, token), (to, 0))
        return token

    def _seen(self) -> dict[bytes, bytes]:
        assert self._tap is not None
        for _ in range(2):
            wait_for(super()._send(_LAST), self._tap)
        seen: dict[bytes, bytes] = {}
        for one in (*self._sockets.values(), *self._raw):
            seen |= arrived(one)
        return seen


_LAST = Sent(_SENTINEL_LINK, Packet(4, 0xC0000201, 0xC6336401, UDP, 9, 9))


def _listening(version: int, protocol: int) -> socket.socket:
    """What this gets has passed all rules on the way to a process."""
    family = socket.AF_INET if version == 4 else socket.AF_INET6
    made = socket.socket(family, socket.SOCK_RAW | socket.SOCK_NONBLOCK, protocol)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 * 1024 * 1024)
    return made


def _sending(version: int) -> socket.socket:
    if version == 4:
        return socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
    made = socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_RAW)
    made.setsockopt(socket.IPPROTO_IPV6, _HEADER_INCLUDED6, struct.pack("i", 1))
    return made


def link_of(packet: Packet, workload: dict[tuple[int, int], int]) -> str:
    """By which link a packet comes into the node."""
    number = workload.get((packet.version, packet.source))
    if number is not None:
        return f"cali{number}"
    return SIDE if Prefix.single(packet.version, packet.source) in FAR else UPLINK
