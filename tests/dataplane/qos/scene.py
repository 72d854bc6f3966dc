"""A node with four workloads behind either firewall, and what its packets look like as they leave.

Limits are so low that no token comes while packets are sent, or one a second at most: what passes
is what the bucket holds, and a second's worth for each second that it took.
"""

import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

from msgspec.structs import replace

from dataplane.frames import frame
from dataplane.iptables.worlds import forget_everything
from dataplane.packets import UPLINK, PacketLab, Sent, packet_socket
from dataplane.programming import FIXED, WORKLOADS
from strategies.programs import ENDPOINTS, HOSTS4, HOSTS6, OUTSIDE
from tortie.api.calico.workload_endpoint import QosControls
from tortie.dataplane.contract import Applied
from tortie.dataplane.iptables import Backend, IptablesDataplane, IptablesSettings
from tortie.dataplane.nftables import NftablesDataplane
from tortie.engine.delta import ALL_POOLS, MASQ_POOLS, Delta, SetContents
from tortie.linux.namespaces import in_namespace
from tortie.net import Prefix, parse_network
from tortie.net.protocols import TCP, UDP
from tortie.policy import Packet
from tortie.policy.program import (
    Action,
    AddressPair,
    Endpoint,
    Profile,
    Rule,
    SetKind,
)

NODE = {4: parse_network("192.0.2.10"), 6: parse_network("2001:db8:1::10")}
FLOATING = {4: parse_network("203.0.113.50"), 6: parse_network("2001:db8:50::1")}
POOLS = [parse_network("10.65.0.0/16"), parse_network("fd00:65::/64")]
OWN = {4: HOSTS4, 6: HOSTS6}
FAR = {4: OUTSIDE[0], 6: OUTSIDE[1]}
FIREWALLS = ["nftables", "iptables-legacy", "iptables-nft"]
OPEN = Profile("open", ingress=(Rule(action=Action.ALLOW),), egress=(Rule(action=Action.ALLOW),))


class Seen(NamedTuple):
    """A packet as it left the node."""

    source: Prefix
    destination: Prefix
    dscp: int
    is_whole: bool  # the checksum of IPv4's header


class QosLab(PacketLab):
    """The lab of policies, with an eye for headers."""

    def seen(self, sent: list[Sent]) -> list[Seen | None]:
        """The packets as they left the node; None for what did not."""
        return [None if one is None else read_frame(one) for one in self._exchange(sent)]

    def _build(self) -> None:
        super()._build()
        with in_namespace(f"/run/netns/{self._peers}"):
            self._taps = {link: packet_socket(link) for link in (UPLINK, *WORKLOADS)}

    def _remove(self) -> None:
        for one in getattr(self, "_taps", {}).values():
            one.close()
        super()._remove()

    def resets(self, link: str, version: int) -> int:
        """How many TCP resets left by a link since the last look."""
        head = 14 + (20 if version == 4 else 40)
        found = 0
        while True:
            try:
                told, address = self._taps[link].recvfrom(4096)
            except BlockingIOError:
                return found
            is_tcp = len(told) > head + 13 and told[23 if version == 4 else 20] == TCP
            is_own = address[2] == socket.PACKET_OUTGOING
            found += is_tcp and not is_own and bool(told[head + 13] & 4)

    def segments(self, sent: list[Sent], flags: int) -> list[bool]:
        """Send TCP segments with these flags instead of first ones; whether each left the node."""
        tokens = []
        for one in sent:
            token = self._token()
            to = bytes((2, 0, 0, 0, 1, self._links.index(one.link)))
            made = frame(one.packet, self._macs[one.link], to, token)
            self._sockets[one.link].send(_with_flags(made, one.packet.version, flags))
            tokens.append(token)
        seen = self._seen()
        return [token in seen for token in tokens]

    def from_the_node(self, to: Prefix) -> Seen | None:
        """A UDP packet of a process of the node, as it leaves; None if it does not."""
        token = self._token()
        family = socket.AF_INET if to.version == 4 else socket.AF_INET6
        with self.inside():
            sock = socket.socket(family, socket.SOCK_DGRAM)
        with sock:
            sock.sendto(token, (str(to).partition("/")[0], 80))
        seen = self._seen()
        return read_frame(seen[token]) if token in seen else None


def read_frame(data: bytes) -> Seen:
    """The header of a frame's packet."""
    packet = data[14:]
    if packet[0] >> 4 == 4:
        source, destination = (Prefix.single(4, int.from_bytes(packet[at:][:4])) for at in (12, 16))
        return Seen(source, destination, packet[1] >> 2, _ones(packet[:20]) == 0xFFFF)
    source, destination = (Prefix.single(6, int.from_bytes(packet[at:][:16])) for at in (8, 24))
    return Seen(source, destination, int.from_bytes(packet[:2]) >> 6 & 0x3F, True)


def _with_flags(made: bytes, version: int, flags: int) -> bytes:
    """Another TCP header, whose checksum changes by as much (RFC 1624)."""
    at = 14 + (20 if version == 4 else 40)
    old, total = int.from_bytes(made[at + 12 : at + 14]), int.from_bytes(made[at + 16 : at + 18])
    new = old & 0xFF00 | flags
    total = (total ^ 0xFFFF) + (old ^ 0xFFFF) + new
    acknowledged = 2  # the byte after the other's first
    total += acknowledged
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    changed = struct.pack("!I", acknowledged) + struct.pack("!H", new) + made[at + 14 : at + 16]
    return made[: at + 8] + changed + struct.pack("!H", total ^ 0xFFFF) + made[at + 18 :]


def _ones(data: bytes) -> int:
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total


class Scene:
    """Four workloads that may all speak, and a driver of one of the firewalls."""

    def __init__(self, lab: QosLab, firewall: str) -> None:
        self.lab, self.firewall = lab, firewall
        forget_everything(lab)
        lab.forget_connections()
        self.driver = self._new_driver()
        self.endpoints = [
            Endpoint(
                id=ENDPOINTS[n],
                interface=f"cali{n}",
                addresses=(HOSTS4[n], HOSTS6[n]),
                profiles=("open",),
            )
            for n in range(4)
        ]
        assert self.driver.apply(self.whole()).failed == ()

    def _new_driver(self) -> NftablesDataplane | IptablesDataplane:
        with self.lab.inside():
            if self.firewall == "nftables":
                return NftablesDataplane()
            backend = Backend(self.firewall.removeprefix("iptables-"))
            return IptablesDataplane(IptablesSettings(backend=backend))

    @property
    def is_legacy(self) -> bool:
        """Whether each change makes all rules of a table anew."""
        return self.firewall == "iptables-legacy"

    def whole(self) -> Delta:
        """All that there is, as an engine that begins would tell it."""
        pools = SetContents(SetKind.NET, frozenset(POOLS))
        return Delta(
            sets={**FIXED, ALL_POOLS: pools, MASQ_POOLS: pools},
            profiles={"open": OPEN},
            endpoints={one.id: one for one in self.endpoints},
        )

    def change(self, number: int, **fields: object) -> Applied:
        """Give a workload other fields."""
        self.endpoints[number] = changed = replace(self.endpoints[number], **fields)
        return self.driver.apply(Delta(endpoints={changed.id: changed}))

    def limit(self, number: int, **limits: object) -> None:
        """Give a workload these limits, and no others."""
        controls = QosControls(**limits) if limits else None  # type: ignore[arg-type]
        assert self.change(number, qos=controls).failed == ()

    def float(self, number: int, *addresses: Prefix) -> None:
        """Give a workload floating addresses."""
        pairs = tuple(AddressPair(one, OWN[one.version][number]) for one in addresses)
        assert self.change(number, floating=pairs).failed == ()

    def check_nothing_to_repair(self) -> None:
        """A driver that starts now finds everything as it would have written it."""
        fresh = self._new_driver()
        with fresh:
            fresh.fold(self.whole())
            assert fresh.resync().failed == ()
            assert fresh.written == 0

    def close(self) -> None:
        """Let go of the firewall."""
        self.driver.close()


@contextmanager
def qos_lab() -> Iterator[QosLab]:
    """The lab, with a node that has addresses of its own."""
    with QosLab(WORKLOADS) as lab:
        for own in NODE.values():
            lab.own(own)
        lab.know(OUTSIDE)
        yield lab


def packets(
    version: int,
    source: Prefix,
    destination: Prefix,
    count: int = 1,
    protocol: int = UDP,
    first_port: int = 1024,
) -> list[Sent]:
    """Packets of `count` connections: each from another port."""
    numbers = {one: n for n in range(4) for one in (HOSTS4[n], HOSTS6[n])}
    link = f"cali{numbers[source]}" if source in numbers else UPLINK
    return [
        Sent(
            link,
            Packet(
                version,
                source.address,
                destination.address,
                protocol,
                first_port + n,
                80,
            ),
        )
        for n in range(count)
    ]


def answers(sent: list[Sent], link: str) -> list[Sent]:
    """The ways back, which enter the node by a link."""
    return [
        Sent(
            link,
            replace(
                one.packet,
                source=one.packet.destination,
                destination=one.packet.source,
                source_port=one.packet.destination_port,
                destination_port=one.packet.source_port,
            ),
        )
        for one in sent
    ]
