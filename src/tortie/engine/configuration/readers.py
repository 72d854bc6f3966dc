"""How the text of each kind of parameter is read: text in, a typed value out, or ValueError.

Nothing here looks at the machine: whether a file exists is seen by whoever opens it.
"""

import re
from typing import NamedTuple

from tortie.api import checks
from tortie.engine.configuration.durations import duration
from tortie.engine.configuration.parameter import Reader
from tortie.net import (
    PortRange,
    Prefix,
    parse_network,
    parse_port_range,
    parse_prefix,
    parse_protocol,
)
from tortie.policy.program import Failsafe

MOST = 2**63 - 1
_TRUE = frozenset({"true", "1", "yes", "y", "t"})
_FALSE = frozenset({"false", "0", "no", "n", "f"})
_NUMBER = re.compile(r"-?[0-9]{1,19}", re.ASCII)
_SECONDS = re.compile(r"[0-9]{1,15}(\.[0-9]{0,9})?", re.ASCII)
_INTERFACE = re.compile(r"[a-zA-Z0-9:._+-]{1,15}")
_ENDPOINT = re.compile(r"https?://[^\s,/]+(:[0-9]{1,5})?/?")
_FAILSAFE = re.compile(
    r"(?:(?P<protocol>[a-zA-Z]+):)?(?:(?P<net>\[?[0-9a-fA-F.:/]+\]?):)?(?P<port>[0-9]{1,5})"
)
_DSCP = {"DF": 0, "EF": 46} | {f"CS{n}": 8 * n for n in range(7)}
_DSCP |= {f"AF{c}{d}": 8 * c + 2 * d for c in range(1, 5) for d in range(1, 4)}


class TableRange(NamedTuple):
    """Routing tables `first` to `last`, both included."""

    first: int
    last: int


def _boolean(text: str) -> bool:
    folded = text.casefold()
    if folded not in _TRUE | _FALSE:
        raise ValueError("use true or false")
    return folded in _TRUE


BOOLEAN = Reader(_boolean, "`true`, `1`, `yes`, `y`, `t` or `false`, `0`, `no`, `n`, `f`", False)


def integer(lowest: int = -MOST - 1, highest: int = MOST) -> Reader:
    """Whole numbers of a range."""

    def read(text: str) -> int:
        if not _NUMBER.fullmatch(text) or not lowest <= int(text) <= highest:
            raise ValueError(f"use a whole number {bounds}".rstrip())
        return int(text)

    bounded = lowest > -MOST or highest < MOST
    above = highest if highest < MOST else "2^63-1"
    bounds = f"from {lowest} to {above}" if bounded else ""
    return Reader(read, f"Whole number {bounds}".rstrip(), 0)


def _seconds(text: str) -> float:
    if not _SECONDS.fullmatch(text):
        raise ValueError('use seconds as a number, such as "90" or "0.5"')
    return float(text)


SECONDS = Reader(_seconds, "Seconds, with or without fractions", 0.0)
MILLISECONDS = Reader(
    lambda text: _seconds(text) / 1000, "Milliseconds, with or without fractions", 0.0
)
TEXT = Reader(str, "Text", "")
PATH = Reader(str, "Path", "")
FILE = Reader(str, "Path to a file that exists", "")


def matching(expression: str) -> Reader:
    """Texts that match a regular expression."""
    compiled = re.compile(expression, re.ASCII)

    def read(text: str) -> str:
        if not compiled.search(text) or "\n" in text:
            raise ValueError(f"use a text that matches {expression}")
        return text

    return Reader(read, f"Text that matches `{expression}`", "")


def one_of(*words: str) -> Reader:
    """Words from a list, in any case."""
    spelt = {word.casefold(): word for word in words}

    def read(text: str) -> str:
        if text.casefold() not in spelt:
            raise ValueError(f"use one of {', '.join(words)}")
        return spelt[text.casefold()]

    return Reader(read, f"One of {', '.join(f'`{word}`' for word in words)}", "")


SWITCH = one_of("Disabled", "Enabled")
SEVERITY = one_of("TRACE", "DEBUG", "INFO", "WARNING", "ERROR", "FATAL")
ALLOW_ACTION = one_of("ACCEPT", "RETURN")
DENY_ACTION = one_of("DROP", "REJECT")


def _expression(text: str) -> str:
    checks.regular_expression(text)
    return text


EXPRESSION = Reader(_expression, "Regular expression", "")


def _items(text: str) -> list[str]:
    return [item.strip() for item in text.split(",") if item.strip()]


def _pairs(text: str) -> tuple[tuple[str, str], ...]:
    found = []
    for item in _items(text):
        key, equals, value = item.partition("=")
        if not equals or not key.strip():
            raise ValueError(f"{item!r} is no key=value")
        found.append((key.strip(), value.strip()))
    return tuple(found)


PAIRS = Reader(_pairs, "`key=value`, with commas between", ())
TIMEOUTS = Reader(
    lambda text: tuple((key, duration(value)) for key, value in _pairs(text)),
    "`key=duration`, with commas between; durations as `1m30s`",
    (),
)
CIDRS = Reader(
    lambda text: tuple(map(parse_network, _items(text))), "CIDRs, with commas between", ()
)


def address(version: int) -> Reader:
    """A single address of an IP version."""

    def read(text: str) -> Prefix:
        found = parse_prefix(text)
        if found.version != version or not found.is_single:
            raise ValueError(f"use one IPv{version} address")
        return found

    return Reader(read, f"IPv{version} address", None)


PORT_RANGE = Reader(parse_port_range, "Port or range of ports `n:m`, from 0 to 65535", None)
PORT_RANGES = Reader(
    lambda text: tuple(map(parse_port_range, _items(text))),
    "Ports and ranges of ports `n:m`, from 0 to 65535, with commas between",
    (),
)


def _mask(text: str) -> int:
    try:
        found = int(text, 0)
    except ValueError:
        found = 0
    if not 0 < found < 2**32 or found.bit_count() < 2:
        raise ValueError("use 32 bits of which at least 2 are set, such as 0xffff0000")
    return found


MASK = Reader(_mask, "32 bits, decimal or as `0xffff0000`, at least 2 of them set", 0)


def _endpoints(text: str) -> tuple[str, ...]:
    found = tuple(_items(text))
    for each in found:
        if not _ENDPOINT.fullmatch(each):
            raise ValueError(f"{each!r} is no http(s)://host:port")
    return found


HTTP_ENDPOINTS = Reader(_endpoints, "`http(s)://host:port`, with commas between", ())


def _interfaces(text: str) -> tuple[str, ...]:
    """Names, and regular expressions between slashes; these may hold commas."""
    found = re.findall(r"/(?:[^/]|(?<=\\)/)+/|[^,]+", text)
    for each in found:
        if each.startswith("/") and each.endswith("/") and len(each) > 2:
            checks.regular_expression(each[1:-1])
        elif not _INTERFACE.fullmatch(each):
            raise ValueError(f"{each!r} is neither an interface's name nor /an expression/")
    return tuple(found)


INTERFACES = Reader(_interfaces, "Interfaces' names or `/expressions/`, with commas between", ())


def _interface_names(text: str) -> tuple[str, ...]:
    found = tuple(_items(text))
    for each in found:
        if not _INTERFACE.fullmatch(each):
            raise ValueError(f"{each!r} is no interface's name")
    return found


INTERFACE_NAMES = Reader(_interface_names, "Interfaces' names, with commas between", ())


def _table_range(text: str, most: int) -> TableRange:
    first, dash, last = text.partition("-")
    if not (dash and first.isascii() and first.isdigit() and last.isascii() and last.isdigit()):
        raise ValueError(f"{text!r} is no range of tables such as 1-250")
    found = TableRange(int(first), int(last))
    if not found.first <= found.last <= most:
        raise ValueError(f"{text!r} is no range within 0-{most}")
    return found


TABLE_RANGE = Reader(lambda text: _table_range(text, 250), "Tables `n-m`, from 0 to 250", None)


def _table_ranges(text: str) -> tuple[TableRange, ...]:
    found = tuple(_table_range(item, 0xFFFFFFFF) for item in re.split(r"[,\s]+", text) if item)
    if sum(last - first + 1 for first, last in found) > 0xFFFF:
        raise ValueError("use 65535 tables at most")
    return found


TABLE_RANGES = Reader(
    _table_ranges, "Tables `n-m`, with commas or spaces between; 65535 tables at most", ()
)


def _region(text: str) -> str:
    checks.dns_label(text)
    return text


REGION = Reader(_region, "DNS label", "")


def _dscp(text: str) -> int:
    checks.dscp(text)
    return _DSCP[text.upper()] if text.upper() in _DSCP else int(text)


DSCP = Reader(_dscp, "0 to 63, or `DF`, `EF`, `AF11` to `AF43`, `CS0` to `CS6`", 0)


def _failsafe(text: str) -> Failsafe:
    found = _FAILSAFE.fullmatch(text)
    if found is None:
        raise ValueError(f"{text!r} is no port, protocol:port or protocol:cidr:port")
    protocol = (found["protocol"] or "tcp").lower()
    if protocol not in ("tcp", "udp"):
        raise ValueError(f"{text!r}: the protocol is tcp or udp")
    port: PortRange = parse_port_range(found["port"])
    net = found["net"]
    where = None if net is None else parse_network(net.removeprefix("[").removesuffix("]"))
    return Failsafe(parse_protocol(protocol), port.first, where)


FAILSAFES = Reader(
    lambda text: tuple(map(_failsafe, _items(text))),
    "`port`, `tcp:port` or `udp:cidr:port` (IPv6: `udp:[cidr]:port`), with commas between",
    (),
)
