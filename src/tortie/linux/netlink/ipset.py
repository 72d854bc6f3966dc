"""ipset over netlink: how much each set holds, and members that come and go. Requests are pure.

From linux/netfilter/ipset/ip_set.h. The kernel gives no notification of changes.
"""

import socket
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from tortie.linux.netlink.nfnetlink import GENERIC
from tortie.linux.netlink.sockets import (
    NETLINK_NETFILTER,
    NetlinkError,
    NetlinkSocket,
    Request,
)
from tortie.linux.netlink.wire import (
    HEADER,
    NLM_F_DUMP,
    NLM_F_REQUEST,
    NLMSG_DONE,
    NLMSG_ERROR,
    attribute,
    attribute_map,
    be16,
    be32,
    build_message,
    nested,
    parse_acknowledgement,
    parse_messages,
    read_be,
    read_string,
    string,
    u8,
)

_SUBSYSTEM = 6 << 8
_LIST, _ADD, _DELETE = _SUBSYSTEM | 7, _SUBSYSTEM | 9, _SUBSYSTEM | 10
_PROTOCOL, _SET_NAME, _FLAGS, _DATA, _LINE = 1, 2, 6, 7, 9
_ADDRESS, _LENGTH, _PORT, _NUMBER = 1, 3, 4, 7  # of a member: IP, CIDR, PORT, PROTO
_IPV4, _IPV6 = 1, 2
_ELEMENTS = 24
_HEADERS_ONLY = 1 << 2
_NETWORK_ORDER = 1 << 14  # NLA_F_NET_BYTEORDER, without which ipset refuses numbers
_FAMILIES = {4: 2, 16: 10}
_WORDS = {4352: "the set is full"}  # IPSET_ERR_HASH_FULL: no errno that strerror knows
_END_LENGTH = HEADER.size + 4
_VERSION = 6  # of the protocol: what the kernel has spoken since 2011
_RECEIVE = 1024 * 1024
_PATIENCE = 5.0  # seconds


class SetHeaders:
    """How many members each set of the calling thread's namespace has. Raises OSError (root)."""

    def __init__(self) -> None:
        self._socket = socket.socket(
            socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, NETLINK_NETFILTER
        )
        self._socket.bind((0, 0))
        self._socket.settimeout(_PATIENCE)
        flags = attribute(_FLAGS, be32(_HEADERS_ONLY))
        payload = GENERIC.pack(0, 0, 0) + attribute(_PROTOCOL, u8(_VERSION)) + flags
        # Always the same number: answers that are equal to the last one need not be taken apart.
        self._question = build_message(_LIST, NLM_F_REQUEST | NLM_F_DUMP, payload, 1)
        self._last = b""
        self._counts: dict[str, int] = {}

    def close(self) -> None:
        """Close the socket; closing it twice is harmless."""
        self._socket.close()

    def counts(self) -> dict[str, int]:
        """How many members, by the set's name. Its cost is that of the kernel's answer."""
        answer = self._ask()
        if answer != self._last:
            self._counts = dict(_counted(answer))
            self._last = answer
        return self._counts

    def _ask(self) -> bytes:
        self._socket.send(self._question)
        parts: list[bytes] = []
        while not (parts and _is_end(parts[-1])):
            parts.append(self._socket.recv(_RECEIVE))
        return b"".join(parts)


def _is_end(data: bytes) -> bool:
    """Whether a datagram ends with the end of a dump; an error stands alone."""
    for length in (_END_LENGTH, len(data)):
        size, kind, *_ = HEADER.unpack_from(data, len(data) - length)
        if size == length and kind in (NLMSG_DONE, NLMSG_ERROR):
            return True
    return False


def _counted(answer: bytes) -> Iterable[tuple[str, int]]:
    """Raises NetlinkError for an error, MalformedMessage for what is no answer."""
    for message in parse_messages(answer):
        if message.type in (NLMSG_DONE, NLMSG_ERROR):
            found = parse_acknowledgement(message)
            if found.errno:
                raise NetlinkError(found.errno, found.message, "the list of sets")
            return
        outer = attribute_map(message.payload, GENERIC.size)
        inner = attribute_map(outer.get(_DATA, b""))
        yield read_string(outer.get(_SET_NAME, b"")), read_be(inner.get(_ELEMENTS, b""))


class SetMember(NamedTuple):
    """A member: `length` of a prefix, or `protocol` and `port` of an address."""

    address: bytes
    length: int | None = None
    protocol: int | None = None
    port: int | None = None


def edit_members(sock: NetlinkSocket, requests: Sequence[Request]) -> None:
    """Have members come and go, in order. Raises NetlinkError for the first that is refused."""
    for error in sock.batch(requests).values():
        words = _WORDS.get(error.errno or 0, error.message)
        raise NetlinkError(error.errno or 0, words, error.about, error.request_index)


def add_member(set_name: str, member: SetMember) -> Request:
    """Take a member in; one that is there already is no error."""
    return Request(_ADD, _edit(set_name, member), 0, f"member of {set_name}")


def delete_member(set_name: str, member: SetMember) -> Request:
    """Take a member out; one that is not there is no error."""
    return Request(_DELETE, _edit(set_name, member), 0, f"member of {set_name}")


def _edit(set_name: str, member: SetMember) -> bytes:
    version = _IPV4 if len(member.address) == 4 else _IPV6
    parts = [nested(_ADDRESS, attribute(version | _NETWORK_ORDER, member.address))]
    if member.length is not None:
        parts.append(attribute(_LENGTH, u8(member.length)))
    if member.port is not None and member.protocol is not None:
        parts.append(attribute(_PORT | _NETWORK_ORDER, be16(member.port)))
        parts.append(attribute(_NUMBER, u8(member.protocol)))
    parts.append(attribute(_LINE | _NETWORK_ORDER, be32(0)))
    return (
        GENERIC.pack(_FAMILIES[len(member.address)], 0, 0)
        + attribute(_PROTOCOL, u8(_VERSION))
        + attribute(_SET_NAME, string(set_name))
        + nested(_DATA, *parts)
    )
