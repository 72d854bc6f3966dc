"""Ports, ranges of them, and protocols."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tortie.net import (
    PROTOCOL_NUMBERS,
    PortRange,
    parse_port_range,
    parse_protocol,
    protocol_name,
)

_ports = st.integers(0, 65535)


@given(_ports, _ports)
def test_a_range_reads_as_it_is_written(one: int, other: int) -> None:
    ports = PortRange(min(one, other), max(one, other))
    assert parse_port_range(str(ports)) == ports
    assert parse_port_range(f"{ports.first}:{ports.last}") == ports


@given(_ports, _ports, _ports)
def test_a_range_holds_its_ends_and_what_lies_between(first: int, last: int, port: int) -> None:
    assert (port in PortRange(first, last)) == (first <= port <= last)
    assert str(port) not in PortRange(0, 65535)


@pytest.mark.parametrize("text", ["", "-1", "65536", "80:", ":80", "80-90", "http", "٨٠", "1:2:3"])
def test_what_is_no_port_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a port number"):
        parse_port_range(text)


def test_a_range_that_ends_before_it_begins_is_refused() -> None:
    with pytest.raises(ValueError, match="'90:80' ends before it begins"):
        parse_port_range("90:80")


@pytest.mark.parametrize(("name", "number"), PROTOCOL_NUMBERS.items())
def test_a_protocol_has_a_name_in_any_case_and_a_number(name: str, number: int) -> None:
    spellings = (name, name.lower(), name.upper(), str(number), number)
    assert {parse_protocol(spelling) for spelling in spellings} == {number}
    assert protocol_name(number) == name


def test_a_protocol_without_a_name_here_is_its_number() -> None:
    assert parse_protocol(47) == parse_protocol("47") == 47
    assert protocol_name(47) == "47"


@pytest.mark.parametrize("value", ["", "TCPX", 0, "0", 256, "256", -1, "1.0", "٦"])
def test_what_is_no_protocol_is_refused_with_the_names(value: str | int) -> None:
    with pytest.raises(ValueError, match="is not a protocol: use TCP, UDP"):
        parse_protocol(value)
