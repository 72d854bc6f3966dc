"""Requests, dumps and batches against the real kernel, in a namespace of their own."""

import errno
import os
from collections.abc import Iterator

import pytest

from tortie.linux import namespaces
from tortie.linux.links import Links
from tortie.linux.neighbours import Neighbours
from tortie.linux.netlink import sockets
from tortie.linux.netlink.rtnetlink import (
    RTM_NEWROUTE,
    RTN_BLACKHOLE,
    KernelRoute,
    Neighbour,
    NewLink,
    Vxlan,
)
from tortie.linux.netlink.sockets import DumpInterrupted, NetlinkError, NetlinkSocket, Request
from tortie.linux.netlink.wire import NLM_F_DUMP_INTR, Message
from tortie.linux.routes import Routes, adding, deleting
from tortie.net import Prefix, parse_network, parse_prefix

pytestmark = pytest.mark.root


@pytest.fixture
def kernel() -> Iterator[NetlinkSocket]:
    name = f"tortie-sock-{os.getpid()}"
    path = namespaces.create_named(name)
    try:
        with namespaces.in_namespace(path):
            sock = NetlinkSocket()
        with sock:
            yield sock
    finally:
        namespaces.delete_named(name)


def blackhole(number: int) -> KernelRoute:
    return KernelRoute(Prefix(4, (10 << 24) + number, 32), RTN_BLACKHOLE, protocol=80)


def test_a_refusal_says_what_was_asked_and_why_it_was_refused(kernel: NetlinkSocket) -> None:
    gateway = parse_prefix("192.0.2.1").address
    with pytest.raises(NetlinkError) as caught:
        Routes(kernel).add(KernelRoute(parse_network("10.0.0.0/8"), gateway=gateway))
    assert caught.value.errno == errno.ENETUNREACH
    assert "adding route 10.0.0.0/8 via 192.0.2.1" in str(caught.value)
    assert "Nexthop has invalid gateway (ENETUNREACH)" in str(caught.value)


def test_a_batch_does_all_that_can_be_done_and_names_the_rest(kernel: NetlinkSocket) -> None:
    wanted = [adding(blackhole(number)) for number in range(5000)]
    for place in (0, 2047, 2048, 4999):
        wanted[place] = adding(blackhole(7777 if place else 1))
    errors = kernel.batch(wanted)
    # 1 is asked for twice, 7777 three times: the first of each is done.
    assert {index: error.errno for index, error in errors.items()} == {
        1: errno.EEXIST,
        2048: errno.EEXIST,
        4999: errno.EEXIST,
    }
    assert [error.request_index for error in errors.values()] == list(errors)
    assert "10.0.30.97/32" in str(errors[4999])
    assert len(Routes(kernel).list(4, protocol=80)) == 4997


def test_a_batch_in_which_everything_fails_tells_of_each(kernel: NetlinkSocket) -> None:
    errors = kernel.batch([deleting(blackhole(number)) for number in range(6000)])
    assert sorted(errors) == list(range(6000))
    assert {error.errno for error in errors.values()} == {errno.ESRCH}


def test_an_empty_batch_asks_nothing(kernel: NetlinkSocket) -> None:
    assert kernel.batch([]) == {}


def test_a_socket_goes_on_after_a_refusal(kernel: NetlinkSocket) -> None:
    with pytest.raises(NetlinkError):
        Links(kernel).set_up("nosuch")
    assert [link.name for link in Links(kernel).list()] == ["lo"]


def test_numbers_begin_anew_before_they_run_out(kernel: NetlinkSocket) -> None:
    kernel._sequence = 0xFFFFFFFF - 3
    assert kernel.batch([adding(blackhole(number)) for number in range(10)]) == {}
    assert len(Routes(kernel).list(4, protocol=80)) == 10


class Interrupted(NetlinkSocket):
    """The kernel's answers, of which the first few are marked as interrupted."""

    left = 0

    def receive(self) -> Iterator[Message]:
        for message in super().receive():
            marked = message.flags | (NLM_F_DUMP_INTR if self.left > 0 else 0)
            self.left -= 1
            yield message._replace(flags=marked)


def test_an_interrupted_dump_is_asked_for_again() -> None:
    with Interrupted() as sock:
        sock.left = 1
        names = [link.name for link in Links(sock).list()]
        assert len(names) == len(set(names))
        assert "lo" in names


def test_a_dump_that_is_interrupted_for_ever_is_an_error() -> None:
    with Interrupted() as sock:
        sock.left = 1 << 30
        with pytest.raises(DumpInterrupted, match="kept changing"):
            Links(sock).list()


def test_a_big_table_is_read_whole(kernel: NetlinkSocket) -> None:
    kernel.batch([adding(blackhole(number)) for number in range(3000)])
    found = Routes(kernel).list(4, table=254, protocol=80)
    assert sorted(found, key=lambda route: route.destination) == [
        blackhole(number) for number in range(3000)
    ]


def test_a_dump_is_filtered_by_the_kernel(kernel: NetlinkSocket) -> None:
    kernel.batch([adding(blackhole(number)) for number in range(10)])
    assert Routes(kernel).list(4, protocol=81) == []
    assert Routes(kernel).list(4, table=4711) == []
    assert Routes(kernel).list(6, protocol=80) == []


def test_silence_ends_in_a_timeout() -> None:
    with NetlinkSocket(timeout=0.05) as sock, pytest.raises(TimeoutError, match="did not answer"):
        list(sock.receive())


def test_lost_answers_are_an_error_not_a_success(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sockets, "_BUFFER", 4096)
    with NetlinkSocket() as sock, pytest.raises(NetlinkError) as caught:
        sock.batch([Request(RTM_NEWROUTE, bytes(12), 0, "nothing") for _ in range(2000)])
    assert caught.value.errno == errno.ENOBUFS


def test_a_pair_is_born_with_each_end_in_its_namespace(kernel: NetlinkSocket) -> None:
    name = f"tortie-peer-{os.getpid()}"
    path = namespaces.create_named(name)
    try:
        with open(path) as far, namespaces.in_namespace(path):
            Links(kernel).create_veth(
                "calix", "eth0", far.fileno(), mtu=1400, mac="ee:ee:ee:ee:ee:ee"
            )
            with NetlinkSocket() as inside:
                peer = Links(inside).get("eth0")
        host = Links(kernel).get("calix")
        assert (host.kind, host.mtu, host.mac) == ("veth", 1400, "ee:ee:ee:ee:ee:ee")
        assert (peer.kind, peer.mtu) == ("veth", 1400)
        assert Links(kernel).find("eth0") is None
    finally:
        namespaces.delete_named(name)


def test_links_change_in_place(kernel: NetlinkSocket) -> None:
    links = Links(kernel)
    links.create_bridge("br0")
    links.create_veth("a", "b", mtu=1400)
    links.set_up("a")
    links.set_mtu("a", 1300)
    links.set_mac("a", "66:00:00:00:00:01")
    links.set_master("a", "br0")
    found = links.get("a")
    assert (found.up, found.mtu, found.mac) == (True, 1300, "66:00:00:00:00:01")
    assert found.master == links.get("br0").index
    links.set_master("a", None)
    links.set_down("a")
    assert (links.get("a").master, links.get("a").up) == (0, False)
    assert links.delete("a")
    assert not links.delete("a")
    assert links.find("b") is None


def test_addresses_come_and_go_once(kernel: NetlinkSocket) -> None:
    links = Links(kernel)
    for text in ("10.0.0.5/24", "fd00::5/64"):
        prefix = parse_prefix(text)
        links.add_address("lo", prefix)
        links.add_address("lo", prefix)
        assert [a.prefix for a in links.addresses("lo")].count(prefix) == 1
        assert links.delete_address("lo", prefix)
        assert not links.delete_address("lo", prefix)


def test_neighbours_of_both_families_are_listed(kernel: NetlinkSocket) -> None:
    Links(kernel).create(NewLink("vx", "vxlan", up=True, vxlan=Vxlan(7, 4789)))
    index = Links(kernel).get("vx").index
    entries = [
        Neighbour(index, parse_prefix(text), "66:00:00:00:00:02")
        for text in ("10.0.0.2", "fd00::2")
    ]
    for entry in entries:
        Neighbours(kernel).set(entry)
    found = Neighbours(kernel).list(index)
    assert [entry for entry in entries if entry in found] == entries
