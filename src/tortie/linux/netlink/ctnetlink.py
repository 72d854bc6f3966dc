"""Connection tracking over netlink: flows by address, their deletion, their marks.

From linux/netfilter/nfnetlink_conntrack.h. A flow has two tuples: the packets of who began it, and
the answers to them, which after address translation are not the mirror image.
"""

from typing import NamedTuple

from tortie.linux.netlink.nfnetlink import FAMILY_IP, FAMILY_IP6, GENERIC
from tortie.linux.netlink.sockets import Request
from tortie.linux.netlink.wire import (
    NLM_F_CREATE,
    NLM_F_EXCL,
    MalformedMessage,
    Message,
    attribute,
    attribute_map,
    be32,
    nested,
    read_be,
    u32,
)
from tortie.net import Prefix

_NEW, _GET, _DELETE, _STATISTICS = (1 << 8 | one for one in (0, 1, 2, 5))  # …SUBSYS_CTNETLINK
_ENTRIES = 1  # CTA_STATS_GLOBAL_ENTRIES
_ORIGINAL, _REPLY, _MARK, _ID, _MASTER, _ZONE, _MARK_MASK, _FILTER = 1, 2, 8, 12, 14, 18, 21, 25
_STATUS, _PROTOCOL_STATE, _TIMEOUT = 3, 4, 7  # CTA_STATUS, CTA_PROTOINFO, CTA_TIMEOUT
_ESTABLISHED = nested(_PROTOCOL_STATE, nested(1, attribute(1, b"\3")))  # of TCP
_SECONDS = 432_000  # for which the kernel remembers an established one
_OFFLOADED = 1 << 14  # IPS_OFFLOAD: a flowtable has it, and no chain sees its packets
_IP, _PROTOCOL, _BY_SOURCE = 1, 2, 1  # CTA_TUPLE_IP, CTA_TUPLE_PROTO, CTA_FILTER_F_CTA_IP_SRC
_SOURCE = {4: 1, 6: 3}  # CTA_IP_V4_SRC, CTA_IP_V6_SRC; a destination's number is one more
_NUMBER, _SOURCE_PORT, _DESTINATION_PORT = 1, 2, 3  # CTA_PROTO_…
_ICMP_TYPE = {4: 5, 6: 8}  # CTA_PROTO_ICMP_TYPE, CTA_PROTO_ICMPV6_TYPE; a code's number is one more
_FAMILY = {4: FAMILY_IP, 6: FAMILY_IP6}
_VERSION = {FAMILY_IP: 4, FAMILY_IP6: 6}


class Side(NamedTuple):
    """One direction of a connection: addresses as integers; ports, or ICMP's type and code."""

    source: int
    destination: int
    protocol: int
    source_port: int | None = None
    destination_port: int | None = None
    icmp_type: int | None = None
    icmp_code: int | None = None


class Flow(NamedTuple):
    """One connection: `original` are the packets of who began it, `reply` the answers to them.

    `mark` is the connection's, `zone` tells apart connections that other programs keep. `master`:
    the connection that this one is related to. `name` is what tells the kernel which one is meant:
    attributes as they came. `anew`: what makes it again, where a flowtable has it; else empty.
    """

    version: int
    original: Side
    reply: Side
    name: bytes
    mark: int = 0
    zone: int = 0
    master: Side | None = None
    anew: bytes = b""


def get_flow_count() -> Request:
    """Ask how many flows there are, of both IP versions."""
    return Request(_STATISTICS, GENERIC.pack(0, 0, 0), 0, "counting connections")


def parse_flow_count(message: Message) -> int:
    """The answer to `get_flow_count`."""
    return read_be(attribute_map(message.payload, GENERIC.size).get(_ENTRIES, b""))


def get_flows(version: int) -> Request:
    """Dump all flows of one IP version."""
    return Request(_GET, GENERIC.pack(_FAMILY[version], 0, 0), 0, "reading connections")


def get_flows_of(address: Prefix) -> tuple[Request, Request]:
    """Dump the flows that an address began, and those that it answers.

    The kernel filters (since 5.8; an older one sends all, so the reader must look).
    """
    return _filtered(address, _ORIGINAL), _filtered(address, _REPLY)


def _filtered(address: Prefix, which: int) -> Request:
    # CTA_FILTER_ORIG_FLAGS and CTA_FILTER_REPLY_FLAGS have their tuples' numbers.
    size = 4 if address.version == 4 else 16
    source = attribute(_SOURCE[address.version], address.address.to_bytes(size))
    payload = nested(which, nested(_IP, source)) + nested(
        _FILTER, attribute(which, u32(_BY_SOURCE))
    )
    header = GENERIC.pack(_FAMILY[address.version], 0, 0)
    return Request(_GET, header + payload, 0, f"reading connections of {address}")


def delete_flow(flow: Flow) -> Request:
    """Delete this very flow; ENOENT where it has ended by itself."""
    payload = GENERIC.pack(_FAMILY[flow.version], 0, 0) + flow.name
    return Request(_DELETE, payload, 0, "deleting a connection")


def mark_flow(flow: Flow, value: int, mask: int) -> Request:
    """Give these bits of the flow's mark this value; ENOENT where it has ended by itself."""
    payload = GENERIC.pack(_FAMILY[flow.version], 0, 0) + flow.name
    payload += attribute(_MARK, be32(value)) + attribute(_MARK_MASK, be32(mask))
    return Request(_NEW, payload, 0, "marking a connection")


def make_flow(flow: Flow, mark: int) -> Request:
    """Make an established TCP flow again that was deleted; EEXIST where its packets have done so.

    The kernel takes up such a connection in its midst.
    """
    payload = GENERIC.pack(_FAMILY[flow.version], 0, 0) + flow.anew + attribute(_MARK, be32(mark))
    return Request(_NEW, payload, NLM_F_CREATE | NLM_F_EXCL, "making a connection again")


def parse_flow(message: Message) -> Flow:
    """One flow of a dump. Raises MalformedMessage."""
    version = _VERSION.get(message.payload[0] if message.payload else 0)
    if version is None:
        raise MalformedMessage("a connection of neither IPv4 nor IPv6")
    found = attribute_map(message.payload, GENERIC.size)
    original = found.get(_ORIGINAL, b"")
    name = nested(_ORIGINAL, original)
    name += b"".join(attribute(one, found[one]) for one in (_ID, _ZONE) if one in found)
    return Flow(
        version,
        _side(original, version),
        _side(found.get(_REPLY, b""), version),
        name,
        read_be(found.get(_MARK, b"")),
        read_be(found.get(_ZONE, b"")),
        _side(found[_MASTER], version) if _MASTER in found else None,
        _anew(found) if read_be(found.get(_STATUS, b"")) & _OFFLOADED else b"",
    )


def _anew(found: dict[int, bytes]) -> bytes:
    tuples = b"".join(nested(one, found[one]) for one in (_ORIGINAL, _REPLY) if one in found)
    zone = attribute(_ZONE, found[_ZONE]) if _ZONE in found else b""
    # Of what is offloaded the kernel tells neither; only established TCP is.
    return tuples + zone + _ESTABLISHED + attribute(_TIMEOUT, be32(_SECONDS))


def _side(flow_tuple: bytes, version: int) -> Side:
    parts = attribute_map(flow_tuple)
    addresses, protocol = (
        attribute_map(parts.get(_IP, b"")),
        attribute_map(parts.get(_PROTOCOL, b"")),
    )
    source, icmp = _SOURCE[version], _ICMP_TYPE[version]

    def number(attribute: int) -> int | None:
        return read_be(protocol[attribute]) if attribute in protocol else None

    return Side(
        read_be(addresses.get(source, b"")),
        read_be(addresses.get(source + 1, b"")),
        number(_NUMBER) or 0,
        number(_SOURCE_PORT),
        number(_DESTINATION_PORT),
        number(icmp),
        number(icmp + 1),
    )
