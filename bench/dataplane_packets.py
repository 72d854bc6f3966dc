"""What policy costs the packets of a pair of workloads. Needs root.

One node (a namespace of its own) for each firewall and number of policies, and one without any
firewall, all at once. They are measured in turn, round by round, so that noise meets all alike;
what is compared is compared within a round, and the median over the rounds is told.

All policies apply to the server, each has ten rules, and only the last rule of the last policy
allows what is sent: a first packet is asked all of them. "beside": policies that apply to others.
"""

import json
import multiprocessing
import os
import socket
import statistics
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from itertools import count
from typing import NamedTuple

from tortie.dataplane.iptables import Backend, IptablesDataplane, IptablesSettings
from tortie.dataplane.nftables import NftablesDataplane
from tortie.engine.delta import ALL_HOSTS, ALL_POOLS, MASQ_POOLS, Delta, SetContents
from tortie.linux.namespaces import create_named, delete_named, in_namespace
from tortie.net import PortRange, Prefix, parse_network
from tortie.policy.program import (
    Action,
    DefaultAction,
    Endpoint,
    EndpointId,
    PeerMatch,
    Policy,
    PolicyId,
    Profile,
    Rule,
    SetKind,
    TierPolicies,
)

ROUNDS = int(os.environ.get("TORTIE_BENCH_ROUNDS", "9"))
SECONDS = 0.25  # of one measurement
RULES = 10
SIZES = (1, 100, 1000)
CLIENT, SERVER = parse_network("10.65.0.1"), parse_network("10.65.0.2")
PORT = 5000
_MACS = {"client": "02:00:00:00:02:01", "server": "02:00:00:00:02:02"}
_HOST_MACS = {"client": "02:00:00:00:01:01", "server": "02:00:00:00:01:02"}
_RESET = struct.pack("ii", 1, 0)  # SO_LINGER: close by a reset, so that no port stays taken
_CHUNK = bytes(256 * 1024)
_numbers = count(1)


class Pair(NamedTuple):
    """A client's and a server's namespace (paths), on a node with some firewall."""

    title: str
    client: str
    server: str


def policy_of(number: int, last: bool) -> Policy:
    """Ten rules of an allowed network and a port each; the last may be the client's."""
    rules = [_rule(0x0B000000 + (number * RULES + n << 8), n) for n in range(RULES)]
    if last:
        allowed = PeerMatch(ports=(PortRange(PORT, PORT + 9),))
        source = PeerMatch(nets=(CLIENT,))
        rules[-1] = Rule(Action.ALLOW, 4, protocol=6, source=source, destination=allowed)
    return Policy(PolicyId("GlobalNetworkPolicy", "", f"p{number}"), "default", tuple(rules))


def _rule(net: int, number: int) -> Rule:
    source = PeerMatch(nets=(Prefix(4, net, 24),))
    port = PeerMatch(ports=(PortRange(6000 + number, 6000 + number),))
    return Rule(Action.ALLOW, ip_version=4, protocol=6, source=source, destination=port)


def program(applied: int, beside: int = 0) -> Delta:
    """The server behind `applied` policies, and `beside` others that nobody is behind."""
    policies = [policy_of(n, n == applied - 1) for n in range(applied)]
    others = [policy_of(n, False) for n in range(applied, applied + beside)]
    tiers = (TierPolicies("default", DefaultAction.DENY, tuple(one.id for one in policies)),)
    allow = (Rule(Action.ALLOW),)
    ends = [
        Endpoint(_named("client"), "calic", (CLIENT,), profiles=("open",)),
        Endpoint(_named("server"), "calis", (SERVER,), ingress=tiers, profiles=("open",)),
    ]
    fixed = {
        name: SetContents(SetKind.NET, frozenset()) for name in (MASQ_POOLS, ALL_POOLS, ALL_HOSTS)
    }
    return Delta(
        sets=fixed,
        policies={one.id: one for one in (*policies, *others)},
        profiles={"open": Profile("open", allow, allow)},
        endpoints={one.id: one for one in ends},
    )


def _named(name: str) -> EndpointId:
    return EndpointId("WorkloadEndpoint", "bench", name)


@contextmanager
def pair(title: str, write: Callable[[], None]) -> Iterator[Pair]:
    """Two workloads of a node whose firewall `write` writes, in the node's namespace."""
    unique = f"bench-{os.getpid()}-{next(_numbers)}"
    with ExitStack() as opened:
        paths = {}
        for name in ("node", "client", "server"):
            paths[name] = str(create_named(f"{unique}-{name}"))
            opened.callback(delete_named, f"{unique}-{name}")
        with in_namespace(paths["node"]):
            _ip("link set lo up", *_node_links(unique))
            with open("/proc/sys/net/ipv4/ip_forward", "w") as file:
                file.write("1")
            write()
        for name, own in (("client", CLIENT), ("server", SERVER)):
            with in_namespace(paths[name]):
                _ip(*_workload(name, own))
        yield Pair(title, paths["client"], paths["server"])


def _node_links(unique: str) -> Iterator[str]:
    for name, own in (("client", CLIENT), ("server", SERVER)):
        link = f"cali{name[0]}"
        yield (
            f"link add {link} address {_HOST_MACS[name]} type veth peer name eth0 "
            f"netns {unique}-{name} address {_MACS[name]}"
        )
        yield f"link set {link} up"
        yield f"route add {own} dev {link}"
        yield f"neighbour replace {str(own).partition('/')[0]} lladdr {_MACS[name]} dev {link}"


def _workload(name: str, own: Prefix) -> list[str]:
    return [
        "link set lo up",
        "link set eth0 up",
        f"address add {own} dev eth0",
        "route add 169.254.1.1 dev eth0 scope link",
        f"neighbour replace 169.254.1.1 lladdr {_HOST_MACS[name]} dev eth0",
        "route add default via 169.254.1.1 dev eth0",
    ]


def _ip(*commands: str) -> None:
    subprocess.run(["ip", "-batch", "-"], input="\n".join(commands), text=True, check=True)


def nftables(applied: int, beside: int = 0) -> None:
    with NftablesDataplane() as driver:
        driver.fold(program(applied, beside))
        assert driver.resync().failed == ()


def iptables(backend: Backend, applied: int) -> None:
    with IptablesDataplane(IptablesSettings(backend=backend)) as driver:
        driver.fold(program(applied))
        assert driver.resync().failed == ()


def tracked_only() -> None:
    """Connection tracking and nothing else: what any stateful firewall begins with."""
    text = "table ip t { chain c { type filter hook forward priority 0; ct state invalid drop; }; }"
    subprocess.run(["nft", text], check=True)


# ---- traffic: a client here, a server as a process on the other CPU


@contextmanager
def served(made: Pair, serve: Callable[[socket.socket], None]) -> Iterator[None]:
    with in_namespace(made.server):
        listener = socket.create_server(("", PORT), backlog=1024)
    with listener:
        worker = multiprocessing.get_context("fork").Process(
            target=_on_cpu, args=(-1, serve, listener), daemon=True
        )
        worker.start()
    try:
        yield
    finally:
        worker.kill()
        worker.join()


def _on_cpu(which: int, work: Callable[[socket.socket], None], listener: socket.socket) -> None:
    os.sched_setaffinity(0, {sorted(os.sched_getaffinity(0))[which]})
    work(listener)


def _connect(made: Pair) -> socket.socket:
    with in_namespace(made.client):
        sock = socket.socket()
    sock.connect((str(SERVER).partition("/")[0], PORT))
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock


def _drain(listener: socket.socket) -> None:
    room = bytearray(1 << 20)
    while True:
        peer, _ = listener.accept()
        total = 0
        while got := peer.recv_into(room):
            total += got
        peer.sendall(struct.pack("!Q", total))
        peer.close()


def throughput(made: Pair) -> float:
    """Gbit/s of one TCP stream."""
    with served(made, _drain), _connect(made) as sock:
        begun = time.perf_counter()
        while time.perf_counter() - begun < SECONDS:
            sock.sendall(_CHUNK)
        sock.shutdown(socket.SHUT_WR)
        (total,) = struct.unpack("!Q", sock.recv(8, socket.MSG_WAITALL))
        return float(total * 8 / (time.perf_counter() - begun) / 1e9)


def _echo(listener: socket.socket) -> None:
    while True:
        peer, _ = listener.accept()
        peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        while got := peer.recv(1):
            peer.send(got)


def latency(made: Pair) -> float:
    """Microseconds from a byte's sending to its echo, the median."""
    times = []
    with served(made, _echo), _connect(made) as sock:
        ends = time.perf_counter() + SECONDS
        while (begun := time.perf_counter()) < ends:
            sock.send(b"x")
            sock.recv(1)
            times.append(time.perf_counter() - begun)
    return statistics.median(times) * 1e6


def _greet(listener: socket.socket) -> None:
    while True:
        peer, _ = listener.accept()
        peer.send(b"x")
        peer.close()


def connections(made: Pair) -> float:
    """TCP connections a second, one after the other: opened, one byte back, closed."""
    done = 0
    with served(made, _greet), in_namespace(made.client):
        begun = time.perf_counter()
        while time.perf_counter() - begun < SECONDS:
            with socket.socket() as sock:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
                sock.connect((str(SERVER).partition("/")[0], PORT))
                sock.recv(1)
            done += 1
        return done / (time.perf_counter() - begun)


WHAT = {
    "tcp_throughput": (throughput, "Gbit/s"),
    "tcp_connections": (connections, "1/s"),
    "tcp_latency": (latency, "us"),
}


def variants() -> Iterator[tuple[str, Callable[[], None]]]:
    yield "no_policy", lambda: None
    yield "tracked_only", tracked_only
    yield "nftables_1_beside_999", lambda: nftables(1, 999)
    for size in SIZES:
        yield f"nftables_{size}", lambda size=size: nftables(size)
        for backend in Backend:
            yield f"iptables_{backend}_{size}", lambda b=backend, size=size: iptables(b, size)


def report(name: str, value: float, unit: str) -> None:
    print(json.dumps({"name": name, "value": round(value, 3), "unit": unit}), flush=True)


def measure(pairs: Sequence[Pair]) -> None:
    for what, (work, unit) in WHAT.items():
        found: dict[str, list[float]] = {one.title: [] for one in pairs}
        for number in range(ROUNDS):
            for one in pairs if number % 2 else reversed(pairs):
                found[one.title].append(work(one))
        for title, values in found.items():
            report(f"{what}_{title}", statistics.median(values), unit)
        for title in found:
            for other in ("no_policy", "tracked_only", "nftables_1"):
                if title.startswith("nftables") and title != other:
                    ratio = statistics.median(
                        mine / its for mine, its in zip(found[title], found[other], strict=True)
                    )
                    report(f"{what}_{title}_against_{other}", ratio, "times")


def main() -> None:
    os.sched_setaffinity(0, os.sched_getaffinity(0))
    before = os.sched_getaffinity(0)
    with ExitStack() as opened:
        pairs = [opened.enter_context(pair(title, write)) for title, write in variants()]
        os.sched_setaffinity(0, {min(before)})
        measure(pairs)


if __name__ == "__main__":
    if os.geteuid():
        sys.exit("bench.dataplane_packets: run it as root")
    main()
