"""What a rule can look at: how it is loaded, written as bytes, and written in text. Pure.

A value is an int, or the name of an interface. Most stand in network order, as in the packet; marks
and states of connections are the kernel's own numbers and stand in the machine's order, which is
why encoding asks for it.
"""

import socket
import sys
from collections.abc import Callable
from enum import Enum
from typing import Literal

from msgspec import Struct

from tortie.dataplane.nftables.names import checked_interface
from tortie.linux.netlink import nfexpr
from tortie.linux.netlink.nfexpr import Base, Meta, Tracked

Value = int | str
ByteOrder = Literal["little", "big"]
MACHINE: ByteOrder = sys.byteorder
IFNAME_ROOM = 16
INVALID, ESTABLISHED, RELATED = 1, 2, 4  # bits of a connection's state
_STATES = {INVALID: "invalid", ESTABLISHED: "established", RELATED: "related"}


class Form(Enum):
    """How a value reads in text."""

    NUMBER = "decimal"
    HEX = "hexadecimal"
    ADDRESS = "address"
    NAME = "interface"
    STATES = "states"


class Field(Struct, frozen=True, eq=False):
    """One thing to look at. `type` is libnftables' number of what it is, `width` is in bytes.

    `is_host`: the kernel keeps it in the machine's order.
    """

    text: str
    load: Callable[[int, int], bytes]  # by register and width: a net needs leading bytes only
    width: int
    type: int
    type_name: str
    form: Form = Form.NUMBER
    is_host: bool = False

    def encode(self, value: Value, machine: ByteOrder = MACHINE) -> bytes:
        """A value as it stands in a register."""
        if isinstance(value, str):
            return checked_interface(value).encode().ljust(IFNAME_ROOM, b"\0")
        return value.to_bytes(self.width, machine if self.is_host else "big")

    def shown(self, value: Value) -> str:
        """A value in nft's grammar."""
        if isinstance(value, str):
            return f'"{checked_interface(value)}"'
        if self.form is Form.ADDRESS:
            family = socket.AF_INET if self.width == 4 else socket.AF_INET6
            return socket.inet_ntop(family, value.to_bytes(self.width))
        if self.form is Form.STATES:
            return ",".join(name for bit, name in _STATES.items() if value & bit)
        return f"{value:#x}" if self.form is Form.HEX else str(int(value))


def _payload(base: Base, offset: int) -> Callable[[int, int], bytes]:
    return lambda register, width: nfexpr.load_payload(base, offset, width, register)


def _meta(key: Meta) -> Callable[[int, int], bytes]:
    return lambda register, _: nfexpr.load_meta(key, register)


def _network(text: str, offset: int, width: int, kind: int, name: str) -> Field:
    return Field(text, _payload(Base.NETWORK, offset), width, kind, name, Form.ADDRESS)


def _transport(text: str, offset: int, width: int, kind: int, name: str) -> Field:
    return Field(text, _payload(Base.TRANSPORT, offset), width, kind, name)


PROTOCOL = Field("meta l4proto", _meta(Meta.PROTOCOL), 1, 12, "inet_proto", is_host=True)
INPUT = Field("iifname", _meta(Meta.INPUT_NAME), IFNAME_ROOM, 41, "ifname", Form.NAME)
OUTPUT = Field("oifname", _meta(Meta.OUTPUT_NAME), IFNAME_ROOM, 41, "ifname", Form.NAME)
MARK = Field("meta mark", _meta(Meta.MARK), 4, 19, "mark", Form.HEX, is_host=True)
STATE = Field(
    "ct state",
    lambda register, _: nfexpr.load_tracked(Tracked.STATE, register),
    *(4, 26, "ct_state"),
    Form.STATES,
    is_host=True,
)
SOURCE = {
    4: _network("ip saddr", 12, 4, 7, "ipv4_addr"),
    6: _network("ip6 saddr", 8, 16, 8, "ipv6_addr"),
}
DESTINATION = {
    4: _network("ip daddr", 16, 4, 7, "ipv4_addr"),
    6: _network("ip6 daddr", 24, 16, 8, "ipv6_addr"),
}
SOURCE_PORT = _transport("th sport", 0, 2, 13, "inet_service")
DESTINATION_PORT = _transport("th dport", 2, 2, 13, "inet_service")
ICMP_TYPE = {
    4: _transport("icmp type", 0, 1, 14, "icmp_type"),
    6: _transport("icmpv6 type", 0, 1, 29, "icmpv6_type"),
}
ICMP_CODE = {
    4: _transport("icmp code", 1, 1, 32, "icmp_code"),
    6: _transport("icmpv6 code", 1, 1, 33, "icmpv6_code"),
}
HOP_LIMIT = Field("ip6 hoplimit", _payload(Base.NETWORK, 7), 1, 4, "integer")
CONNECTION_MARK = Field(
    "ct mark",
    lambda register, _: nfexpr.load_tracked(Tracked.MARK, register),
    *(4, 19, "mark"),
    Form.HEX,
    is_host=True,
)
