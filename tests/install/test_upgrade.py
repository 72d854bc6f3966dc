"""Agents are replaced node by node, as a DaemonSet does it, and policy holds all the while."""

import os
import signal
import socket
import threading
import time
from contextlib import closing, contextmanager

import pytest

from network.cluster import Cluster
from tortie.api import Key
from tortie.lab import nodes
from tortie.lab.plan import Encap, Families, shape_of
from tortie.lab.processes import is_alive
from tortie.linux.namespaces import in_namespace, path_of

pytestmark = pytest.mark.root
PORT = 4999
WAIT = 60.0
ANSWER = 5.0  # seconds: far above what a busy machine takes
LOST = 2  # that were in the kernel's hands while a transaction was made (docs/architecture.md)
POLICY = """---
apiVersion: projectcalico.org/v3
kind: GlobalNetworkPolicy
metadata: {name: deny-one-port}
spec:
  selector: all()
  ingress:
    - {action: Deny, protocol: UDP, destination: {ports: [4999]}}
    - {action: Allow}
  egress: [{action: Allow}]
"""


class Allowed:
    """Packets that are answered, one at a time: none waits in a queue that a busy machine fills.

    `lost` counts those that had no answer in time, on whichever way.
    """

    def __init__(self, cluster, source, target):
        self.sent = self.lost = 0
        self._address = cluster.address(target, 4)
        self._source = _socket(cluster, source, 0)
        self._target = _socket(cluster, target, PORT + 1)
        self._source.settimeout(ANSWER)
        self._target.settimeout(0.1)
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=one) for one in (self._ask, self._answer)]

    def _ask(self):
        while not self._stop.is_set():
            self.sent += 1
            self._source.sendto(b"%d" % self.sent, (self._address, PORT + 1))
            try:
                while int(self._source.recv(20)) != self.sent:
                    continue
            except TimeoutError:
                self.lost += 1
            time.sleep(0.001)

    def _answer(self):
        while self._threads[0].is_alive():
            try:
                data, caller = self._target.recvfrom(20)
            except TimeoutError:
                continue
            self._target.sendto(data, caller)

    def __enter__(self):
        for each in self._threads:
            each.start()
        return self

    def __exit__(self, *_):
        self._stop.set()
        for each in self._threads:
            each.join()
        self._source.close()
        self._target.close()


def _socket(cluster, party, port):
    with in_namespace(path_of(cluster.namespace(party))):
        made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    made.bind(("", port))
    return made


class Forbidden:
    """Packets to a port that policy denies; `arrived` counts those that came through."""

    def __init__(self, cluster, source, target):
        self.sent = self.arrived = 0
        self._address = cluster.address(target, 4)
        self._source = _socket(cluster, source, 0)
        self._target = _socket(cluster, target, PORT)
        self._target.settimeout(0.1)
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=one) for one in (self._send, self._receive)]

    def _send(self):
        while not self._stop.wait(0.002):
            self._source.sendto(b"x", (self._address, PORT))
            self.sent += 1

    def _receive(self):
        while not self._stop.is_set():
            try:
                self._target.recv(10)
                self.arrived += 1
            except TimeoutError:
                continue

    def __enter__(self):
        for each in self._threads:
            each.start()
        return self

    def __exit__(self, *_):
        time.sleep(0.2)  # what is under way arrives
        self._stop.set()
        for each in self._threads:
            each.join()
        self._source.close()
        self._target.close()


@pytest.fixture(scope="module")
def cluster():
    shape = shape_of(3, Encap.VXLAN, "Always", Families.IPV4)
    with closing(Cluster(f"up{os.getpid()}", shape, POLICY)) as made:
        yield made


@contextmanager
def of_next_release(monkeypatch):
    """What the new pods are told that the old ones were not."""
    monkeypatch.setenv("FELIX_LOGPREFIX", "next-release")
    yield
    monkeypatch.delenv("FELIX_LOGPREFIX")


def replace_agent(cluster, station):
    """End it in order, start the next one, and wait until that is ready: maxUnavailable 1."""
    process = cluster.journal.process(nodes.role(station))
    os.kill(process.pid, signal.SIGTERM)
    deadline = time.monotonic() + WAIT
    while is_alive(process):
        assert time.monotonic() < deadline, "the agent does not end"
        time.sleep(0.02)

    async def up(lab):
        nodes.ensure_agent(lab.journal, station, lab.plan.shape)
        await nodes.await_ready(lab.journal, station, WAIT)

    cluster.run(up)
    assert cluster.journal.process(nodes.role(station)).pid != process.pid


def stations(cluster):
    async def find(lab):
        return list(lab.plan.nodes)

    return cluster.run(find)


def test_no_packet_is_lost_and_none_gets_through_while_agents_are_replaced(cluster, monkeypatch):
    with (
        Allowed(cluster, "a", "far") as allowed,
        Forbidden(cluster, "a", "near") as far_away,
        Forbidden(cluster, "a", "mate") as same_node,
        of_next_release(monkeypatch),
    ):
        for station in stations(cluster):
            replace_agent(cluster, station)
    assert allowed.sent > 100
    assert allowed.lost <= LOST
    for each in (far_away, same_node):
        assert each.sent > 100
        assert each.arrived == 0


def test_what_is_forbidden_would_arrive_without_the_policy(cluster):
    """So that the other test can fail."""

    async def allow(lab):
        await lab.store.delete(Key("GlobalNetworkPolicy", "", "deny-one-port"))
        await lab.await_applied()

    cluster.run(allow)
    with Forbidden(cluster, "a", "near") as packets:
        deadline = time.monotonic() + WAIT
        while not packets.arrived:
            assert time.monotonic() < deadline, "nothing arrives"
            time.sleep(0.02)
