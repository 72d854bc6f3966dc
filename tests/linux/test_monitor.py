"""Changes are told to the event loop as they happen, and lost ones are told to be lost."""

import asyncio
import os
from collections.abc import Awaitable, Callable, Iterator

import pytest

from tortie.linux import namespaces
from tortie.linux.links import Links
from tortie.linux.netlink import monitor
from tortie.linux.netlink.monitor import (
    AddressChanged,
    Event,
    LinkChanged,
    LinkState,
    Monitor,
    Overrun,
    RouteChanged,
)
from tortie.linux.netlink.rtnetlink import RTN_BLACKHOLE, KernelRoute
from tortie.linux.netlink.sockets import NetlinkSocket
from tortie.linux.routes import Routes, adding
from tortie.net import Prefix, parse_prefix

pytestmark = pytest.mark.root
ALL = monitor.LINK_GROUPS + monitor.ADDRESS_GROUPS + monitor.ROUTE_GROUPS


@pytest.fixture
def inside() -> Iterator[None]:
    name = f"tortie-mon-{os.getpid()}"
    path = namespaces.create_named(name)
    try:
        with namespaces.in_namespace(path):
            yield
    finally:
        namespaces.delete_named(name)


Found = Callable[[Callable[[Event], bool]], Awaitable[Event]]


def watching(
    groups: tuple[int, ...], work: Callable[[NetlinkSocket, Found], Awaitable[None]]
) -> None:
    """Run `work` with a socket, and with what waits until an event of a kind has come."""

    async def run() -> None:
        queue: asyncio.Queue[Event] = asyncio.Queue()
        watch = Monitor(queue.put_nowait, groups)

        async def found(fits: Callable[[Event], bool]) -> Event:
            async with asyncio.timeout(10):
                while not fits(event := await queue.get()):
                    pass
                return event

        with NetlinkSocket() as sock:
            watch.start()
            try:
                await work(sock, found)
            finally:
                watch.close()
                watch.close()

    asyncio.run(run())


@pytest.mark.usefixtures("inside")
def test_a_link_is_followed_from_birth_to_end() -> None:
    async def work(sock: NetlinkSocket, found: Found) -> None:
        links = Links(sock)

        def is_now(state: LinkState) -> Callable[[Event], bool]:
            return lambda event: (
                isinstance(event, LinkChanged)
                and event.link.name == "calia"
                and event.state == state
            )

        links.create_veth("calia", "peer")
        await found(is_now(LinkState.DOWN))
        links.set_up("calia")
        await found(is_now(LinkState.UP))
        links.set_down("calia")
        await found(is_now(LinkState.DOWN))
        links.delete("calia")
        await found(is_now(LinkState.GONE))

    watching(monitor.LINK_GROUPS, work)


@pytest.mark.usefixtures("inside")
def test_addresses_and_routes_are_followed() -> None:
    async def work(sock: NetlinkSocket, found: Found) -> None:
        address = parse_prefix("10.0.0.5/24")
        links = Links(sock)
        links.add_address("lo", address)
        await found(
            lambda e: isinstance(e, AddressChanged) and e.address.prefix == address and not e.gone
        )
        links.delete_address("lo", address)
        await found(
            lambda e: isinstance(e, AddressChanged) and e.address.prefix == address and e.gone
        )
        route = KernelRoute(parse_prefix("10.9.0.0/16"), RTN_BLACKHOLE, protocol=80)
        Routes(sock).add(route)
        await found(lambda e: e == RouteChanged(route, gone=False))
        Routes(sock).delete(route)
        await found(lambda e: e == RouteChanged(route, gone=True))

    watching(ALL, work)


@pytest.mark.usefixtures("inside")
def test_lost_notifications_are_told_and_listening_goes_on() -> None:
    async def work(sock: NetlinkSocket, found: Found) -> None:
        # The loop does not run meanwhile, so that nobody reads.
        many = [
            adding(KernelRoute(Prefix(4, (10 << 24) + n, 32), RTN_BLACKHOLE, protocol=80))
            for n in range(10000)
        ]
        assert sock.batch(many) == {}
        await found(lambda e: isinstance(e, Overrun))
        last = KernelRoute(parse_prefix("11.0.0.0/8"), RTN_BLACKHOLE, protocol=80)
        Routes(sock).add(last)
        await found(lambda e: e == RouteChanged(last, gone=False))

    watching(ALL, work)


@pytest.mark.usefixtures("inside")
def test_a_handler_may_close_the_monitor() -> None:
    async def run() -> list[Event]:
        seen: list[Event] = []

        def once(event: Event) -> None:
            seen.append(event)
            watch.close()
            done.set()

        done = asyncio.Event()
        watch = Monitor(once, ALL)
        with NetlinkSocket() as sock:
            watch.start()
            for last in (5, 6, 7):
                Links(sock).add_address("lo", parse_prefix(f"10.0.{last}.1/24"))
            async with asyncio.timeout(10):
                await done.wait()
        return seen

    assert len(asyncio.run(run())) == 1


@pytest.mark.usefixtures("inside")
@pytest.mark.parametrize("way", ["set_aside", "_set_aside_down"])  # the second on older kernels
def test_a_link_set_aside_is_gone_by_its_old_name(way: str) -> None:
    async def work(sock: NetlinkSocket, found: Found) -> None:
        links = Links(sock)
        links.create_veth("calia", "peer")
        links.set_up("calia")
        link = links.get("calia")
        assert getattr(links, way)(link, "cali-a", 77)

        def tells(name: str, state: LinkState) -> Callable[[Event], bool]:
            return lambda event: (
                isinstance(event, LinkChanged) and (event.link.name, event.state) == (name, state)
            )

        await found(tells("calia", LinkState.GONE))
        await found(tells("cali-a", LinkState.DOWN))
        aside = links.get("cali-a")
        assert (aside.group, aside.up) == (77, False)
        links.delete_group(77)
        await found(tells("cali-a", LinkState.GONE))
        assert not getattr(links, way)(link, "cali-b", 77)

    watching(monitor.LINK_GROUPS, work)
