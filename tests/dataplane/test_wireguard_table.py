"""WireGuard's routing table on a real kernel: what leads where, and what is left of before.

Any interface will do as the device: what it does with packets is of no account here.
"""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from tortie.dataplane.wireguard.desired import Way
from tortie.dataplane.wireguard.settings import WireguardSettings
from tortie.dataplane.wireguard.table import WireguardTable
from tortie.linux import namespaces
from tortie.linux.links import Links
from tortie.linux.netlink.rtnetlink import (
    RTN_BLACKHOLE,
    RTN_THROW,
    RTN_UNICAST,
    KernelRoute,
)
from tortie.linux.netlink.rtrule import Rule
from tortie.linux.netlink.sockets import NetlinkSocket
from tortie.linux.routes import Routes
from tortie.linux.rules import Rules
from tortie.net import Prefix, parse_network

pytestmark = pytest.mark.root
BLOCKS = {4: parse_network("10.65.1.0/26"), 6: parse_network("fd00:65:1::/122")}
SETTINGS = WireguardSettings("me", Path("/nowhere"), enabled=True)


class Kernel:
    """A namespace with a device."""

    def __init__(self, sock: NetlinkSocket) -> None:
        self.sock, self.routes, self.rules = sock, Routes(sock), Rules(sock)
        links = Links(sock)
        links.create_veth("wg", "far")
        for name in ("lo", "wg", "far"):
            links.set_up(name)
        self.device = links.get("wg").index
        self.written = 0

    def table(self, settings: WireguardSettings) -> WireguardTable:
        return WireguardTable(settings, self.sock, self.count)

    def count(self, written: int) -> None:
        self.written += written

    def held(self, settings: WireguardSettings) -> list[tuple[int, int]]:
        """What its table has: kinds of routes and their metrics."""
        found = self.routes.list(settings.version, table=settings.table)
        return sorted((route.type, route.priority) for route in found)

    def ours(self, version: int = 4) -> list[tuple[int, int, int]]:
        found = self.rules.list(version)
        return [(one.priority, one.table, one.mask) for one in found if one.protocol == 80]


@pytest.fixture
def kernel() -> Iterator[Kernel]:
    name = f"tortie-wgtable-{os.getpid()}"
    path = namespaces.create_named(name)
    try:
        with namespaces.in_namespace(path), NetlinkSocket() as sock:
            yield Kernel(sock)
    finally:
        namespaces.delete_named(name)


def written(kernel: Kernel, settings: WireguardSettings, way: Way | None, device: int) -> None:
    """As by a new agent with these settings, which knows of one block."""
    table = kernel.table(settings)
    there = table.read()
    assert table.write([(one, way) for one in {BLOCKS[settings.version], *there}], device) == {}
    before = kernel.written
    assert table.write([(BLOCKS[settings.version], way)], device) == {}
    again = kernel.table(settings)
    again.read()
    assert again.write([(BLOCKS[settings.version], way)], device) == {}
    assert kernel.written == before  # all is adopted as it is


@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.parametrize(
    ("way", "has_device", "routes"),
    [
        (Way.DEVICE, True, [(RTN_UNICAST, 1024), (RTN_BLACKHOLE, 2048)]),
        (Way.DEVICE, False, [(RTN_BLACKHOLE, 2048)]),
        (Way.NOWHERE, True, [(RTN_BLACKHOLE, 2048)]),
        (Way.MAIN, True, [(RTN_THROW, 1024)]),
        (None, True, []),
    ],
)
def test_each_way_has_its_routes_whatever_was_there(
    kernel: Kernel, version: int, way: Way | None, has_device: bool, routes: list[tuple[int, int]]
) -> None:
    settings = replace(SETTINGS, version=version)
    device = kernel.device if has_device else 0
    for before in (None, *Way):
        written(kernel, settings, before, kernel.device)
        written(kernel, settings, way, device)
        assert kernel.held(settings) == routes


@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.parametrize("priorities", [(1024, 512), (512, 1024), (512, 100), (100, 1024)])
def test_another_metric_leaves_no_route_of_before(
    kernel: Kernel, version: int, priorities: tuple[int, int]
) -> None:
    """It would lead to the device for ever, or drop, whatever is wanted later."""
    for priority in priorities:
        settings = replace(SETTINGS, version=version, priority=priority)
        written(kernel, settings, Way.DEVICE, kernel.device)
        assert kernel.held(settings) == [(RTN_UNICAST, priority), (RTN_BLACKHOLE, 2 * priority)]
    written(kernel, settings, None, kernel.device)
    assert kernel.held(settings) == []


def test_what_is_gone_already_is_no_failure_and_what_can_not_be_written_is_one(
    kernel: Kernel,
) -> None:
    table, block = kernel.table(SETTINGS), BLOCKS[4]
    assert table.read() == set()  # a table that never was
    assert list(table.write([(block, Way.DEVICE)], 12345)) == [block]
    assert kernel.held(SETTINGS) == [(RTN_BLACKHOLE, 2048)]
    assert table.write([(block, Way.DEVICE)], kernel.device) == {}
    for route in kernel.routes.list(4, table=SETTINGS.table):
        kernel.routes.delete(route)
    assert table.write([(block, None)], kernel.device) == {}
    assert table.write([(block, Way.MAIN)], kernel.device) == {}
    assert kernel.held(SETTINGS) == [(RTN_THROW, 1024)]


def test_others_routes_in_our_table_are_theirs(kernel: Kernel) -> None:
    theirs = KernelRoute(BLOCKS[4], RTN_BLACKHOLE, protocol=4, table=SETTINGS.table, priority=7)
    kernel.routes.add(theirs)
    assert kernel.table(SETTINGS).read() == set()


def rule(**changes: object) -> Rule:
    wanted = Rule(4, 99, 1, mask=0x100000, protocol=80)
    return replace(wanted, **changes)


@pytest.mark.parametrize(
    "theirs",
    [
        rule(priority=50, protocol=4),  # somebody else's
        rule(priority=50, mark=0x100000),
        rule(priority=50, mask=0),
        rule(priority=50, inverted=True),
        rule(priority=50, source=Prefix(4, 0x0A000000, 8)),
    ],
)
def test_there_is_one_rule_of_ours_and_others_stay(kernel: Kernel, theirs: Rule) -> None:
    kernel.rules.add(theirs)
    table = kernel.table(SETTINGS)
    for _ in range(2):
        table.route_by_rule(True)
        assert rule() in kernel.rules.list(4)
    assert kernel.written == 1
    table.route_by_rule(False)
    assert rule() not in kernel.rules.list(4)
    assert theirs in kernel.rules.list(4)


@pytest.mark.parametrize(
    "former",
    [
        rule(table=45),
        rule(priority=98),
        rule(mask=0x200000),
        rule(table=254, priority=42),  # by mistake: what is in the main table stays
    ],
)
@pytest.mark.parametrize("wanted", [True, False])
def test_a_rule_of_other_settings_goes_and_its_table_with_it(
    kernel: Kernel, former: Rule, wanted: bool
) -> None:
    kernel.rules.add(former)
    block = BLOCKS[4]
    left = KernelRoute(block, RTN_BLACKHOLE, protocol=80, table=former.table, priority=7)
    theirs = KernelRoute(block, RTN_BLACKHOLE, protocol=4, table=former.table, priority=8)
    for route in (left, theirs):
        kernel.routes.add(route)
    kernel.table(SETTINGS).route_by_rule(wanted)
    assert kernel.ours() == ([(99, 1, 0x100000)] if wanted else [])
    found = [route.priority for route in kernel.routes.list(4, table=former.table)]
    assert found == ([8] if former.table == 45 else [7, 8])
