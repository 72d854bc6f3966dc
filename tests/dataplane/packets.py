"""Real packets through a node's namespace: what of what is sent arrives where it should?

`PacketLab` makes a namespace "node" that forwards, and a namespace "peers" that holds the other
ends of its links. Peers have no addresses: frames are made by hand and sent and seen by packet
sockets, so nothing answers and every packet is the first of its connection.

Nothing waits for a time: the sending thread stays on one CPU, whose queue is first in, first out.
When a last packet, sent between two links that nothing guards, has arrived, what has not arrived
before it was dropped.
"""

import itertools
import os
import select
import socket
import subprocess
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from types import TracebackType
from typing import NamedTuple, Self

from dataplane.frames import frame
from tortie.linux.namespaces import create_named, delete_named, in_namespace
from tortie.linux.netlink.sockets import NETLINK_NETFILTER, NetlinkSocket, Request
from tortie.net import Prefix, parse_network
from tortie.policy import Packet

UPLINK = "uplink"
_MARKER = b"tortie"
_SENTINEL = Packet(4, 0xC0000201, 0xC6336401, 17, 9, 9)  # 192.0.2.1 → 198.51.100.1
_SENTINEL_LINKS = ("sentinel-a", "sentinel-b")
_CONNTRACK_DELETE = 1 << 8 | 2  # without a tuple: all of them
_NUMBERS = itertools.count(1)


class Sent(NamedTuple):
    """A packet and the link that it enters the node by."""

    link: str
    packet: Packet


class PacketLab:
    """A node with workload links. `workloads`: interface → its addresses (routed to it).

    Everything without a route of its own goes by the link "uplink".
    """

    def __init__(self, workloads: dict[str, list[Prefix]], more_links: Sequence[str] = ()) -> None:
        self._workloads = workloads
        unique = f"{os.getpid()}-{next(_NUMBERS)}"
        self.node, self._peers = f"tn{unique}", f"tp{unique}"
        self._links = [*workloads, UPLINK, *more_links, *_SENTINEL_LINKS]
        self._sockets: dict[str, socket.socket] = {}
        self._macs: dict[str, bytes] = {}
        self._tokens = itertools.count(1)
        self._conntrack: NetlinkSocket | None = None

    def __enter__(self) -> Self:
        try:
            create_named(self.node)
            create_named(self._peers)
            self._build()
        except BaseException:
            self._remove()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._remove()

    def _remove(self) -> None:
        for one in (*self._sockets.values(), self._conntrack):
            if one is not None:
                one.close()
        for name in (self.node, self._peers):
            delete_named(name)

    @contextmanager
    def inside(self) -> Iterator[None]:
        """This thread is in the node's namespace."""
        with in_namespace(f"/run/netns/{self.node}"):
            yield

    def nft(self, *arguments: str) -> str:
        """The nft command in the node's namespace."""
        with self.inside():
            done = subprocess.run(["nft", *arguments], capture_output=True, text=True, check=True)
        return done.stdout

    def _build(self) -> None:
        lines = [
            f"link add {name} address 02:00:00:00:01:{place:02x} type veth "
            f"peer name {name} netns {self._peers} address 02:00:00:00:02:{place:02x}"
            for place, name in enumerate(self._links)
        ]
        self._ip(self.node, [*lines, "link set lo up", *self._ups()])
        self._ip(self._peers, self._ups())
        with self.inside():
            for name in ("ipv4/ip_forward", "ipv6/conf/all/forwarding"):
                with open(f"/proc/sys/net/{name}", "w") as file:
                    file.write("1")
            self._conntrack = NetlinkSocket(NETLINK_NETFILTER)
        self._ip(self.node, self._routes())
        with in_namespace(f"/run/netns/{self._peers}"):
            for place, name in enumerate(self._links):
                self._macs[name] = bytes((2, 0, 0, 0, 2, place))
                self._sockets[name] = packet_socket(name)

    def _ups(self) -> list[str]:
        # No autoconfiguration: the only packets are the test's.
        return [
            command
            for name in self._links
            for command in (f"link set {name} addrgenmode none", f"link set {name} up")
        ]

    def _routes(self) -> Iterator[str]:
        for name, addresses in self._workloads.items():
            for one in addresses:
                yield f"route add {one} dev {name}"
                yield self._neighbour(one, name)
        yield f"route add default dev {UPLINK}"
        yield f"route add ::/0 dev {UPLINK}"
        sent_by, seen_by = _SENTINEL_LINKS
        yield f"route add 192.0.2.1/32 dev {sent_by}"
        yield f"route add 198.51.100.1/32 dev {seen_by}"
        yield self._neighbour(parse_network("198.51.100.1"), seen_by)

    def _neighbour(self, address: Prefix, link: str) -> str:
        host = str(address).partition("/")[0]
        return f"neighbour replace {host} lladdr {self.far_mac(link)} dev {link}"

    def far_mac(self, link: str) -> str:
        """The hardware address at the other end of a link."""
        return f"02:00:00:00:02:{self._links.index(link):02x}"

    def know(self, addresses: Iterable[Prefix], link: str = UPLINK) -> None:
        """Make addresses outside the workloads' reachable by the uplink, or another link."""
        self._ip(self.node, [self._neighbour(one, link) for one in addresses])

    def _ip(self, namespace: str, commands: Iterable[str]) -> None:
        with in_namespace(f"/run/netns/{namespace}"):
            done = subprocess.run(
                ["ip", "-batch", "-"], input="\n".join(commands), capture_output=True, text=True
            )
        if done.returncode:
            raise RuntimeError(done.stderr)

    def forget_connections(self) -> None:
        """Empty the node's conntrack table, so that every packet is a first one again."""
        assert self._conntrack is not None
        self._conntrack.request(Request(_CONNTRACK_DELETE, b"\0\0\0\0"))

    def own(self, address: Prefix, link: str = UPLINK) -> None:
        """Give the node an address of its own, on its uplink or another link."""
        at_once = "nodad" if address.version == 6 else ""
        self._ip(self.node, [f"address replace {address} dev {link} {at_once}"])
        if address.version == 6:
            self._wait_for_local(address)

    def _wait_for_local(self, address: Prefix) -> None:
        """The kernel's worker, not the command, makes the route of an IPv6 address."""
        alone = str(address).split("/")[0]
        with in_namespace(f"/run/netns/{self.node}"):
            for _ in range(2000):
                command = ["ip", "-6", "route", "show", "table", "local", alone]
                if subprocess.run(command, capture_output=True, check=True).stdout:
                    return
                select.select([], [], [], 0.005)
        raise AssertionError(f"{alone} did not become an address of the node")

    def ip(self, *commands: str) -> None:
        """Commands of ip in the node's namespace."""
        self._ip(self.node, commands)

    def deliver(self, sent: Iterable[Sent]) -> list[bool]:
        """Send the packets in order; for each, whether it left the node by any link."""
        return [frame is not None for frame in self._exchange(sent)]

    def sources_seen(self, sent: Iterable[Sent]) -> list[int | None]:
        """The IPv4 source addresses with which the packets left; None for what was dropped."""
        return [
            None if frame is None else int.from_bytes(frame[26:30])
            for frame in self._exchange(sent)
        ]

    def ends_seen(self, sent: Iterable[Sent]) -> list[tuple[int, int] | None]:
        """The IPv4 source addresses and ports with which the packets left."""
        return [
            None if frame is None else (int.from_bytes(frame[26:30]), int.from_bytes(frame[34:36]))
            for frame in self._exchange(sent)
        ]

    def _exchange(self, sent: Iterable[Sent]) -> list[bytes | None]:
        with _one_cpu():
            tokens = [self._send(one) for one in sent]
            seen = self._seen()
        return [seen.get(token) for token in tokens]

    def _seen(self) -> dict[bytes, bytes]:
        return self._seen_until(self._send(Sent(_SENTINEL_LINKS[0], _SENTINEL)))

    def _send(self, sent: Sent) -> bytes:
        token = self._token()
        to = bytes((2, 0, 0, 0, 1, self._links.index(sent.link)))
        self._sockets[sent.link].send(frame(sent.packet, self._macs[sent.link], to, token))
        return token

    def _token(self) -> bytes:
        return _MARKER + next(self._tokens).to_bytes(6)

    def _seen_until(self, last: bytes) -> dict[bytes, bytes]:
        seen: dict[bytes, bytes] = {}
        while last not in seen:
            ready, _, _ = select.select(list(self._sockets.values()), [], [], 60)
            if not ready:
                raise TimeoutError("the last packet, which nothing guards, did not arrive")
            for one in ready:
                seen |= arrived(one)
        for one in self._sockets.values():  # what arrived before the last, on other links
            seen |= arrived(one)
        return seen


def packet_socket(link: str) -> socket.socket:
    everything = socket.htons(3)  # ETH_P_ALL
    made = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, everything)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 * 1024 * 1024)
    made.bind((link, 3))
    made.setblocking(False)
    return made


def wait_for(token: bytes, one: socket.socket) -> None:
    """Read a packet socket until this token has come."""
    while token not in arrived(one):
        if not select.select([one], [], [], 60)[0]:
            raise TimeoutError("the last packet, which nothing guards, did not arrive")


def arrived(one: socket.socket) -> dict[bytes, bytes]:
    """The frames that wait on a socket, by token, without those that it sent itself."""
    frames = {}
    while True:
        try:
            data, address = one.recvfrom(4096)
        except BlockingIOError:
            return frames
        place = data.rfind(_MARKER)
        is_own = one.family == socket.AF_PACKET and address[2] == socket.PACKET_OUTGOING
        if place >= 0 and not is_own:
            frames[data[place : place + len(_MARKER) + 6]] = data


@contextmanager
def _one_cpu() -> Iterator[None]:
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(before)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)
