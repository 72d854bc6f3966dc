"""What is built is what is read, and no bytes at all break a reader."""

import struct
from collections.abc import Callable
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from strategies import netlink as some
from tortie.linux.netlink import rtnetlink as rt
from tortie.linux.netlink import wire
from tortie.linux.netlink.monitor import read_event
from tortie.linux.netlink.wire import Attribute, MalformedMessage, Message
from tortie.net import parse_prefix

READERS: dict[str, Callable[[bytes], object]] = {
    "link": rt.parse_link,
    "address": rt.parse_address,
    "route": rt.parse_route,
    "neighbour": rt.parse_neighbour,
    "forwarding": rt.parse_forwarding,
    "messages": lambda data: list(wire.parse_messages(data)),
    "attributes": wire.attribute_map,
    "acknowledgement": lambda data: wire.parse_acknowledgement(Message(2, 0x200, 0, 0, data)),
    "short acknowledgement": lambda data: wire.parse_acknowledgement(Message(2, 0x300, 0, 0, data)),
    "end of a dump": lambda data: wire.parse_acknowledgement(Message(3, 0x200, 0, 0, data)),
}


@given(st.lists(some.messages, max_size=8))
def test_messages_are_read_as_they_were_built(messages: list[Message]) -> None:
    data = b"".join(
        wire.build_message(m.type, m.flags, m.payload, m.sequence, m.port) for m in messages
    )
    assert list(wire.parse_messages(data)) == messages


@given(st.lists(some.attributes, max_size=8))
def test_attributes_are_read_as_they_were_built(attributes: list[Attribute]) -> None:
    assert list(wire.parse_attributes(wire.build_attributes(attributes))) == attributes


@given(some.routes)
def test_routes_are_read_as_they_were_built(route: rt.KernelRoute) -> None:
    assert rt.parse_route(rt.build_route(route)) == route


@given(some.links)
def test_links_are_read_as_they_were_built(link: rt.Link) -> None:
    assert rt.parse_link(rt.build_link(link)) == link


@given(some.addresses)
def test_addresses_are_read_as_they_were_built(address: rt.Address) -> None:
    assert rt.parse_address(rt.build_address(address)) == address


@given(some.neighbours)
def test_neighbours_are_read_as_they_were_built(neighbour: rt.Neighbour) -> None:
    assert rt.parse_neighbour(rt.build_neighbour(neighbour)) == neighbour


@given(some.forwardings)
def test_forwarding_entries_are_read_as_they_were_built(entry: rt.Forwarding) -> None:
    assert rt.parse_forwarding(rt.build_forwarding(entry)) == entry


@pytest.mark.parametrize("reader", READERS)
@given(data=st.binary(max_size=200))
def test_arbitrary_bytes_are_read_or_refused(reader: str, data: bytes) -> None:
    with suppress(MalformedMessage):
        READERS[reader](data)


BUILT = {
    "link": some.links.map(rt.build_link),
    "address": some.addresses.map(rt.build_address),
    "route": some.routes.map(rt.build_route),
    "neighbour": some.neighbours.map(rt.build_neighbour),
    "forwarding": some.forwardings.map(rt.build_forwarding),
}


@pytest.mark.parametrize("reader", BUILT)
@settings(deadline=None)  # of a clock: the machine may be busy
@given(data=st.data())
def test_a_damaged_message_is_read_or_refused(reader: str, data: st.DataObject) -> None:
    payload = bytearray(data.draw(BUILT[reader]))
    place = data.draw(st.integers(0, len(payload) - 1))
    payload[place] = data.draw(some.u8)
    cut = data.draw(st.integers(0, len(payload)))
    with suppress(MalformedMessage):
        READERS[reader](bytes(payload[:cut]))


@given(kind=some.u16, payload=st.binary(max_size=120))
def test_arbitrary_notifications_are_read_or_refused(kind: int, payload: bytes) -> None:
    for message_type in (kind, 16, 17, 20, 21, 24, 25):
        with suppress(MalformedMessage):
            read_event(Message(message_type, 0, 0, 0, payload))


@pytest.mark.parametrize(
    ("data", "found"),
    [
        (b"\x01", "1 bytes left"),
        (struct.pack("=IHHII", 15, 2, 0, 0, 0), "a message of 15 bytes"),
        (struct.pack("=IHHII", 17, 2, 0, 0, 0), "a message of 17 bytes where 16"),
    ],
)
def test_a_wrong_length_is_named(data: bytes, found: str) -> None:
    with pytest.raises(MalformedMessage, match=found):
        list(wire.parse_messages(data))


def test_an_attribute_longer_than_its_message_is_named() -> None:
    with pytest.raises(MalformedMessage, match="an attribute of 9 bytes where 8"):
        wire.attribute_map(struct.pack("=HHI", 9, 1, 0))


def test_an_attribute_too_long_to_have_a_length_is_refused() -> None:
    with pytest.raises(MalformedMessage, match="65532 bytes"):
        wire.attribute(1, bytes(65532))


def test_the_kernels_words_are_found_behind_a_quoted_request() -> None:
    quoted = wire.build_message(24, 1, b"12345678")
    text = wire.attribute(1, wire.string("Nexthop has invalid gateway"))
    whole = Message(wire.NLMSG_ERROR, wire.NLM_F_ACK_TLVS, 1, 0, _errno(101) + quoted + text)
    assert wire.parse_acknowledgement(whole) == (101, "Nexthop has invalid gateway")
    capped = Message(
        wire.NLMSG_ERROR,
        wire.NLM_F_ACK_TLVS | wire.NLM_F_CAPPED,
        1,
        0,
        _errno(101) + quoted[:16] + text,
    )
    assert wire.parse_acknowledgement(capped) == (101, "Nexthop has invalid gateway")


def test_an_acknowledgement_without_words_has_none() -> None:
    assert wire.parse_acknowledgement(Message(2, 0, 1, 0, _errno(0) + bytes(16))) == (0, "")


def test_the_end_of_a_dump_may_tell_of_an_error() -> None:
    assert wire.parse_acknowledgement(Message(3, 2, 1, 0, _errno(22))) == (22, "")
    assert wire.parse_acknowledgement(Message(3, 2, 1, 0, b"")) == (0, "")


def _errno(number: int) -> bytes:
    return struct.pack("=i", -number)


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "a b", "a:b", "x" * 16, "ü" * 8, "a\0"])
def test_a_name_that_no_interface_can_have_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="cannot name an interface"):
        rt.check_name(name)


@pytest.mark.parametrize("text", ["", "66:00:00:00:00", "66-00-00-00-00-01", "gg:00:00:00:00:01"])
def test_a_mac_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a MAC address"):
        rt.mac_bytes(text)


def test_a_route_reads_like_the_words_of_ip_route() -> None:
    gateway = parse_prefix("172.16.1.3").address
    route = rt.KernelRoute(
        parse_prefix("10.0.0.0/26"), protocol=80, priority=1024, oif=3, gateway=gateway
    )
    assert str(route) == "10.0.0.0/26 via 172.16.1.3 on interface 3 proto 80 metric 1024"
    dropped = rt.KernelRoute(parse_prefix("fd00::/64"), rt.RTN_BLACKHOLE, protocol=3)
    assert str(dropped) == "blackhole fd00::/64 proto boot metric 0"
