"""A node with one workload link, and what passes it of packets that come all at once.

Nothing is asserted on a clock: packets are sent much faster than any limit here gives tokens, so
that what passes is what the bucket held and what its queue kept.
"""

import itertools
import json
import os
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from tortie.dataplane.qos import QosDriver
from tortie.linux.links import Links
from tortie.linux.namespaces import create_named, delete_named, in_namespace
from tortie.linux.netlink.rttc import Filter, Qdisc
from tortie.linux.netlink.sockets import NetlinkSocket
from tortie.linux.shaping import Shaping

NODE_ADDRESS, POD_ADDRESS = "10.99.0.1", "10.99.0.2"
SIZE = 1000  # bytes of a packet as queues count them
_HEADERS = 14 + 20 + 8
_NUMBERS = itertools.count(1)


class BandwidthLab:
    """A namespace "node" with the host's end `cali1`, and the workload's namespace."""

    def __init__(self, node: str, pod: str) -> None:
        self.node, self.pod = node, pod
        with self.inside():
            self.sock = NetlinkSocket()
        self.links, self.shaping = Links(self.sock), Shaping(self.sock)

    @contextmanager
    def inside(self, name: str = "") -> Iterator[None]:
        """This thread is in the node's namespace, or another."""
        with in_namespace(f"/run/netns/{name or self.node}"):
            yield

    def driver(self) -> QosDriver:
        """A driver as of an agent that starts now."""

        def opened() -> NetlinkSocket:
            with self.inside():
                return NetlinkSocket()

        return QosDriver(opened)

    def command(self, *words: str, name: str = "") -> str:
        """A command in the node's namespace, or another."""
        with self.inside(name):
            done = subprocess.run(words, capture_output=True, text=True, check=True)
        return done.stdout

    def plug(self, interface: str = "cali1") -> None:
        """Make the workload's link, on which nothing is sent but what a test sends."""
        ours, theirs = "02:00:00:00:00:01", "02:00:00:00:00:02"
        with open(f"/run/netns/{self.pod}") as pod:
            self.links.create_veth(interface, "eth0", pod.fileno(), mac=ours, peer_mac=theirs)
        for name, device, own, other, mac in (
            (self.node, interface, NODE_ADDRESS, POD_ADDRESS, theirs),
            (self.pod, "eth0", POD_ADDRESS, NODE_ADDRESS, ours),
        ):
            for words in (
                f"link set {device} up addrgenmode none",
                f"address add {own}/24 dev {device}",
                f"neighbour replace {other} lladdr {mac} dev {device}",
            ):
                self.command("ip", *words.split(), name=name)

    def plug_more(self, interface: str) -> None:
        """Make another link, whose other end stays in the node's namespace."""
        self.links.create_veth(interface, f"{interface}p")
        self.links.set_up(interface)

    def queues(self, interface: str) -> list[Qdisc]:
        """The queues of an interface of the node; none where there is no such interface."""
        link = self.links.find(interface)
        return [] if link is None else self.shaping.qdiscs(link.index)

    def filters(self, interface: str) -> list[Filter]:
        """The filters for what comes in by an interface that has hooks."""
        return self.shaping.filters(self.links.get(interface).index)

    def devices(self) -> set[str]:
        """The names of the node's `ifb` devices."""
        return {link.name for link in self.links.list() if link.kind == "ifb"}

    def passed(self, interface: str, sent: int, least: int = 0) -> int:
        """How many of the packets that were sent the root queue of an interface let pass so far.

        Waits until the queue has seen them all, and for `least` to have passed.
        """
        deadline = time.monotonic() + 60
        while True:
            words = ("tc", "-s", "-j", "qdisc", "show", "dev", interface, "root")
            told = json.loads(self.command(*words))[0]
            passed = int(told["bytes"]) // SIZE
            if passed + told["qlen"] + told["drops"] >= sent and passed >= least:
                return passed
            if time.monotonic() > deadline:
                raise TimeoutError(f"of {sent} packets the queue saw fewer, or less passed: {told}")

    def flood(self, source: str, count: int) -> None:
        """Send UDP packets to the other end at once."""
        address = POD_ADDRESS if source == self.node else NODE_ADDRESS
        with self.inside(source):
            sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        with sock:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 64 * 1024 * 1024)
            for _ in range(count):
                with suppress(ConnectionRefusedError):  # nobody listens there
                    sock.sendto(bytes(SIZE - _HEADERS), (address, 9))


@contextmanager
def bandwidth_lab() -> Iterator[BandwidthLab]:
    """The lab; everything is gone afterwards."""
    unique = f"{os.getpid()}-{next(_NUMBERS)}"
    node, pod = f"tqn{unique}", f"tqp{unique}"
    try:
        create_named(node)
        create_named(pod)
        lab = BandwidthLab(node, pod)
        with lab.sock:
            lab.plug()
            yield lab
    finally:
        for name in (node, pod):
            delete_named(name)
