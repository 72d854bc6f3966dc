"""What passes between two nodes: tried for real, answered only to who has the key."""

import itertools
import json
import os
import secrets
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tortie.linux.links import Links
from tortie.linux.namespaces import create_named, delete_named, in_namespace
from tortie.linux.netlink.rtaddress import IFA_F_NODAD
from tortie.linux.netlink.rtlink import Vxlan
from tortie.linux.netlink.sockets import NetlinkSocket
from tortie.net import parse_prefix
from tortie.requirements.peer import listening, packets, sealing
from tortie.requirements.peer.answers import WAYS, Passed, PeerReport, Way
from tortie.requirements.peer.asking import ask_peer, between, judge
from tortie.requirements.peer.listening import Listener
from tortie.requirements.peer.sealing import NotTrusted, Seal, Side

KEY = b"0123456789abcdef-key"
V4, V6 = "10.9.0.2", "fd00:9::2"
_NUMBERS = itertools.count(1)


def pair(key: bytes = KEY, other: bytes = KEY) -> tuple[Seal, Seal]:
    nonces = sealing.nonces(sealing.greeting(), sealing.answer())
    return Seal(key, Side.LISTENER, nonces), Seal(other, Side.ASKER, nonces)


@given(st.lists(st.dictionaries(st.text(max_size=5), st.integers()), max_size=4))
def test_both_sides_understand_each_other(bodies: list[dict[str, Any]]) -> None:
    listener, asker = pair()
    for body in bodies:
        assert listener.open(asker.seal(body)) == body
        assert asker.open(listener.seal(body)) == body


def test_another_key_is_not_trusted() -> None:
    listener, asker = pair(other=b"another-key-of-16-bytes")
    with pytest.raises(NotTrusted, match="another key"):
        listener.open(asker.seal({"do": "listen"}))


def test_a_line_counts_once_and_in_one_direction() -> None:
    listener, asker = pair()
    line = asker.seal({"do": "arrived"})
    listener.open(line)
    with pytest.raises(NotTrusted):
        listener.open(line)
    with pytest.raises(NotTrusted):
        asker.open(line)


def test_a_line_of_another_conversation_is_not_trusted() -> None:
    _, asker = pair()
    listener, _ = pair()
    with pytest.raises(NotTrusted):
        listener.open(asker.seal({}))


@given(st.binary(max_size=300))
def test_whatever_a_stranger_sends_is_not_trusted(line: bytes) -> None:
    listener, _ = pair()
    with pytest.raises(NotTrusted):
        listener.open(line)
    with pytest.raises(NotTrusted):
        sealing.nonces(line, sealing.answer())
    with pytest.raises(NotTrusted):
        sealing.nonces(sealing.greeting(), line)


def test_a_short_key_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 16"):
        sealing.read_key("secret\n")
    assert sealing.read_key(f" {sealing.new_key()}\n")


@given(st.binary(max_size=64), st.integers(0, 65535), st.binary(max_size=64))
def test_a_test_is_found_in_any_packet(before: bytes, size: int, after: bytes) -> None:
    token = secrets.token_bytes(packets.TOKEN)
    assert packets.size_in(before + packets.payload(token, size) + after, token) == size
    assert packets.size_in(before + after, token) is None


@given(st.integers(64, 9000), st.sampled_from([4, 6]))
def test_a_packet_has_the_size_that_it_tells(size: int, version: int) -> None:
    token = bytes(packets.TOKEN)
    size = max(size, packets.smallest(version))
    data = packets.padded(token, size, version)
    assert len(data) + packets.HEADERS[version] == size
    assert packets.size_in(data, token) == size


def test_what_travels_in_ip_in_ip_goes_nowhere_else() -> None:
    packet = packets.inner(bytes(packets.TOKEN))
    assert packet[8] == 1  # no life left
    assert socket.inet_ntoa(packet[16:20]) == "127.0.0.1"
    words = sum(int.from_bytes(packet[at : at + 2]) for at in range(0, 20, 2))
    assert (words & 0xFFFF) + (words >> 16) == 0xFFFF  # its checksum holds


def mtu_found(limit: int, sizes: list[int]) -> int:
    """Narrow down as the asker does, over a path that carries so much."""
    best = 0
    for _ in range(10):
        best = max((size for size in sizes if size <= limit), default=best)
        sizes = between(best, sizes)
        if not sizes:
            return best
    raise AssertionError("it never ends")


@given(st.integers(600, 9000))
def test_the_largest_packet_is_found_to_the_byte(limit: int) -> None:
    assert mtu_found(limit, [576, 1000, 1280, 1500, 4000, 9001]) == limit


@pytest.mark.parametrize(
    ("state", "sent", "arrived", "passed"),
    [
        ("ready", "sent", True, Passed(True)),
        ("ready", "sent", False, Passed(False)),
        ("ready", "connected", False, Passed(False)),
        ("ready", "nobody answers", False, Passed(False, "nobody answers")),
        ("ready", "no right to send it", False, Passed(False, "no right to send it", known=False)),
        ("in use", "connected", False, Passed(True)),
        ("in use", "nobody answers", False, Passed(False, "nobody answers")),
        ("no right to", "sent", False, Passed(False, "no right to", known=False)),
    ],
)
def test_what_came_of_a_test(state: str, sent: str, arrived: bool, passed: Passed) -> None:
    assert judge(state, sent, arrived) == passed


# With real packets


class Nodes:
    """Two namespaces on one wire, with a listener in the second."""

    def __init__(self) -> None:
        number = next(_NUMBERS)
        self.names = [f"peer{os.getpid()}-{number}{letter}" for letter in "ab"]
        self.paths = [create_named(name) for name in self.names]
        handles = [os.open(path, os.O_RDONLY) for path in self.paths]
        with in_namespace(self.paths[0]), closing(NetlinkSocket()) as sock:
            Links(sock).create_veth("eth0", "eth0", handles[1], netns=handles[0])
        for handle in handles:
            os.close(handle)
        for path, number in zip(self.paths, (1, 2), strict=True):
            with in_namespace(path), closing(NetlinkSocket()) as sock:
                own6 = parse_prefix(f"fd00:9::{number}/64")
                Links(sock).add_address("eth0", parse_prefix(f"10.9.0.{number}/24"))
                Links(sock).add_address("eth0", own6, flags=IFA_F_NODAD)  # good at once
                Links(sock).set_up("eth0")
                Links(sock).set_up("lo")

    def nft(self, which: int, rule: str, family: str = "ip") -> None:
        text = (
            f"add table {family} t\n"
            f"add chain {family} t c {{ type filter hook input priority 0; }}\n"
            f"add rule {family} t c {rule}\n"
        )
        with in_namespace(self.paths[which]):
            subprocess.run(["nft", "-f", "-"], input=text, text=True, check=True)

    @contextmanager
    def listening(self, address: str = V4) -> Iterator[Listener]:
        with in_namespace(self.paths[1]):
            listener = Listener(address, 5483, KEY)

        def serve() -> None:
            with in_namespace(self.paths[1]):  # the threads that it starts are there, too
                listener.serve(60)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield listener
        finally:
            listener.close()
            thread.join()

    def ask(self, key: bytes = KEY, address: str = V4) -> PeerReport:
        with in_namespace(self.paths[0]):
            return ask_peer(address, 5483, key)

    def delete(self) -> None:
        for name in self.names:
            delete_named(name)


@pytest.fixture
def nodes() -> Iterator[Nodes]:
    made = Nodes()
    yield made
    made.delete()


BGP, IPIP, VXLAN = Way("P1", "tcp", 179), Way("P2", "ip", 4), Way("P3", "udp", 4789)
WIREGUARD, ETCD = Way("P5", "udp", 51820), Way("P9", "tcp", 2379)


@pytest.mark.root
def test_everything_passes_where_nothing_is_denied(nodes: Nodes) -> None:
    with nodes.listening():
        report = nodes.ask()
    assert report.problem == ""
    assert {way for way in WAYS if not report.there[way].arrived} == set()
    assert {way for way in WAYS if not report.back[way].arrived} == set()
    assert (report.path_mtu, report.link_mtu) == (1500, 1500)


@pytest.mark.root
def test_what_a_firewall_drops_is_told_by_direction(nodes: Nodes) -> None:
    nodes.nft(1, "tcp dport 179 drop")
    nodes.nft(1, "udp dport 51820 drop")
    nodes.nft(1, "tcp dport 2379 reject with tcp reset")
    nodes.nft(0, "ip protocol 4 drop")
    nodes.nft(0, "udp dport 4789 drop")
    with nodes.listening():
        report = nodes.ask()
    assert {way for way in WAYS if not report.there[way].arrived} == {BGP, WIREGUARD, ETCD}
    assert {way for way in WAYS if not report.back[way].arrived} == {IPIP, VXLAN}
    assert report.there[BGP].words == "nobody answers"
    assert report.there[ETCD].words == "connection refused"


@pytest.mark.root
def test_ports_of_daemons_pass_if_they_answer(nodes: Nodes) -> None:
    """BGP's has a daemon, VXLAN's the kernel, on both sides."""
    daemons = []
    for path, address in zip(nodes.paths, ("10.9.0.1", "10.9.0.2"), strict=True):
        with in_namespace(path), closing(NetlinkSocket()) as sock:
            daemons.append(socket.create_server((address, 179)))
            Links(sock).create_vxlan("vxlan.calico", Vxlan(vni=4096, port=4789))
            Links(sock).set_up("vxlan.calico")
    try:
        with nodes.listening():
            report = nodes.ask()
            nodes.nft(1, "udp dport 4789 drop")
            nodes.nft(1, "tcp dport 179 drop")
            after = nodes.ask()
    finally:
        for one in daemons:
            one.close()
    for way in (BGP, VXLAN):
        assert (report.there[way], report.back[way]) == (Passed(True), Passed(True))
        assert not after.there[way].arrived
        assert after.back[way].arrived


@pytest.mark.root
def test_between_addresses_of_ipv6(nodes: Nodes) -> None:
    for path in nodes.paths:
        with in_namespace(path), closing(NetlinkSocket()) as sock:
            Links(sock).create_vxlan("vxlan.calico", Vxlan(vni=4096, port=4789))
            Links(sock).set_up("vxlan.calico")
    nodes.nft(1, "meta l4proto tcp tcp dport 179 drop", "ip6")
    with nodes.listening(V6):
        report = nodes.ask(address=V6)
    assert {way for way in WAYS if not report.there[way].arrived} == {BGP, IPIP}
    assert {way for way in WAYS if not report.back[way].arrived} == {IPIP}
    assert report.back[IPIP] == Passed(False, "only between addresses of ipv4", known=False)
    assert (report.path_mtu, report.link_mtu) == (1500, 1500)


@pytest.mark.root
def test_a_path_that_carries_less_is_found(nodes: Nodes) -> None:
    """Packets above it vanish, as behind a tunnel of a provider's."""
    nodes.nft(1, "meta length > 1437 drop")
    with nodes.listening():
        report = nodes.ask()
    assert (report.path_mtu, report.link_mtu) == (1437, 1500)


@pytest.mark.root
def test_another_key_learns_nothing(nodes: Nodes) -> None:
    with nodes.listening():
        report = nodes.ask(b"another-key-of-16-bytes")
        assert "its key is another one" in report.problem
        assert nodes.ask().problem == ""  # and the listener goes on


@pytest.mark.root
def test_nobody_there_is_told(nodes: Nodes) -> None:
    assert "nobody listens at 10.9.0.2, TCP 5483" in nodes.ask().problem


STRANGERS = [b"", b"\n", b"x" * 40000, b"GET / HTTP/1.1\r\n\r\n", bytes(range(256)) * 20]


@pytest.mark.root
def test_strangers_get_a_nonce_and_nothing_else(nodes: Nodes) -> None:
    with nodes.listening(), in_namespace(nodes.paths[0]):
        for sent in STRANGERS:
            with socket.create_connection(("10.9.0.2", 5483), timeout=20) as stranger:
                with suppress(OSError):
                    stranger.sendall(sent)
                    stranger.shutdown(socket.SHUT_WR)
                got = b""
                with suppress(ConnectionResetError):
                    while data := stranger.recv(4096):
                        got += data
                assert got.startswith(sealing.GREETING)
                assert got.count(b"\n") == 1


@pytest.mark.root
def test_who_speaks_slowly_is_cut_off(nodes: Nodes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listening, "_STRANGERS", 0.3)
    with nodes.listening(), in_namespace(nodes.paths[0]):
        strangers = [socket.create_connection(("10.9.0.2", 5483), timeout=20) for _ in range(4)]
        for one in strangers:
            with suppress(OSError):
                while one.recv(4096):  # the greeting, then the end: nothing was said
                    pass
            one.close()
        monkeypatch.undo()
        assert nodes.ask().problem == ""  # there is room again


class Asker:
    """Who has the key, and asks what it likes."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection, self._lines = connection, connection.makefile("rb")
        answered = sealing.answer()
        self._seal = Seal(KEY, Side.ASKER, sealing.nonces(self._lines.readline(), answered))
        connection.sendall(answered)

    def ask(self, **question: Any) -> dict[str, Any] | None:
        self._connection.sendall(self._seal.seal(question))
        line = self._lines.readline()
        return self._seal.open(line) if line else None


@pytest.mark.root
@pytest.mark.parametrize(
    "question",
    [
        {"do": "listen", "tests": [["P1", "tcp", 22]], "token": "00" * 16},
        {"do": "send", "tests": [["", "udp", 53]], "token": "00" * 16},
        {"do": "send", "tests": [["P2", "ip", 1]], "token": "00" * 16},
        {"do": "listen", "tests": [["P1", "tcp", 179]], "token": "00"},
        {"do": "run", "tests": [], "command": "id"},
        {"do": "arrived", "tests": []},
        {"tests": 7},
        {},
    ],
)
def test_who_has_the_key_can_ask_for_nothing_but_the_rows(
    nodes: Nodes, question: dict[str, Any]
) -> None:
    with (
        nodes.listening(),
        in_namespace(nodes.paths[0]),
        socket.create_connection(("10.9.0.2", 5483), timeout=20) as connection,
    ):
        assert Asker(connection).ask(**question) is None


@pytest.mark.root
def test_the_command_does_it_all(nodes: Nodes) -> None:
    nodes.nft(1, "tcp dport 179 drop")
    tortie = [sys.executable, "-m", "tortie.cli", "node", "check"]
    inside = [["nsenter", f"--net={path}"] for path in nodes.paths]
    command = [*inside[1], *tortie, "--listen", "--bind", "10.9.0.2", "--seconds", "60"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as listener:
        assert listener.stdout is not None
        try:
            assert "listening at 10.9.0.2, TCP 5483" in listener.stdout.readline()
            key = listener.stdout.readline().split("=", 1)[1].split()[0]
            asking = [*inside[0], *tortie, "--encap", "vxlan,bgp", "--peer", "10.9.0.2"]
            done = subprocess.run(
                [*asking, "-o", "json", "--datastore", "memory:"],
                env={**os.environ, "TORTIE_CHECK_KEY": key},
                capture_output=True,
                text=True,
                timeout=60,
                check=False,
            )
            assert "10.9.0.1: tested" in listener.stdout.readline()
        finally:
            listener.kill()
    assert done.returncode == 1, done.stderr
    rows = {(one["row"], one["what"]): one for one in json.loads(done.stdout)["rows"]}
    assert rows["P1", "BGP"]["verdict"] == "missing"
    assert rows["P3", "VXLAN"]["found"] == "UDP 4789 passes both ways with 10.9.0.2"
    assert rows["S3", "path's MTU"]["verdict"] == "ok"
