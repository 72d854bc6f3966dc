"""Addresses and prefixes read and written as the standard library's ipaddress does."""

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strategies.net import near_prefixes, prefixes
from tortie.net import (
    Prefix,
    format_address,
    mask_of,
    parse_address,
    parse_network,
    parse_prefix,
    unmapped,
)

_any_prefix = st.one_of(prefixes(), near_prefixes())


@given(st.ip_addresses())
def test_addresses_agree_with_ipaddress(
    address: ipaddress.IPv4Address | ipaddress.IPv6Address,
) -> None:
    assert parse_address(str(address)) == (address.version, int(address))
    written = format_address(address.version, int(address))
    assert ipaddress.ip_address(written) == address
    assert parse_address(written) == (address.version, int(address))


@given(_any_prefix)
def test_prefixes_agree_with_ipaddress(prefix: Prefix) -> None:
    network = ipaddress.ip_network(str(prefix))
    assert prefix == (network.version, int(network.network_address), network.prefixlen)
    assert prefix.last == int(network.broadcast_address)
    assert mask_of(prefix.version, prefix.length) == int(network.netmask)
    assert prefix.is_single == (network.num_addresses == 1)
    assert parse_prefix(str(prefix)) == parse_network(str(prefix)) == prefix


@given(_any_prefix, st.integers(min_value=0))
def test_host_bits_are_kept_or_dropped_as_asked(prefix: Prefix, bits: int) -> None:
    address = prefix.address | bits & (prefix.last - prefix.address)
    text = str(prefix._replace(address=address))
    assert parse_prefix(text).address == address
    assert parse_prefix(text).network == parse_network(text) == prefix


@given(_any_prefix, _any_prefix)
def test_containing_is_containing_every_address(one: Prefix, other: Prefix) -> None:
    same_family = one.version == other.version
    inside = one.address <= other.address <= other.last <= one.last
    assert one.contains(other) == (same_family and inside)


def reading_error(text: str) -> str | None:
    """What parse_prefix says against a text; None if nothing."""
    try:
        parse_prefix(text)
    except ValueError as error:
        return str(error)
    return None


@given(st.text() | st.text("0123456789abcdef.:/", max_size=20))
def test_any_text_is_a_prefix_or_an_error_that_quotes_it(text: str) -> None:
    error = reading_error(text)
    if error is None:
        assert ipaddress.ip_interface(text).ip == ipaddress.ip_interface(str(parse_prefix(text))).ip
    else:
        assert repr(text.partition("/")[0]) in error or repr(text) in error


@pytest.mark.parametrize(
    "text",
    ["", "10.0.0", "10.0.0.1 ", "010.0.0.1", "10.0.0.256", "fe80::1%eth0", "::1::", "10.0.0.1\0"],
)
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not an IP address"):
        parse_address(text)


@pytest.mark.parametrize(
    "text", ["10.0.0.0/33", "::/129", "10.0.0.0/", "10.0.0.0/+8", "10.0.0.0/08", "10.0.0.0/٨"]
)
def test_what_is_no_prefix_length_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="prefix length"):
        parse_prefix(text)


def test_ipv6_is_written_in_its_shortest_form() -> None:
    assert str(parse_prefix("2001:DB8:0:0:1:0:0:1/64")) == "2001:db8::1:0:0:1/64"


def test_prefixes_sort_by_family_address_and_length() -> None:
    texts = ["10.0.0.0/8", "10.0.0.0/16", "10.1.0.0/16", "11.0.0.0/8", "::/0", "fd00::/8"]
    assert [str(prefix) for prefix in sorted(map(parse_prefix, reversed(texts)))] == texts


@given(_any_prefix)
def test_only_ipv4_mapped_prefixes_are_taken_for_ipv4(prefix: Prefix) -> None:
    if prefix.version == 4:
        mapped = Prefix(6, 0xFFFF << 32 | prefix.address, 96 + prefix.length)
        assert unmapped(mapped) == unmapped(prefix) == prefix
    elif prefix.length < 96 or prefix.address >> 32 != 0xFFFF:
        assert unmapped(prefix) == prefix
