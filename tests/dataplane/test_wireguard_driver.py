"""WireGuard between two namespaces: encrypted on the wire, dropped where it can't be, rotated."""

import os
import shutil
import signal
import socket
import subprocess
import threading
import time
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, suppress
from pathlib import Path

import pytest
from msgspec.structs import replace

from tortie.agent.wireguard import WireguardMetrics
from tortie.dataplane.routes import RouteDriver, RouteSettings
from tortie.dataplane.wireguard import Keys, WireguardDriver, WireguardSettings, process, public_key
from tortie.dataplane.wireguard.device import found
from tortie.dataplane.wireguard.kernel import set_threaded
from tortie.dataplane.wireguard.keys import new_key
from tortie.dataplane.wireguard.silence import Silence, Waits
from tortie.engine.delta import Delta, Host, Pool, Route, RouteKind, WireguardEnd
from tortie.linux import namespaces, sysctl
from tortie.linux.links import Links
from tortie.linux.netlink.rtnetlink import RTN_BLACKHOLE, RTN_THROW, RTN_UNICAST
from tortie.linux.netlink.sockets import NetlinkSocket
from tortie.linux.routes import Routes
from tortie.linux.rules import Rules
from tortie.linux.wguapi import NoAnswer
from tortie.net import Prefix, format_address, parse_network, parse_prefix
from tortie.policy.program import Endpoint, EndpointId
from vm.features import missing

pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(
        shutil.which("wireguard-go") is None and bool(missing(("wireguard",))),
        reason="needs wireguard-go (Debian's package), or WireGuard in the kernel",
    ),
]
NO_DAD = 0x02
FAMILY = {4: socket.AF_INET, 6: socket.AF_INET6}
in_kernel_too = pytest.mark.vm  # in the virtual machine it is the kernel's own device


class Node:
    """A namespace with its underlay on eth0, routes and WireGuard at work in it."""

    def __init__(
        self, number: int, version: int, run_dir: Path, encrypts_hosts: bool = False
    ) -> None:
        self.number, self.version = number, version
        self.label = f"n{number}"
        self.name = f"tortie-wg{number}-{os.getpid()}"
        self.path = namespaces.create_named(self.name)
        with namespaces.in_namespace(self.path):
            self.socket = NetlinkSocket()
            for name in ("all", "default"):  # else IPv6 waits a second or two for a quarrel
                sysctl.write(sysctl.interface(6, name, "accept_dad"), "0")
        self.links, self.routes_in_kernel = Links(self.socket), Routes(self.socket)
        self.settings = WireguardSettings(
            node=self.label,
            run_dir=run_dir / self.label,
            enabled=True,
            version=version,
            device="wireguard.cali" if version == 4 else "wg-v6.cali",
            encrypts_hosts=encrypts_hosts,
        )
        self.told: dict[int, str] = {}
        self.driver = WireguardDriver(self.settings, self.told.__setitem__)
        self.routes = RouteDriver(RouteSettings(programs_plain=True))

    @property
    def main(self) -> str:
        return f"172.16.1.{self.number}/24" if self.version == 4 else f"fd00:1::{self.number}/64"

    @property
    def block(self) -> Prefix:
        text = f"10.65.{self.number}.0/26" if self.version == 4 else f"fd00:65:{self.number}::/122"
        return parse_network(text)

    @property
    def pod(self) -> str:
        return f"10.65.{self.number}.2" if self.version == 4 else f"fd00:65:{self.number}::2"

    def underlay(self) -> None:
        self.links.add_address("eth0", parse_prefix(self.main), flags=NO_DAD)
        self.links.add_address("lo", parse_prefix(self.pod), flags=NO_DAD)
        for name in ("eth0", "lo"):
            self.links.set_up(name)
        with namespaces.in_namespace(self.path):
            for name in ("all", "default", "eth0"):
                sysctl.write(sysctl.interface(4, name, "rp_filter"), "1")

    def host(self, key: str = "") -> Host:
        end = WireguardEnd(key or self.told[self.version]) if self.told or key else None
        main = parse_prefix(self.main)
        if self.version == 4:
            return Host(self.label, ipv4=main, wireguard=end)
        return Host(self.label, ipv6=main, wireguard_v6=end)

    def route(self) -> Route:
        gateway = parse_prefix(self.main).address
        return Route(self.block, RouteKind.PLAIN, gateway, self.label)

    def apply(self, delta: Delta) -> None:
        with namespaces.in_namespace(self.path):
            assert self.driver.apply(delta).failed == ()
            assert self.routes.apply(delta).failed == ()

    def knows(self, *others: "Node") -> None:
        """Have it know all that these nodes publish now, itself too."""
        self.apply(
            Delta(
                hosts={one.label: one.host() for one in (self, *others)},
                routes={one.block: one.route() for one in others},
            )
        )

    def table(self) -> dict[str, set[int]]:
        found: dict[str, set[int]] = {}
        for route in self.routes_in_kernel.list(self.version, table=self.settings.table):
            found.setdefault(str(route.destination), set()).add(route.type)
        return found

    def rules(self) -> list[int]:
        found = Rules(self.socket).list(self.version)
        return [rule.priority for rule in found if rule.table == self.settings.table]

    def udp(self, stack: ExitStack) -> socket.socket:
        with namespaces.in_namespace(self.path):
            found = stack.enter_context(socket.socket(FAMILY[self.version], socket.SOCK_DGRAM))
        found.bind((self.pod, 7000))
        found.settimeout(30)
        return found

    def close(self) -> None:
        for thing in (self.driver, self.routes, self.socket):
            thing.close()
        process.end(self.settings.sockets, self.settings.device)
        namespaces.delete_named(self.name)


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def pair(
    stack: ExitStack, run_dir: Path, version: int = 4, encrypts_hosts: bool = False
) -> tuple[Node, Node]:
    """Two nodes with a wire between them."""
    one, two = (
        stack.enter_context(closing(Node(number, version, run_dir, encrypts_hosts)))
        for number in (1, 2)
    )
    with open(two.path) as far:
        one.links.create_veth("eth0", "eth0", far.fileno())
    for node in (one, two):
        node.underlay()
    for node in (one, two):
        until(lambda node=node: node.links.get("eth0").running, "underlay")
        node.apply(Delta(hosts={node.label: node.host()}))  # its device: now it can publish a key
    return one, two


def connected(
    stack: ExitStack, run_dir: Path, version: int = 4, encrypts_hosts: bool = False
) -> tuple[Node, Node]:
    """Two nodes that know each other."""
    one, two = pair(stack, run_dir, version, encrypts_hosts)
    one.knows(two)
    two.knows(one)
    return one, two


class Wire:
    """All frames that leave a node by its uplink."""

    def __init__(self, node: Node, stack: ExitStack) -> None:
        with namespaces.in_namespace(node.path):
            self._tap = stack.enter_context(
                socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
            )
        self._tap.bind(("eth0", 3))
        self._tap.setblocking(False)

    def frames(self) -> list[bytes]:
        found = []
        while True:
            try:
                found.append(self._tap.recv(65536))
            except BlockingIOError:
                return found


def until(condition: Callable[[], object], what: str) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, f"no {what}"
        time.sleep(0.01)


def meet(client: socket.socket, server: socket.socket) -> None:
    """Return once a packet goes both ways: the first may be lost while neighbours are asked for."""
    patience, deadline = client.gettimeout(), time.monotonic() + 60
    for sock in (client, server):
        sock.settimeout(0.2)
    while True:
        assert time.monotonic() < deadline, "they don't meet"
        with suppress(TimeoutError):
            client.sendto(b"meet", server.getsockname())
            server.recv(100)
            server.sendto(b"met", client.getsockname())
            client.recv(100)
            break
    for sock in (client, server):
        with suppress(TimeoutError):
            while True:  # what came late
                sock.recv(100)
        sock.settimeout(patience)


SECRET = b"nobody on the wire may read this"


@in_kernel_too
@pytest.mark.parametrize("version", [4, 6])
def test_what_goes_between_workloads_is_never_in_clear(
    stack: ExitStack, tmp_path: Path, version: int
) -> None:
    one, two = connected(stack, tmp_path, version)
    wires = [Wire(node, stack) for node in (one, two)]
    client, server = one.udp(stack), two.udp(stack)
    meet(client, server)
    for number in range(50):
        client.sendto(SECRET + b"%d" % number, (two.pod, 7000))
        assert server.recv(100) == SECRET + b"%d" % number
        server.sendto(SECRET, (one.pod, 7000))
        assert client.recv(100) == SECRET
    frames = [frame for wire in wires for frame in wire.frames()]
    port = one.settings.port.to_bytes(2)
    assert sum(port in frame for frame in frames) >= 100
    assert not any(SECRET in frame for frame in frames)


@in_kernel_too
def test_without_its_device_nothing_leaves_in_clear_and_it_comes_back(
    stack: ExitStack, tmp_path: Path
) -> None:
    one, two = connected(stack, tmp_path)
    wire = Wire(one, stack)
    client, server = one.udp(stack), two.udp(stack)
    meet(client, server)
    one.links.delete(one.settings.device)
    for _ in range(20):
        with pytest.raises(OSError, match=r"[Ii]nvalid|unreachable"):
            client.sendto(SECRET, (two.pod, 7000))
    assert not any(SECRET in frame for frame in wire.frames())
    with namespaces.in_namespace(one.path):
        assert one.driver.link_changed(one.settings.device, "gone").failed == ()
    meet(client, server)
    client.sendto(SECRET, (two.pod, 7000))
    assert server.recv(100) == SECRET
    assert not any(SECRET in frame for frame in wire.frames())


def test_a_node_that_takes_no_part_is_reached_in_clear(stack: ExitStack, tmp_path: Path) -> None:
    one, two = pair(stack, tmp_path)
    two.told.clear()
    one.knows(two)
    assert one.table() == {str(two.block): {RTN_THROW}}
    two.driver.configure(WireguardSettings(node="n2", run_dir=two.settings.run_dir))
    with namespaces.in_namespace(two.path):
        two.driver.resync()
        two.routes.apply(Delta(routes={one.block: one.route()}))
    client, server = one.udp(stack), two.udp(stack)
    meet(client, server)
    client.sendto(b"clear", (two.pod, 7000))
    assert server.recv(100) == b"clear"


def test_a_block_that_others_know_before_the_agent_is_not_reached_in_clear(
    stack: ExitStack, tmp_path: Path
) -> None:
    """Of BIRD's, in the main table, while the agent is away or late; and by the default route."""
    one, two = connected(stack, tmp_path)
    pool = parse_network("10.65.0.0/16")
    one.apply(Delta(pools={pool: Pool(pool)}))
    assert one.table()[str(pool)] == {RTN_BLACKHOLE}
    client, server = one.udp(stack), two.udp(stack)
    meet(client, server)
    news, gateway = parse_network("10.65.77.0/26"), parse_prefix(two.main).address
    for destination in (news, parse_network("0.0.0.0/0")):
        with namespaces.in_namespace(one.path):
            words = f"ip route replace {destination} via {format_address(4, gateway)} proto bird"
            subprocess.run(words.split(), check=True)
        wire = Wire(one, stack)
        with pytest.raises(OSError, match=r"[Ii]nvalid|unreachable"):
            client.sendto(SECRET, ("10.65.77.9", 7000))
        assert not any(SECRET in frame for frame in wire.frames())
    one.apply(Delta(routes={news: Route(news, RouteKind.PLAIN, gateway, two.label)}))
    assert one.table()[str(news)] == {RTN_UNICAST, RTN_BLACKHOLE}
    one.apply(Delta(pools_removed=frozenset({pool})))
    assert str(pool) not in one.table()


def test_a_borrowed_address_stays_here_although_its_block_is_elsewhere(
    stack: ExitStack, tmp_path: Path
) -> None:
    one, two = connected(stack, tmp_path)
    found = EndpointId("WorkloadEndpoint", "default", "w")
    lent = parse_prefix("10.65.2.9")
    with namespaces.in_namespace(one.path):
        one.driver.apply(Delta(endpoints={found: Endpoint(found, "calia", (lent,))}))
    assert one.table()["10.65.2.9/32"] == {RTN_THROW}
    with namespaces.in_namespace(one.path):
        one.driver.apply(Delta(endpoints_removed=frozenset({found})))
    assert set(one.table()) == {str(two.block)}


@in_kernel_too
def test_a_new_agent_adopts_everything_and_writes_nothing(stack: ExitStack, tmp_path: Path) -> None:
    one, two = connected(stack, tmp_path)
    client, server = one.udp(stack), two.udp(stack)
    meet(client, server)
    again = stack.enter_context(closing(WireguardDriver(one.settings)))
    again.fold(
        Delta(
            hosts={node.label: node.host() for node in (one, two)},
            routes={two.block: two.route()},
        )
    )
    with namespaces.in_namespace(one.path):
        assert again.resync().failed == ()
    assert again.written == 0
    client.sendto(b"y", (two.pod, 7000))
    assert server.recv(10) == b"y"


def test_a_peer_that_goes_takes_its_routes_along(stack: ExitStack, tmp_path: Path) -> None:
    one, two = connected(stack, tmp_path)
    assert one.table() == {str(two.block): {1, RTN_BLACKHOLE}}
    one.apply(Delta(hosts_removed=frozenset({"n2"}), routes_removed=frozenset({two.block})))
    assert one.table() == {}


@in_kernel_too
def test_switched_off_it_stays_until_others_know_and_then_leaves_nothing(
    stack: ExitStack, tmp_path: Path
) -> None:
    one, two = connected(stack, tmp_path)
    off = WireguardSettings(node="n1", run_dir=one.settings.run_dir)
    one.driver.configure(off)
    with namespaces.in_namespace(one.path):
        assert one.driver.resync().failed == ()
    assert one.rules() == [99]
    withdrawn = Host("n1", ipv4=parse_prefix(one.main))
    with namespaces.in_namespace(one.path):
        assert one.driver.apply(Delta(hosts={"n1": withdrawn})).failed == ()
    assert (one.rules(), one.table()) == ([], {})
    assert one.links.find("wireguard.cali") is None
    assert not one.settings.keys_file.exists()
    until(lambda: not process.record_of(one.settings.sockets, "wireguard.cali").exists(), "end")
    del two


@in_kernel_too
def test_other_tables_and_names_after_a_restart_leave_nothing_of_those_before(
    stack: ExitStack, tmp_path: Path
) -> None:
    one, two = connected(stack, tmp_path)
    former, wire = one.settings, Wire(one, stack)
    beside = replace(former, version=6, device="wg-v6.cali", enabled=False)
    one.driver.close()
    one.settings = replace(
        former, table=45, rule_priority=98, device="wgnew", beside=("wg-v6.cali",)
    )
    one.driver = WireguardDriver(one.settings, one.told.__setitem__)
    other = WireguardDriver(replace(beside, beside=("wgnew",)))
    stack.callback(other.close)
    with namespaces.in_namespace(one.path):
        one.driver.fold(
            Delta(
                hosts={each.label: each.host() for each in (one, two)},
                routes={two.block: two.route()},
            )
        )
        assert one.driver.resync().failed == ()
        assert other.resync().failed == ()
    rules = [each for each in Rules(one.socket).list(4) if each.protocol == former.protocol]
    assert [(each.priority, each.table) for each in rules] == [(98, 45)]
    assert one.routes_in_kernel.list(4, table=former.table) == []
    assert one.links.find(former.device) is None
    assert not process.record_of(former.sockets, former.device).exists()
    client, server = one.udp(stack), two.udp(stack)
    meet(client, server)
    client.sendto(SECRET, (two.pod, 7000))
    assert server.recv(100) == SECRET
    assert not any(SECRET in frame for frame in wire.frames())
    one.driver.close()
    off = WireguardDriver(replace(former, enabled=False))  # the names and tables of before again
    stack.callback(off.close)
    with namespaces.in_namespace(one.path):
        assert off.apply(Delta(hosts={one.label: Host(one.label, ipv4=parse_prefix(one.main))}))
    assert [each for each in Rules(one.socket).list(4) if each.protocol == former.protocol] == []
    for table in (former.table, 45):
        assert one.routes_in_kernel.list(4, table=table) == []
    assert one.links.find("wgnew") is None
    assert list(former.sockets.glob("*.pid")) == []


def stop(pid: int) -> None:
    """Have a process hang: until its last thread is stopped, one of them may still answer."""
    os.kill(pid, signal.SIGSTOP)
    threads = Path(f"/proc/{pid}/task").glob("*/stat")
    states = [lambda at=at: at.read_text().rpartition(")")[2].split()[0] == "T" for at in threads]
    for is_stopped in states:
        until(is_stopped, "stop")


def test_a_wireguard_go_that_hangs_holds_up_little_and_makes_room_for_another(
    stack: ExitStack, tmp_path: Path
) -> None:
    one, two = connected(stack, tmp_path)
    process_file = process.record_of(one.settings.sockets, one.settings.device)
    before = int(process_file.read_text().split()[0])
    now, wire = [0.0], Wire(one, stack)
    silence = Silence(Waits(first=1.0, again=0.1, whole=20.0), lambda: now[0])
    driver = WireguardDriver(one.settings, one.told.__setitem__, silence=silence)
    stack.callback(driver.close)
    known = {one.label: one.host(), two.label: two.host()}
    with namespaces.in_namespace(one.path):
        driver.fold(Delta(hosts=known, routes={two.block: two.route()}))
        assert driver.resync().failed == ()
        stop(before)
        news = parse_network("10.65.77.0/26")
        route = Route(news, RouteKind.PLAIN, parse_prefix(two.main).address, two.label)
        with pytest.raises(NoAnswer, match="wireguard-go does not answer"):
            driver.apply(Delta(routes={news: route}))
        (failure,) = driver.resync().failed
        assert "it is ended, and another one begun" in failure.message
        assert one.table()[str(news)] == {RTN_UNICAST, RTN_BLACKHOLE}  # nothing of it in clear
        assert silence.patience == 0.1
        assert driver.apply(Delta()).failed == (failure,)  # it was not asked
        now[0] = 30.0
        assert driver.resync().failed == ()
    assert int(process_file.read_text().split()[0]) != before
    client, server = one.udp(stack), two.udp(stack)
    meet(client, server)
    client.sendto(SECRET, (two.pod, 7000))
    assert server.recv(100) == SECRET
    assert not any(SECRET in frame for frame in wire.frames())
    assert silence.patience == 1.0


@in_kernel_too
def test_a_new_key_is_used_from_when_it_is_published_and_loses_next_to_nothing(
    stack: ExitStack, tmp_path: Path
) -> None:
    one, two = connected(stack, tmp_path)
    client, server = one.udp(stack), two.udp(stack)
    meet(client, server)
    server.settimeout(0.05)
    before = one.told[4]

    def send(first: int, count: int) -> list[int]:
        got = []
        for number in range(first, first + count):
            client.sendto(b"%d" % number, (two.pod, 7000))
            with suppress(TimeoutError):
                got.append(int(server.recv(20)))
        server.settimeout(2)  # what came late has come
        with suppress(TimeoutError):
            while len(got) < count:
                got.append(int(server.recv(20)))
        return got

    renewed = Keys(one.settings.keys_file).rotate()
    assert renewed != before
    for node in (two, one):  # as both see the Node
        node.apply(Delta(hosts={"n1": one.host(renewed)}))
    got = send(100, 100)
    assert len(got) >= 95, got
    assert one.told[4] == renewed
    assert public_key(Keys(one.settings.keys_file).newest) == renewed


def test_keys_are_for_root_alone_and_never_shown(tmp_path: Path) -> None:
    path = tmp_path / "run" / "wireguard.key"
    keys = Keys(path)
    made = keys.newest
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert b64encode(made.secret).decode() not in f"{made!r} {made} {keys!r}"
    assert Keys(path).newest == made
    path.write_text("not a key\n")
    with pytest.raises(ValueError, match="remove it") as error:
        Keys(path)
    assert "not a key" not in str(error.value)


def test_public_keys_are_those_that_wg_makes() -> None:
    wg = shutil.which("wg")
    if wg is None:
        pytest.skip("needs wg (Debian's package wireguard-tools)")
    key = new_key()
    done = subprocess.run(
        [wg, "pubkey"], input=b64encode(key.secret), capture_output=True, check=True
    )
    assert done.stdout.decode().strip() == public_key(key)


def test_a_rule_sends_all_but_its_own_packets_to_the_table(
    stack: ExitStack, tmp_path: Path
) -> None:
    one, _ = connected(stack, tmp_path)
    shown = subprocess.run(
        ["nsenter", f"--net={one.path}", "ip", "rule"], capture_output=True, text=True, check=True
    )
    assert "99:\tfrom all fwmark 0/0x100000 lookup 1" in shown.stdout.replace("\t", "\t")


@in_kernel_too
@pytest.mark.parametrize("version", [4, 6])
def test_nodes_themselves_are_encrypted_where_that_is_wanted(
    stack: ExitStack, tmp_path: Path, version: int
) -> None:
    one, two = connected(stack, tmp_path, version, encrypts_hosts=True)
    wire = Wire(one, stack)
    sockets = []
    for node in (one, two):
        with namespaces.in_namespace(node.path):
            made = stack.enter_context(socket.socket(FAMILY[version], socket.SOCK_DGRAM))
        made.settimeout(30)
        made.bind((node.main.partition("/")[0], 7001))
        sockets.append(made)
    meet(*sockets)
    sockets[0].sendto(SECRET, sockets[1].getsockname())
    heard, source = sockets[1].recvfrom(100)
    assert (heard, source[0]) == (SECRET, one.main.partition("/")[0])
    assert not any(SECRET in frame for frame in wire.frames())


def test_a_node_without_any_wireguard_says_so_and_publishes_nothing(
    stack: ExitStack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not missing(("wireguard",)):
        pytest.skip("this kernel has WireGuard")
    one = stack.enter_context(closing(Node(1, 4, tmp_path)))
    one.links.create_veth("eth0", "far0")
    one.underlay()
    monkeypatch.setenv("PATH", "/nonexistent")
    with namespaces.in_namespace(one.path):
        [failure] = one.driver.apply(Delta(hosts={"n1": one.host()})).failed
    assert "modprobe wireguard" in failure.message
    assert "install wireguard-go" in failure.message
    assert one.told == {}
    assert one.rules() == []


def test_an_interface_of_that_name_that_is_somebodys_is_left_alone(
    stack: ExitStack, tmp_path: Path
) -> None:
    one = stack.enter_context(closing(Node(1, 4, tmp_path)))
    one.links.create_veth("eth0", "far0")
    one.links.create_bridge("wireguard.cali")
    one.underlay()
    with namespaces.in_namespace(one.path):
        [failure] = one.driver.apply(Delta(hosts={"n1": one.host()})).failed
    assert "rename it" in failure.message
    assert one.links.get("wireguard.cali").kind == "bridge"


def test_an_ip_version_without_an_address_is_no_failure(stack: ExitStack, tmp_path: Path) -> None:
    one = stack.enter_context(closing(Node(1, 6, tmp_path)))
    delta = Delta(hosts={"n1": Host("n1", ipv4=parse_prefix("172.16.1.1/24"))})
    with namespaces.in_namespace(one.path):
        assert one.driver.apply(delta).failed == ()
    assert one.links.find("wg-v6.cali") is None


def test_threads_are_not_switched_for_another_namespaces_device() -> None:
    assert not set_threaded("lo", 1 << 20, True)
    assert set_threaded("lo", 1 << 20, False)


@in_kernel_too
def test_a_peer_that_gains_and_loses_blocks_loses_no_packet(
    stack: ExitStack, tmp_path: Path
) -> None:
    """It has thousands: whoever takes them away to write them anew is without them for long."""
    one, two = connected(stack, tmp_path)
    gateway = parse_prefix(two.main).address
    blocks = [Prefix(4, 0x0A010000 + 64 * n, 26) for n in range(3010)]
    routes = {one: Route(one, RouteKind.PLAIN, gateway, two.label) for one in blocks}
    one.apply(Delta(routes={block: routes[block] for block in blocks[:3000]}))
    client, server = one.udp(stack), two.udp(stack)
    meet(client, server)
    done = threading.Event()
    sent: list[int] = []

    def send() -> None:
        while not done.wait(0.001):
            sent.append(len(sent))
            with suppress(OSError):  # no peer is allowed it now
                client.sendto(b"%d" % sent[-1], (two.pod, 7000))

    sending = threading.Thread(target=send)
    sending.start()
    try:
        for block in blocks[3000:]:
            one.apply(Delta(routes={block: routes[block]}))
        for block in blocks[3000:]:
            one.apply(Delta(routes_removed=frozenset({block})))
    finally:
        done.set()
        sending.join()
    server.settimeout(5)
    got: set[int] = set()
    with suppress(TimeoutError):
        while len(got) < len(sent):
            got.add(int(server.recv(20)))
    assert len(sent) - len(got) <= 2
    with namespaces.in_namespace(one.path):
        device = found(one.settings, one.links)
        assert device is not None
        with closing(device):
            [peer] = device.read().peers.values()
    assert peer.allowed == {*blocks[:3000], two.block}


@in_kernel_too
@pytest.mark.parametrize("version", [4, 6])
def test_metrics_tell_of_the_device_and_of_its_peers(
    stack: ExitStack, tmp_path: Path, version: int
) -> None:
    one, two = connected(stack, tmp_path, version)
    client, server = one.udp(stack), two.udp(stack)
    meet(client, server)
    metrics = WireguardMetrics("n1", lambda: [one.settings])
    with namespaces.in_namespace(one.path):
        found = {sample.name: sample for each in metrics.collect() for sample in each.samples}
    own = {"hostname": "n1", "public_key": one.told[version]}
    port = str(one.settings.port)
    assert found["wireguard_meta"].labels == {
        **own,
        "iface": one.settings.device,
        "listen_port": port,
    }
    far = f"172.16.1.2:{port}" if version == 4 else f"[fd00:1::2]:{port}"
    peer = {**own, "peer_key": two.told[version], "peer_endpoint": far}
    for name in ("latest_handshake_seconds", "bytes_rcvd", "bytes_sent"):
        sample = found.pop(f"wireguard_{name}")
        assert sample.labels == peer
        assert sample.value > 0


def test_metrics_of_a_node_without_a_device_are_silent(stack: ExitStack, tmp_path: Path) -> None:
    node = stack.enter_context(closing(Node(1, 4, tmp_path)))
    metrics = WireguardMetrics("n1", lambda: [node.settings])
    with namespaces.in_namespace(node.path):
        assert list(metrics.collect()) == []
        node.links.create_veth(node.settings.device, "far0")  # somebody else's of that name
        assert list(metrics.collect()) == []
