"""Others' changes of a table, of routes and tunnel entries are told; ours and unrelated are not."""

import asyncio
import os
import subprocess
from collections.abc import Callable, Iterator

import pytest

from tortie.linux import namespaces
from tortie.linux.libnftables import Nftables
from tortie.linux.links import Links
from tortie.linux.netlink.nftevents import Transaction, TransactionMonitor, WholeTable
from tortie.linux.netlink.rtforeign import ForeignChange, ForeignMonitor, What
from tortie.linux.netlink.rtnetlink import RTN_BLACKHOLE, KernelRoute
from tortie.linux.netlink.sockets import NetlinkSocket
from tortie.linux.routes import Routes
from tortie.net import parse_prefix

pytestmark = pytest.mark.root


@pytest.fixture(autouse=True)
def inside() -> Iterator[None]:
    name = f"tortie-foreign-{os.getpid()}"
    path = namespaces.create_named(name)
    try:
        with namespaces.in_namespace(path):
            yield
    finally:
        namespaces.delete_named(name)


def run(*command: str, text: str = "") -> None:
    subprocess.run(command, check=True, input=text, text=True, capture_output=True)


class Heard:
    """What came, and how often something was lost."""

    def __init__(self) -> None:
        self.found: list[object] = []
        self.losses = 0
        self._news = asyncio.Event()

    def append(self, found: object) -> None:
        self.found.append(found)
        self._news.set()

    def lose(self) -> None:
        self.losses += 1
        self._news.set()

    def hear(self, watch: TransactionMonitor | ForeignMonitor, enough: Callable[[], bool]) -> None:
        """Listen until it is enough."""

        async def listen() -> None:
            watch.start()
            async with asyncio.timeout(20):
                while not enough():
                    await self._news.wait()
                    self._news.clear()

        try:
            asyncio.run(listen())
        finally:
            watch.close()


def test_transactions_of_others_on_our_table_are_told_with_who_did_them() -> None:
    heard = Heard()
    with Nftables() as ours:
        assert ours.port
        watch = TransactionMonitor(WholeTable("mine"), [ours.port], heard.append, heard.lose)
        ours.run("add table ip mine; add chain ip mine c; add rule ip mine c counter")
        run("nft", "add table inet mine; add table ip minerals; add chain ip minerals mine")
        run("nft", "flush chain ip mine c")
        run("nft", "add table inet fw; add set ip mine s { type ipv4_addr; }")
        ours.run("delete set ip mine s")
        run("nft", "flush ruleset")
        heard.hear(watch, lambda: len(heard.found) >= 3)
    programs = [one.program for one in heard.found if isinstance(one, Transaction)]
    assert programs == ["nft"] * 3
    assert heard.losses == 0


def test_lost_transactions_are_told() -> None:
    heard = Heard()
    run("nft", "add table ip mine; add set ip mine s { type ipv4_addr; }")
    watch = TransactionMonitor(WholeTable("mine"), [], heard.append, heard.lose)
    for group in range(64):
        members = ", ".join(f"10.{group}.{one // 250}.{one % 250}" for one in range(2000))
        run("nft", "-f", "-", text=f"add element ip mine s {{ {members} }}")
    heard.hear(watch, lambda: heard.losses > 0)


def test_routes_of_the_given_protocols_and_replacements_are_told() -> None:
    heard = Heard()
    with NetlinkSocket() as sock:
        Links(sock).set_up("lo")
        watch = ForeignMonitor([80], heard.append, heard.lose)
        Routes(sock).add(KernelRoute(parse_prefix("10.1.0.0/16"), RTN_BLACKHOLE, protocol=80))
        run("ip", "route", "add", "blackhole", "10.2.0.0/16", "proto", "bird")
        run("ip", "route", "delete", "blackhole", "10.2.0.0/16", "proto", "bird")
        run("ip", "route", "replace", "blackhole", "10.1.0.0/16", "proto", "bird")
        run("ip", "-6", "route", "add", "blackhole", "fd00::/64", "proto", "80")
        run("ip", "route", "flush", "proto", "80")
        run("ip", "-6", "route", "flush", "proto", "80")
        heard.hear(watch, lambda: len(heard.found) >= 4)
        routes = [one for one in heard.found if isinstance(one, ForeignChange)]
        assert [one.port == sock.port for one in routes] == [True, False, False, False]
    assert all(one.what is What.ROUTE and one.route is not None for one in routes)
    assert [str(one.route and one.route.destination) for one in routes] == [
        "10.1.0.0/16",
        "10.1.0.0/16",
        "fd00::/64",
        "fd00::/64",
    ]


def test_entries_and_addresses_of_a_tunnel_are_told() -> None:
    heard = Heard()
    run("ip", "link", "add", "vx", "type", "vxlan", "id", "7", "dstport", "4789", "nolearning")
    run("ip", "link", "set", "vx", "up")
    watch = ForeignMonitor([80], heard.append, heard.lose)
    run("bridge", "fdb", "add", "02:00:00:00:00:09", "dev", "vx", "dst", "192.0.2.1", "permanent")
    run("bridge", "fdb", "delete", "02:00:00:00:00:09", "dev", "vx", "dst", "192.0.2.1")
    run("ip", "address", "add", "10.0.0.1/32", "dev", "vx")
    run("ip", "neighbour", "add", "10.0.0.2", "lladdr", "02:00:00:00:00:09", "dev", "vx")
    run("ip", "neighbour", "delete", "10.0.0.2", "dev", "vx")

    def kinds() -> list[What]:
        return [one.what for one in heard.found if isinstance(one, ForeignChange)]

    heard.hear(watch, lambda: kinds().count(What.NEIGHBOUR) >= 4 and What.ADDRESS in kinds())
    assert What.ROUTE not in kinds()
