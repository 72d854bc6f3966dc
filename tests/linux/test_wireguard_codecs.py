"""WireGuard's devices as messages: what is built is what is read, whoever holds the device."""

import socket
import struct
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strategies.net import prefixes
from tortie.linux import wguapi
from tortie.linux.netlink.genetlink import build
from tortie.linux.netlink.wgnetlink import build_set, parse_device
from tortie.linux.netlink.wire import MalformedMessage, Message, attribute, nested
from tortie.linux.wireguard import (
    Device,
    DeviceChange,
    Endpoint,
    Peer,
    PeerChange,
    PrivateKey,
    differences,
)
from tortie.net import Prefix, parse_network, parse_prefix

KEYS = st.binary(min_size=32, max_size=32)
NETWORKS = prefixes().map(lambda prefix: prefix.network)
ENDPOINTS = st.builds(
    Endpoint,
    st.sampled_from([parse_prefix("172.16.1.9"), parse_prefix("fd00:1::9")]),
    st.integers(1, 65535),
)
PEERS = st.builds(
    Peer,
    public_key=KEYS,
    endpoint=ENDPOINTS,
    keepalive=st.integers(0, 65535),
    allowed=st.frozensets(NETWORKS, max_size=5),
    handshake=st.just(0),
    received=st.just(0),
    sent=st.just(0),
)


def by_key(peers: list[Peer]) -> Mapping[bytes, Peer]:
    return {peer.public_key: peer for peer in peers}


DEVICES = st.builds(
    Device,
    private_key=KEYS.map(PrivateKey),
    port=st.integers(1, 65535),
    mark=st.integers(1, 2**32 - 1),
    peers=st.lists(PEERS, max_size=4).map(by_key),
)


def through_kernel(change: DeviceChange) -> Device:
    """What a kernel would hold and tell, that was told this."""
    payloads = build_set("wg0", change)
    return parse_device(Message(20, 0, 1, 0, payload) for payload in payloads)


def through_text(change: DeviceChange) -> Device:
    """Likewise of wireguard-go."""
    lines = wguapi.build_set(change).splitlines()[1:]
    return wguapi.parse_device("\n".join(lines))


@given(DEVICES)
def test_what_is_written_is_what_is_read(device: Device) -> None:
    change = differences(Device(), device)
    assert through_kernel(change) == device
    assert through_text(change) == device


@given(DEVICES)
def test_an_equal_device_is_not_written(device: Device) -> None:
    assert not differences(device, device)


class Model:
    """A device as the kernel has it: each prefix is one peer's, the last one's who was given it."""

    def __init__(self, device: Device) -> None:
        self.peers = {key: (peer.endpoint, peer.keepalive) for key, peer in device.peers.items()}
        self.owner = {one: key for key, peer in device.peers.items() for one in peer.allowed}

    def change(self, change: PeerChange) -> None:
        key = change.public_key
        if change.gone or change.allowed is not None:
            self.owner = {one: whose for one, whose in self.owner.items() if whose != key}
        if change.gone:
            del self.peers[key]
            return
        endpoint, keepalive = self.peers.get(key, (None, 0))
        self.peers[key] = (
            endpoint if change.endpoint is None else change.endpoint,
            keepalive if change.keepalive is None else change.keepalive,
        )
        given = (change.allowed or frozenset()) | change.added
        self.owner.update(dict.fromkeys(given, key))

    def device(self, key: PrivateKey | None = None) -> Device:
        """What it tells when it is read."""
        owned = {
            key: frozenset(one for one, whose in self.owner.items() if whose == key)
            for key in self.peers
        }
        return Device(
            key, peers={key: Peer(key, *rest, owned[key]) for key, rest in self.peers.items()}
        )


FEW = st.builds(  # so few keys and prefixes that peers meet
    Peer,
    public_key=st.sampled_from([bytes([n]) * 32 for n in range(4)]),
    endpoint=ENDPOINTS,
    keepalive=st.integers(0, 2),
    allowed=st.frozensets(st.sampled_from([Prefix(4, n << 8, 24) for n in range(6)])),
)
CROWDS = st.lists(FEW, max_size=5).map(lambda peers: Device(peers=by_key(peers)))


@given(CROWDS | DEVICES, CROWDS | DEVICES)
def test_the_differences_lead_from_one_to_the_other(before: Device, after: Device) -> None:
    """Of what two peers are allowed one has it, for who reads what there was and for who knows."""
    for known in (Model(before).device(), before):
        model = Model(before)
        for each in differences(known, after).peers:
            model.change(each)
        assert model.peers == Model(after).peers
        assert model.owner.keys() == Model(after).owner.keys()
        assert all(one in after.peers[key].allowed for one, key in model.owner.items())


@given(CROWDS | DEVICES, CROWDS | DEVICES)
def test_a_prefix_that_stays_with_its_peer_is_never_without_it(
    before: Device, after: Device
) -> None:
    """Nor is one that moves ever nobody's, but for the one that nobody is allowed then."""
    model = Model(before)
    held, ends = dict(model.owner), Model(after).owner
    claims = Counter(one for peer in after.peers.values() for one in peer.allowed)
    for each in differences(model.device(), after).peers:
        model.change(each)
        for one in held.keys() & ends.keys():
            assert one in model.owner
            if held[one] == ends[one] and claims[one] == 1:
                assert model.owner[one] == held[one]


def test_a_peer_with_thousands_of_prefixes_goes_in_pieces() -> None:
    allowed = frozenset(Prefix(4, 0x0A000000 + 64 * n, 26) for n in range(5000))
    peers = [PeerChange(bytes([n]) * 32, allowed=allowed) for n in range(3)]
    payloads = build_set("wg0", DeviceChange(port=1, peers=peers))
    assert len(payloads) > 3
    assert all(len(payload) < 65000 for payload in payloads)
    found = parse_device(Message(20, 0, 1, 0, payload) for payload in payloads)
    assert [peer.allowed for peer in found.peers.values()] == [allowed] * 3


@pytest.mark.parametrize("payload", [b"", b"\0\1", b"\0\1\0\0\x0c\x00\x08\x80\x08\x00\x00\x80\x01"])
def test_bytes_that_are_no_device_are_refused(payload: bytes) -> None:
    with pytest.raises(MalformedMessage):
        parse_device([Message(20, 0, 1, 0, payload)])


def test_a_private_key_is_never_shown() -> None:
    key = PrivateKey(b"\x42" * 32)
    device = Device(private_key=key, peers={})
    change = DeviceChange(private_key=key)
    for text in (repr(key), str(key), repr(device), repr(change)):
        assert "42" not in text
        assert "BBBB" not in text


def test_a_key_of_another_length_is_refused() -> None:
    with pytest.raises(ValueError, match="32 bytes, not 31"):
        PrivateKey(b"x" * 31)


def test_words_of_later_versions_are_passed_over() -> None:
    found = wguapi.parse_device(
        "listen_port=5\nnew_word=1\npublic_key=" + "ab" * 32 + "\nother=2\nallowed_ip=10.0.0.0/8\n"
    )
    assert found.port == 5
    assert found.peers[b"\xab" * 32].allowed == {parse_network("10.0.0.0/8")}


def test_of_a_key_the_bits_that_all_keys_share_are_as_devices_give_them_back() -> None:
    """Else each look would find another key than was written, and write it again."""
    assert PrivateKey(b"\xff" * 32) == PrivateKey(b"\xf8" + b"\xff" * 30 + b"\x7f")
    assert PrivateKey(bytes(32)).secret == bytes(31) + b"\x40"


def test_what_a_peer_has_sent_and_when_it_agreed_on_keys() -> None:
    told = nested(
        0,
        attribute(1, bytes([7]) * 32),
        attribute(6, struct.pack("=qq", 1_700_000_000, 999_999_999)),
        attribute(7, struct.pack("=Q", 12)),
        attribute(8, struct.pack("=Q", 34)),
    )
    payload = build(0, 1, attribute(6, struct.pack("=H", 51820)), nested(8, told))
    [peer] = parse_device([Message(20, 0, 1, 0, payload)]).peers.values()
    assert (peer.handshake, peer.received, peer.sent) == (1_700_000_000, 12, 34)


@pytest.fixture
def answering(tmp_path: Path) -> Iterator[Callable[[bytes | None], Path]]:
    """A program behind a socket that gives one answer; None: it hangs."""
    with ExitStack() as stack:

        def begin(answer: bytes | None) -> Path:
            path = tmp_path / "wg.sock"
            listener = stack.enter_context(socket.socket(socket.AF_UNIX))
            listener.bind(str(path))
            listener.listen()

            def answer_once() -> None:
                with listener.accept()[0] as sock:
                    sock.recv(1000)
                    sock.sendall(answer or b"")

            if answer is not None:
                thread = threading.Thread(target=answer_once)
                thread.start()
                stack.callback(thread.join)
            return path

        yield begin


Answering = Callable[[bytes | None], Path]


def test_what_wireguard_go_answers_is_read(answering: Answering) -> None:
    path = answering(b"listen_port=5\nerrno=0\n\n")
    assert wguapi.UserspaceWireguard(path).read().port == 5


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (b"errno=16\n\n", "busy"),
        (b"", "gave no answer"),
        (b"listen_port=5\n", "gave no answer"),  # it died in the middle
        (b"errno=-1\n\n", "gave no answer"),
    ],
)
def test_what_wireguard_go_refuses_is_told(answering: Answering, answer: bytes, words: str) -> None:
    with pytest.raises(OSError, match=r"wg\.sock") as refused:
        wguapi.UserspaceWireguard(answering(answer)).write(DeviceChange(port=1))
    assert words in str(refused.value).lower()


def test_one_that_hangs_is_waited_for_as_long_as_was_said(answering: Answering) -> None:
    path = answering(None)
    asked = []

    def patience() -> float:
        asked.append(1)
        return 0.01

    device = wguapi.UserspaceWireguard(path, patience)
    with pytest.raises(wguapi.NoAnswer, match=r"within 0\.01 s"):
        device.read()
    assert asked == [1]
