"""What single values must be. Each check raises ValueError that says what is wrong.

Results of the costly ones are remembered: the same CIDRs and selectors come again and again.
"""

import re
from collections.abc import Callable
from functools import lru_cache

from tortie.net import Prefix, parse_address, parse_port_range, parse_prefix, parse_protocol
from tortie.net.protocols import ICMP, ICMPV6, PORT_PROTOCOLS
from tortie.selectors import Selector, parse

_LABEL = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_DNS_LABEL = re.compile(_LABEL)
_DNS_SUBDOMAIN = re.compile(rf"{_LABEL}(\.{_LABEL})*")
_QUALIFIED = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?")
_PORT_NAME = re.compile(r"[a-zA-Z0-9_.-]{1,128}")
_SERVICE = re.compile(r"(?=[^a-z]*[a-z])[a-z0-9]([-a-z0-9]{0,13}[a-z0-9])?")
_INTERFACE = re.compile(r"\*|[a-zA-Z0-9_.-]{1,15}")
_INTERFACE_FILTER = re.compile(r"[a-zA-Z0-9:._+-]{1,15}")
_HEALTH_NAME = re.compile(r"[a-zA-Z0-9_ -]+")
_DURATION = re.compile(r"[-+]?(0|((\d+\.?\d*|\.\d+)(ns|us|µs|ms|s|m|h))+)", flags=re.ASCII)
_MAC = re.compile(r"[0-9A-Fa-f]{2}([:-][0-9A-Fa-f]{2}){5}")
_WIREGUARD_KEY = re.compile(r"[A-Za-z0-9+/]{42}[AEIMQUYcgkosw048]=")
_DATE_TIME = re.compile(
    r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)", flags=re.ASCII
)
_DSCP = {"DF", "EF"} | {f"AF{c}{p}" for c in "1234" for p in "123"} | {f"CS{n}" for n in range(7)}
_REMEMBERED = 65536


@lru_cache(_REMEMBERED)
def cidr(text: str) -> Prefix:
    """A CIDR: an address, "/" and a prefix length. Host bits may be set."""
    prefix = parse_prefix(text)
    if "/" not in text:
        raise ValueError(f"{text!r} has no prefix length: write {text}/{prefix.length}")
    return prefix


def is_cidr(text: str) -> bool:
    """Whether it is a CIDR."""
    try:
        return bool(cidr(text))
    except ValueError:
        return False


def cidr_of(version: int) -> Callable[[str], None]:
    """A check: a CIDR of this IP version."""

    def check(text: str) -> None:
        if cidr(text).version != version:
            raise ValueError(f"{text} is not IPv{version}")

    return check


@lru_cache(_REMEMBERED)
def network(text: str) -> Prefix:
    """A CIDR or a bare address."""
    return parse_prefix(text)


def masked_cidr(text: str) -> Prefix:
    """A CIDR with host bits zero."""
    prefix = cidr(text)
    if prefix != prefix.network:
        raise ValueError(f"{text} has bits beyond the prefix length: write {prefix.network}")
    return prefix


def single(text: str) -> Prefix:
    """One address: bare, or with /32 or /128."""
    prefix = network(text)
    if not prefix.is_single:
        raise ValueError(f"{text} is more than one address")
    return prefix


def address(text: str) -> None:
    """A bare IP address."""
    parse_address(text)


def address4(text: str) -> None:
    """A bare IPv4 address."""
    if parse_address(text)[0] != 4:
        raise ValueError(f"{text} is no IPv4 address")


def address6(text: str) -> None:
    """A bare IPv6 address."""
    if parse_address(text)[0] != 6:
        raise ValueError(f"{text} is no IPv6 address")


def cidr4(text: str) -> None:
    """An IPv4 address, with or without a prefix length."""
    if network(text).version != 4:
        raise ValueError(f"{text} is not IPv4")


def cidr6(text: str) -> None:
    """An IPv6 address, with or without a prefix length."""
    if network(text).version != 6:
        raise ValueError(f"{text} is not IPv6")


selector = parse
"""Any selector."""


@lru_cache(_REMEMBERED)
def local_selector(text: str) -> Selector:
    """A selector without global(), which means something in a rule's namespaceSelector only."""
    found = parse(text)
    if found.mentions_global:
        raise ValueError("global() can only be used in an EntityRule namespaceSelector")
    return found


@lru_cache(_REMEMBERED)
def namespace_selector(text: str) -> Selector:
    """A rule's namespaceSelector: global() alone, or a selector without it."""
    found = parse(text)
    if found.mentions_global and found.canonical != "global()":
        raise ValueError("global() can't be combined with anything else")
    return found


@lru_cache(1024)
def protocol(value: int | str) -> int:
    """A protocol's name or number."""
    return parse_protocol(value)


def is_icmp(value: int | str | None) -> bool:
    """ICMP of either version; no error for what is no protocol."""
    return _number(value) in (ICMP, ICMPV6)


def icmp_version(value: int | str | None) -> int | None:
    """The IP version that the protocol belongs to, None for both (and for what is none)."""
    return {ICMP: 4, ICMPV6: 6}.get(_number(value))


def has_ports(value: int | str | None) -> bool:
    """TCP, UDP or SCTP."""
    return _number(value) in PORT_PROTOCOLS


def is_tcp(value: int | str | None) -> bool:
    """TCP."""
    return _number(value) == 6


def _number(value: int | str | None) -> int:
    try:
        return protocol(value) if value is not None else 0
    except ValueError:
        return 0


def port_protocol(value: int | str) -> None:
    """A protocol that has ports."""
    protocol(value)
    if not has_ports(value):
        raise ValueError(f"{value} has no ports: use TCP, UDP or SCTP")


@lru_cache(_REMEMBERED)
def port(value: int | str) -> None:
    """A port from 1 to 65535, a range "80:90", or the name of a port."""
    if is_port_name(value):
        if not _PORT_NAME.fullmatch(str(value)):
            raise ValueError(f"{value!r} is neither a port, a range such as 80:90, nor a name")
    elif parse_port_range(str(value)).first < 1:
        raise ValueError(f"{value}: ports begin with 1")


def single_port(value: int | str) -> None:
    """One port from 1 to 65535, or the name of one."""
    port(value)
    if isinstance(value, str) and not is_port_name(value):
        raise ValueError(f"{value!r}: a number stands without quotes here")


def service_port_name(text: str) -> None:
    """A name as of services (RFC 6335): 15 lower-case letters, digits and "-" at most."""
    if not _SERVICE.fullmatch(text) or "--" in text:
        raise ValueError(
            f"{text!r} is no port name: at most 15 lower-case letters, digits and '-', "
            "with a letter among them"
        )


def is_port_name(value: int | str) -> bool:
    """Whether it names a port, rather than being a number or a range."""
    return isinstance(value, str) and not value.replace(":", "").isdecimal()


def dns_label(text: str) -> None:
    """A DNS label (RFC 1123): at most 63 lower-case letters, digits and "-"."""
    if len(text) > 63 or not _DNS_LABEL.fullmatch(text):
        raise ValueError(
            f"{text!r} is no DNS label: at most 63 lower-case letters, digits and '-', "
            "not '-' at either end"
        )


@lru_cache(_REMEMBERED)
def dns_subdomain(text: str) -> None:
    """DNS labels joined with dots, at most 253 characters."""
    if len(text) > 253 or not _DNS_SUBDOMAIN.fullmatch(text):
        raise ValueError(
            f"{text!r} is no DNS name: at most 253 lower-case letters, digits, '-' and '.', "
            "each part with a letter or digit at both ends"
        )


@lru_cache(_REMEMBERED)
def qualified_name(text: str) -> None:
    """A label's or annotation's key: a name, with an optional DNS name and "/" before it."""
    prefix, slash, name = text.rpartition("/")
    if slash:
        dns_subdomain(prefix)
    if len(name) > 63 or not _QUALIFIED.fullmatch(name):
        raise ValueError(
            f"{text!r} is no label key: at most 63 letters, digits, '-', '_' and '.', with a "
            "letter or digit at both ends, after an optional 'dns.name/'"
        )


def annotation_key(text: str) -> None:
    """As for a label, in any case."""
    qualified_name(text.lower())


@lru_cache(_REMEMBERED)
def label_value(text: str) -> None:
    """At most 63 letters, digits, "-", "_" and ".", a letter or digit at both ends; or empty."""
    if text and (len(text) > 63 or not _QUALIFIED.fullmatch(text)):
        raise ValueError(
            f"{text!r} is no label value: at most 63 letters, digits, '-', '_' and '.', with a "
            "letter or digit at both ends"
        )


def interface(text: str) -> None:
    """A network interface's name, or "*"."""
    if not _INTERFACE.fullmatch(text):
        raise ValueError(f"{text!r} is no interface: '*', or 1 to 15 of A-Z a-z 0-9 _ . -")


def interface_filter(text: str) -> None:
    """An interface's name, or one with + at its end for all that begin so."""
    if not _INTERFACE_FILTER.fullmatch(text):
        raise ValueError(f"{text!r} is no interface filter: 1 to 15 of A-Z a-z 0-9 : . _ + -")


def interface_glob(text: str) -> None:
    """An interface's name in which * stands for anything."""
    interface(text.replace("*", "x"))


def regular_expression(text: str) -> None:
    """A regular expression."""
    try:
        re.compile(text)
    except (re.error, OverflowError, RecursionError) as error:
        raise ValueError(f"{text!r} is no regular expression: {error}") from None


def port_name(text: str) -> None:
    """A name for a port."""
    if not _PORT_NAME.fullmatch(text):
        raise ValueError(f"{text!r} is no port name: 1 to 128 of A-Z a-z 0-9 _ . -")


def health_name(text: str) -> None:
    """The name of a part of the agent."""
    if not _HEALTH_NAME.fullmatch(text):
        raise ValueError(f"{text!r} is no name: letters, digits, '_', '-' and spaces")


def is_address(text: str, version: int) -> bool:
    """Whether it is an address of the family, or absent."""
    try:
        return not text or parse_address(text)[0] == version
    except ValueError:
        return False


def mentions_global(text: str) -> bool:
    """Whether the selector has global() in it; no error for what is no selector."""
    try:
        return parse(text).mentions_global
    except ValueError:
        return False


def duration(text: str) -> None:
    """A duration as Go writes it: "1m30s", "1.5h"."""
    if len(text) > 100 or not _DURATION.fullmatch(text):
        raise ValueError(f"{text!r} is no duration such as 1m30s")


def mac(text: str) -> None:
    """A MAC address of six bytes."""
    if not _MAC.fullmatch(text):
        raise ValueError(f"{text!r} is no MAC address such as 66:2d:f4:01:23:ab")


def wireguard_key(text: str) -> None:
    """A WireGuard public key: 32 bytes as base64."""
    if not _WIREGUARD_KEY.fullmatch(text):
        raise ValueError(f"{text!r} is no WireGuard key: 32 bytes as base64")


def dscp(value: int | str) -> None:
    """0 to 63, or a class: DF, EF, AF11 to AF43, CS0 to CS6."""
    number = int(value) if isinstance(value, int) or value.isdecimal() else -1
    if not 0 <= number <= 63 and str(value).upper() not in _DSCP:
        raise ValueError(f"{value!r} is no DSCP: 0 to 63, DF, EF, AF11 to AF43 or CS0 to CS6")


def as_number(value: int | str) -> int:
    """0 to 4294967295, as number, text, or "high.low" with 16 bits each."""
    high, dot, low = str(value).rpartition(".")
    parts = [high, low] if dot else [low]
    bound = 2**16 if dot else 2**32
    if not all(part.isascii() and part.isdecimal() and len(part) <= 10 for part in parts):
        raise ValueError(f"{value!r} is no AS number")
    numbers = [int(part) for part in parts]
    if max(numbers) >= bound:
        raise ValueError(f"{value!r} is no AS number: at most {bound - 1}")
    return numbers[0] if not dot else (numbers[0] << 16) + numbers[1]


def date_time(text: str) -> None:
    """A date and time as in RFC 3339."""
    if not _DATE_TIME.fullmatch(text):
        raise ValueError(f"{text!r} is no time such as 2026-01-31T12:00:00Z")
