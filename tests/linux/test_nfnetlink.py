"""nf_tables messages: what is built is what the kernel holds, what it holds is read back."""

import contextlib
import os
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tortie.linux.libnftables import Nftables
from tortie.linux.namespaces import create_named, delete_named, in_namespace
from tortie.linux.netlink import nfnetlink, nfobjects, nfsets
from tortie.linux.netlink.nfdump import settled
from tortie.linux.netlink.nfnetlink import FAMILY_IP, Element, Hook, SetRef
from tortie.linux.netlink.sockets import NETLINK_NETFILTER, NetlinkError, NetlinkSocket
from tortie.linux.netlink.wire import MalformedMessage, Message

TABLE = """
add table ip t
add chain ip t base { type filter hook forward priority -7; policy drop; }
add chain ip t plain
add set ip t hashed { type ipv4_addr; }
add set ip t ranges { type ipv4_addr; flags interval; }
add map ip t verdicts { type ifname : verdict; }
add element ip t verdicts { "eth0" : jump plain }
add rule ip t plain counter accept comment "first"
add rule ip t plain counter drop
"""
HASHED, RANGES = SetRef(FAMILY_IP, "t", "hashed"), SetRef(FAMILY_IP, "t", "ranges")


class Kernel:
    """A namespace of its own with the table, and a socket in it."""

    def __init__(self) -> None:
        self.nft, self.socket = Nftables(), NetlinkSocket(NETLINK_NETFILTER)
        self.nft.run(TABLE)

    def commit(self, *requests: nfnetlink.Request) -> None:
        """Send one batch. What the kernel says of it has come when a question is answered."""
        self.socket.post([r._replace(flags=r.flags | 1) for r in nfobjects.transaction(requests)])
        self.generation()

    def generation(self) -> int:
        (answer,) = self.socket.request(nfnetlink.get_generation())
        return nfnetlink.parse_generation(answer)

    def elements(self, target: SetRef) -> list[Element]:
        answer = self.socket.dump(nfnetlink.get_elements(target))
        return [one for message in answer for one in nfnetlink.parse_elements(message)]

    def whole(self, target: SetRef) -> set[Element]:
        """The elements of a hash set, which the kernel may be rebuilding."""
        sets = map(nfnetlink.parse_set, self.socket.dump(nfnetlink.get_sets(2, target.table)))
        (count,) = (one.size for one in sets if one.name == target.name)
        return set(settled(lambda: frozenset(self.elements(target)), count, target))


@pytest.fixture
def kernel() -> Iterator[Kernel]:
    name = f"tnf{os.getpid()}"
    path = create_named(name)
    try:
        with in_namespace(path):
            made = Kernel()
        with contextlib.closing(made.socket), made.nft:
            yield made
    finally:
        delete_named(name)


def key(address: int) -> bytes:
    return address.to_bytes(4)


@pytest.mark.root
def test_members_added_and_deleted_are_those_of_the_kernel(kernel: Kernel) -> None:
    many = [key(0x0A000000 + n) for n in range(10_000)]
    kernel.commit(*nfobjects.add_elements(HASHED, map(nfsets.point, many)))
    assert {one.key for one in kernel.whole(HASHED)} == set(many)
    kernel.commit(*nfobjects.delete_elements(HASHED, map(nfsets.point, many[1:])))
    assert kernel.elements(HASHED) == [Element(many[0])]


@pytest.mark.root
def test_a_range_is_what_nft_shows_and_what_it_deletes(kernel: Kernel) -> None:
    lower = nfsets.interval(key(0x0A000000), key(0x0A000100))
    upper = nfsets.interval(key(0xF0000000), None)
    kernel.commit(*nfobjects.add_elements(RANGES, [lower, upper]))
    shown = kernel.nft.run("list set ip t ranges")
    assert "elements = { 10.0.0.0/24, 240.0.0.0/4 }" in shown
    assert [one.is_end for one in sorted(kernel.elements(RANGES))] == [False, True, False]
    kernel.nft.run("delete element ip t ranges { 10.0.0.0/24 }")
    kernel.commit(*nfobjects.delete_elements(RANGES, [upper]))
    assert kernel.elements(RANGES) == []


@pytest.mark.root
def test_a_batch_with_one_refused_request_changes_nothing(kernel: Kernel) -> None:
    before = kernel.generation()
    added = nfobjects.add_elements(HASHED, [nfsets.point(key(1))])
    missing = nfobjects.delete_elements(HASHED, [nfsets.point(key(2))])
    kernel.commit(*added, *missing)
    assert kernel.generation() == before
    assert kernel.elements(HASHED) == []


@pytest.mark.root
def test_a_table_is_read_back(kernel: Kernel) -> None:
    tables = map(nfnetlink.parse_table, kernel.socket.dump(nfnetlink.get_tables(FAMILY_IP)))
    assert [one.name for one in tables] == ["t"]
    chains = list(map(nfnetlink.parse_chain, kernel.socket.dump(nfnetlink.get_chains(FAMILY_IP))))
    assert {one.name: one.hook for one in chains} == {
        "base": Hook("filter", 2, -7, False),
        "plain": None,
    }
    rules = map(nfnetlink.parse_rule, kernel.socket.dump(nfnetlink.get_rules(FAMILY_IP, "t")))
    assert [(one.chain, one.comment) for one in rules] == [("plain", "first"), ("plain", "")]
    sets = map(nfnetlink.parse_set, kernel.socket.dump(nfnetlink.get_sets(FAMILY_IP, "t")))
    known = {one.name: one.size for one in sets}
    assert list(known) == ["hashed", "ranges", "verdicts"]
    assert known["verdicts"] in (1, None)
    assert known["hashed"] in (0, None)
    (element,) = kernel.elements(SetRef(FAMILY_IP, "t", "verdicts"))
    assert (element.key.rstrip(b"\0"), element.chain) == (b"eth0", "plain")


@pytest.mark.root
def test_a_set_that_is_not_there_is_named_in_the_error(kernel: Kernel) -> None:
    with pytest.raises(NetlinkError, match="set nowhere of table ip t"):
        kernel.elements(SetRef(FAMILY_IP, "t", "nowhere"))


@given(st.binary(max_size=200))
@settings(max_examples=300)
def test_malformed_answers_raise_nothing_else(payload: bytes) -> None:
    message = Message(0, 0, 0, 0, payload)
    parsers = (
        nfnetlink.parse_table,
        nfnetlink.parse_chain,
        nfnetlink.parse_rule,
        nfnetlink.parse_set,
        nfnetlink.parse_generation,
        lambda one: list(nfnetlink.parse_elements(one)),
    )
    for parse in parsers:
        with contextlib.suppress(MalformedMessage):
            parse(message)


@given(st.lists(st.binary(min_size=4, max_size=4), max_size=5000))
@settings(max_examples=20, deadline=None)
def test_no_message_is_longer_than_its_length_field_can_say(keys: list[bytes]) -> None:
    requests = list(nfobjects.add_elements(HASHED, map(nfsets.point, keys)))
    assert all(len(one.payload) < 65_535 for one in requests)
    found = [
        element
        for one in requests
        for element in nfnetlink.parse_elements(Message(0, 0, 0, 0, one.payload))
    ]
    assert [one.key for one in found] == keys
