"""Three etcd members, each in a network namespace of its own, and one for their clients.

All are on one bridge in a fifth namespace, so that a member can be cut off by taking its link down:
packets vanish then as they do in a broken network, with nobody to refuse a connection.
"""

import http.client
import os
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from servers.process import start, stop, wait_ready
from tortie.linux.namespaces import create_named, delete_named, in_namespace, path_of

_CLIENT_PORT, _PEER_PORT, _METRICS_PORT = 2379, 2380, 2381
SECONDS = 30.0  # for the cluster to have a leader, or another one


class Member:
    """One member: its namespace, its address and its process."""

    def __init__(self, number: int, prefix: str, folder: Path, peers: str) -> None:
        self.name = f"m{number}"
        self.address = _address(number)
        self.namespace = f"{prefix}-{self.name}"
        self.port = f"p{number}"  # the bridge's end of its link
        self._folder = folder
        self._peers = peers
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def endpoint(self) -> str:
        """Where clients in the cluster's network reach it."""
        return f"http://{self.address}:{_CLIENT_PORT}"

    def start(self) -> None:
        """Run it, the first time or again with its data."""
        clients, peers = self.endpoint, f"http://{self.address}:{_PEER_PORT}"
        command = [
            *inside(self.namespace),
            "etcd",
            *("--name", self.name, "--data-dir", str(self._folder / self.name)),
            *("--listen-client-urls", clients, "--advertise-client-urls", clients),
            *("--listen-peer-urls", peers, "--initial-advertise-peer-urls", peers),
            *("--initial-cluster", self._peers),
            *("--listen-metrics-urls", f"http://{self.address}:{_METRICS_PORT}"),
            *("--heartbeat-interval", "50", "--election-timeout", "500"),
        ]
        self._process = start(command, self._folder / f"{self.name}.log")

    def kill(self) -> None:
        """End it as kill -9 does."""
        if self._process is not None:
            stop(self._process)

    def ready(self, seconds: float = SECONDS) -> None:
        """Wait until it has the others and a leader."""
        assert self._process is not None
        log = self._folder / f"{self.name}.log"
        wait_ready(self._process, log, lambda: b"true" in self._page("/health"), seconds)

    def leads(self) -> bool:
        """Whether it is the leader, as far as it knows."""
        return b"\netcd_server_is_leader 1" in self._page("/metrics")

    def _page(self, path: str) -> bytes:
        with in_namespace(path_of(self.namespace)):
            connection = http.client.HTTPConnection(self.address, _METRICS_PORT, timeout=1)
            try:
                connection.request("GET", path)
                return connection.getresponse().read()
            except (OSError, http.client.HTTPException):
                return b""
            finally:
                connection.close()


class Cluster:
    """The members, and where to run clients of them."""

    def __init__(self, folder: Path, prefix: str) -> None:
        peers = ",".join(f"m{n}=http://{_address(n)}:{_PEER_PORT}" for n in (1, 2, 3))
        self.members = [Member(number, prefix, folder, peers) for number in (1, 2, 3)]
        self.clients = f"{prefix}-clients"
        self.hub = f"{prefix}-hub"

    @property
    def endpoints(self) -> tuple[str, ...]:
        """Of all members."""
        return tuple(member.endpoint for member in self.members)

    def leader(self, among: Sequence[Member]) -> Member:
        """The leader, once one of these members is it."""
        deadline = time.monotonic() + SECONDS
        while time.monotonic() < deadline:
            for member in among:
                if member.leads():
                    return member
            time.sleep(0.05)
        raise AssertionError(f"no leader among {[member.name for member in among]}")

    def cut_off(self, member: Member) -> None:
        """No packet from or to a member any more."""
        _ip("-n", self.hub, "link", "set", member.port, "down")

    def heal(self, member: Member) -> None:
        """Packets again."""
        _ip("-n", self.hub, "link", "set", member.port, "up")


def inside(namespace: str) -> list[str]:
    """What a command that runs in a namespace begins with."""
    return ["nsenter", f"--net={path_of(namespace)}"]


@contextmanager
def etcd_cluster() -> Iterator[Cluster]:
    """A fresh cluster of three, with a leader; gone at the end with all of its namespaces."""
    prefix = f"etcd{os.getpid()}"
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="tortie-etcd-"))
        cluster = Cluster(Path(folder), prefix)
        stack.enter_context(_namespace(cluster.hub))
        _ip("-n", cluster.hub, "link", "add", "br0", "type", "bridge")
        _ip("-n", cluster.hub, "link", "set", "br0", "up")
        stack.enter_context(_station(cluster.hub, cluster.clients, "p0", _address(0)))
        for member in cluster.members:
            stack.enter_context(
                _station(cluster.hub, member.namespace, member.port, member.address)
            )
        for member in cluster.members:
            stack.callback(member.kill)
            member.start()
        for member in cluster.members:
            member.ready()
        yield cluster


@contextmanager
def _station(hub: str, namespace: str, port: str, address: str) -> Iterator[None]:
    """A namespace with one address on the bridge."""
    with _namespace(namespace):
        peer = ("peer", "name", "eth0", "netns", namespace)
        _ip("-n", hub, "link", "add", port, "type", "veth", *peer)
        _ip("-n", hub, "link", "set", port, "master", "br0", "up")
        _ip("-n", namespace, "address", "add", f"{address}/24", "dev", "eth0")
        _ip("-n", namespace, "link", "set", "eth0", "up")
        yield


@contextmanager
def _namespace(name: str) -> Iterator[None]:
    create_named(name)
    try:
        _ip("-n", name, "link", "set", "lo", "up")
        yield
    finally:
        delete_named(name)


def _address(number: int) -> str:
    return f"10.99.0.{10 + number}"


def _ip(*arguments: str) -> None:
    done = subprocess.run(["ip", *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"ip {' '.join(arguments)}: {done.stderr}"
