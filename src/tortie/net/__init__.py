"""Addresses, prefixes, ports and protocols as plain integers.

What comes in: text from resources ("10.0.0.0/8", "80:90", "TCP"). What goes out: small tuples of
ints that hash, sort and compare fast. It never resolves a name and never touches a socket.
"""

from tortie.net.addresses import (
    Prefix,
    format_address,
    mask_of,
    parse_address,
    parse_network,
    parse_prefix,
    unmapped,
)
from tortie.net.cover import CoverChange, MaximalPrefixes
from tortie.net.ports import PortRange, parse_port_range
from tortie.net.prefixmap import PrefixMap
from tortie.net.protocols import PROTOCOL_NUMBERS, parse_protocol, protocol_name

__all__ = [
    "PROTOCOL_NUMBERS",
    "CoverChange",
    "MaximalPrefixes",
    "PortRange",
    "Prefix",
    "PrefixMap",
    "format_address",
    "mask_of",
    "parse_address",
    "parse_network",
    "parse_port_range",
    "parse_prefix",
    "parse_protocol",
    "protocol_name",
    "unmapped",
]
