"""Packets between containers, from sockets that live in their namespaces."""

import select
import socket
import threading
import time
from contextlib import ExitStack

from tortie.linux.namespaces import in_namespace


def udp_socket(netns, address="0.0.0.0", port=0):
    """A bound UDP socket of a container; it stays there whatever thread uses it."""
    with in_namespace(netns):
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.setsockopt(socket.SOL_SOCKET, 33, 8 << 20)  # SO_RCVBUFFORCE
    sock.bind((address, port))
    return sock


def reaches(source, destination, port, attempts=3):
    """Whether a UDP packet from one container gets to another: (namespace, address) each."""
    netns, address = destination
    with udp_socket(netns, port=port) as receiver, udp_socket(source[0]) as sender:
        for number in range(attempts):
            sender.sendto(b"%d" % number, (address.partition("/")[0], port))
            if select.select([receiver], [], [], 0.5)[0]:
                return True
    return False


class Flow:
    """Numbered packets at a steady pace, from many source ports, so that most are new connections.

    `lost` after `stop` are the numbers that did not arrive.
    """

    def __init__(self, source, destination, port, sources=64, pause=0.001):
        self._opened = ExitStack()
        address = destination[1].partition("/")[0]
        self._target = (address, port)
        self._receiver = self._opened.enter_context(udp_socket(destination[0], port=port))
        self._senders = [self._opened.enter_context(udp_socket(source[0])) for _ in range(sources)]
        self._pause = pause
        self._stopping = threading.Event()
        self.sent = 0
        self.refused = 0
        self.arrived = set()
        self._threads = [
            threading.Thread(target=self._send),
            threading.Thread(target=self._receive),
        ]
        for thread in self._threads:
            thread.start()

    def _send(self):
        while not self._stopping.wait(self._pause):
            sender = self._senders[self.sent % len(self._senders)]
            try:
                sender.sendto(b"%d" % self.sent, self._target)
            except OSError:
                self.refused += 1
            self.sent += 1

    def _receive(self):
        quiet_since = None
        while quiet_since is None or time.monotonic() - quiet_since < 1.0:
            if select.select([self._receiver], [], [], 0.05)[0]:
                self.arrived.add(int(self._receiver.recv(64)))
            elif self._stopping.is_set() and quiet_since is None:
                quiet_since = time.monotonic()

    def stop(self):
        """Send no more, and wait for what is under way."""
        self._stopping.set()
        for thread in self._threads:
            thread.join()
        self._opened.close()

    @property
    def lost(self):
        return set(range(self.sent)) - self.arrived
