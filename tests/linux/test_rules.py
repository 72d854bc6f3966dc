"""Routing rules, and the switch of checksums, on a real kernel."""

import os
from collections.abc import Iterator

import pytest

from tortie.linux import namespaces
from tortie.linux.ethtool import offloads_checksums, set_checksum_offload
from tortie.linux.links import Links
from tortie.linux.netlink.rtnetlink import Vxlan
from tortie.linux.netlink.rtrule import Rule, parse_rule
from tortie.linux.netlink.sockets import NetlinkSocket
from tortie.linux.netlink.wire import MalformedMessage
from tortie.linux.rules import Rules
from tortie.net import Prefix

pytestmark = pytest.mark.root


@pytest.fixture
def sock() -> Iterator[NetlinkSocket]:
    name = f"tortie-rules-{os.getpid()}"
    path = namespaces.create_named(name)
    try:
        with namespaces.in_namespace(path), NetlinkSocket() as sock:
            yield sock
    finally:
        namespaces.delete_named(name)


@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.parametrize("table", [1, 100_000])
def test_a_rule_comes_back_as_it_was_asked_for(
    sock: NetlinkSocket, version: int, table: int
) -> None:
    rules = Rules(sock)
    wanted = Rule(version, 99, table, mask=0x100000, protocol=80)
    marked = Rule(version, 98, table, mark=0x200000, mask=0x200000, inverted=True, protocol=80)
    width = 8 if version == 4 else 48
    source = Prefix(version, 0xFD << (24 if version == 4 else 120), width)
    sourced = Rule(version, 97, table, protocol=80, source=source)
    for rule in (wanted, marked, sourced, wanted):  # a second time is no error
        rules.add(rule)
    there = [rule for rule in rules.list(version) if rule.table == table]
    assert there == [sourced, marked, wanted]
    for rule in (wanted, marked, sourced, wanted):
        rules.delete(rule)
    assert [rule for rule in rules.list(version) if rule.table == table] == []


def test_bytes_that_are_no_rule_are_refused() -> None:
    with pytest.raises(MalformedMessage):
        parse_rule(b"\x07" * 12)
    with pytest.raises(MalformedMessage):
        parse_rule(b"\x02")


def test_checksums_are_made_here_where_the_card_can_not(sock: NetlinkSocket) -> None:
    links = Links(sock)
    links.create_vxlan("vxlan.calico", Vxlan(4096, 4789))
    assert offloads_checksums("vxlan.calico")
    assert set_checksum_offload("vxlan.calico", False)
    assert not offloads_checksums("vxlan.calico")
    assert not set_checksum_offload("vxlan.calico", False)
    with pytest.raises(OSError, match="nosuch"):
        offloads_checksums("nosuch")
    with pytest.raises(ValueError, match="cannot name"):
        offloads_checksums("../eth0")
