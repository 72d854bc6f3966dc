"""Addresses, CIDRs, and the maps of them, against the standard library and brute force."""

import ipaddress

from fuzz.targets import Target, as_text, promised
from tortie.net import (
    MaximalPrefixes,
    Prefix,
    PrefixMap,
    format_address,
    parse_address,
    parse_network,
    parse_prefix,
)

_MOST_LINES = 12


def check(data: bytes) -> None:
    """Each line by itself, then all CIDRs among them as a set."""
    networks = []
    for line in as_text(data).split("\n")[:_MOST_LINES]:
        _address(line)
        prefix = _prefix(line)
        networks += [prefix.network] if prefix else []
    _cover(networks)
    _map(networks)


def _address(text: str) -> None:
    try:
        version, number = parse_address(text)
    except ValueError as error:
        promised(str(error), "an error says something")
        promised(_standard(text) is None, f"{text!r} was refused")
        return
    assert _standard(text) == (version, number)
    assert parse_address(format_address(version, number)) == (version, number)


def _standard(text: str) -> tuple[int, int] | None:
    try:
        found = ipaddress.ip_address(text)
    except ValueError:
        return None
    return None if "%" in text else (found.version, int(found))


def _prefix(text: str) -> Prefix | None:
    try:
        prefix = parse_prefix(text)
    except ValueError as error:
        promised(str(error), "an error says something")
        return None
    assert parse_prefix(str(prefix)) == prefix
    network = parse_network(text)
    assert network == prefix.network == network.network
    assert network.contains(prefix)
    standard = ipaddress.ip_network(text, strict=False)
    assert (int(standard[0]), int(standard[-1])) == (network.address, network.last)
    return prefix


def _cover(networks: list[Prefix]) -> None:
    cover = MaximalPrefixes()
    held: set[Prefix] = set()
    for step, network in enumerate([*networks, *networks]):
        change = cover.add(network) if step < len(networks) else cover.remove(network)
        assert held.issuperset(change.removed)
        held = (held - set(change.removed)) | set(change.added)
        assert cover.cover == sorted(held)
        present = (
            networks[: step + 1] if step < len(networks) else networks[step + 1 - len(networks) :]
        )
        assert held == {
            each for each in present if not any(o.contains(each) and o != each for o in present)
        }


def _map(networks: list[Prefix]) -> None:
    found: PrefixMap[int] = PrefixMap()
    for number, network in enumerate(networks):
        found[network] = number
    assert list(found) == sorted(set(networks))
    for network in networks:
        containing = [each for each, _ in found.covering(network)]
        assert containing == sorted(each for each in set(networks) if each.contains(network))
    for network in set(networks):
        del found[network]
    assert not found


TARGET = Target(
    check,
    lambda: [
        b"10.0.0.1",
        b"10.0.0.5/24\n10.0.0.0/8\n10.1.0.0/16\n0.0.0.0/0",
        b"fd00::1\nfd00::/8\n::/0\n::ffff:1.2.3.4/96\nfe80::1%eth0",
        b"10.0.0.0/8\n10.0.0.0/9\n10.128.0.0/9\n10.0.0.0/8",
    ],
    lambda: ["/32", "/128", "/0", "::", ":", ".", "255", "ffff", "%eth0", "/08", "\n", "\u0663"],
    size=512,
)
