"""What the driver of IPIP asks for, on links in memory: most kernels that run tests have no IPIP.

With a real device it is in `test_ipip_driver.py`, run by `make test-vm`.
"""

import errno
from collections.abc import Callable

import pytest
from msgspec.structs import replace

from dataplane.memory_links import Memory, opened
from tortie.dataplane.contract import Failure
from tortie.dataplane.tunnels import IpipDriver, IpipSettings
from tortie.engine.delta import Delta, Encapsulation, Host, Pool
from tortie.linux.netlink.rtlink import Link
from tortie.linux.netlink.sockets import NetlinkError
from tortie.net import Prefix, parse_network, parse_prefix

POOL = parse_network("10.65.0.0/16")
MAIN, END = parse_prefix("172.16.1.1/24"), parse_prefix("10.65.1.1")
ON, OFF = Encapsulation(ipip=True), Encapsulation()
HOST = Host("n1", MAIN, ipip=END)


@pytest.fixture
def links() -> Memory:
    return Memory(MAIN)


@pytest.fixture
def driver(links: Memory, monkeypatch: pytest.MonkeyPatch) -> IpipDriver:
    return made(links, monkeypatch)


def made(links: Memory, monkeypatch: pytest.MonkeyPatch, mtu: int = 0) -> IpipDriver:
    monkeypatch.setattr(IpipDriver, "_links", property(lambda _: links))
    return IpipDriver(IpipSettings("n1", mtu=mtu), opened)


def on(host: Host = HOST) -> Delta:
    return Delta(encapsulation=ON, pools={POOL: Pool(POOL, ipip_mode="Always")}, hosts={"n1": host})


def device(links: Memory) -> tuple[int, bool, list[Prefix]]:
    found = links.held["tunl0"]
    return found.mtu, found.up, links.given["tunl0"]


def test_it_is_up_with_the_nodes_address_and_what_the_uplink_leaves(
    links: Memory, driver: IpipDriver
) -> None:
    assert driver.apply(on()).failed == ()
    assert device(links) == (1480, True, [END])


def test_an_mtu_that_is_set_holds(links: Memory, monkeypatch: pytest.MonkeyPatch) -> None:
    assert made(links, monkeypatch, 1300).apply(on()).failed == ()
    assert device(links)[0] == 1300


def test_what_somebody_changed_is_mended_and_then_nothing_is_written(
    links: Memory, driver: IpipDriver
) -> None:
    driver.apply(on())
    before = driver.written
    assert driver.link_changed("tunl0", "up").failed == ()
    assert driver.written == before
    links.add(Link(7, "tunl0", "ipip", mtu=1400), parse_prefix("10.1.1.1"))
    assert driver.link_changed("tunl0", "down").failed == ()
    assert device(links) == (1480, True, [END])
    assert driver.written == before + 1


def test_it_follows_its_uplink(links: Memory, driver: IpipDriver) -> None:
    driver.apply(on())
    links.set_mtu("eth0", 1400)
    assert driver.link_changed("eth0", "up").failed == ()
    assert device(links)[0] == 1380


def test_it_moves_with_the_nodes_address_to_another_uplink(
    links: Memory, driver: IpipDriver
) -> None:
    """News of the one that loses it, and then of any: the next one may be it."""
    driver.apply(on())
    links.given["eth0"].clear()
    [failure] = driver.link_changed("eth0", "address").failed
    assert "no interface of this node has its address 172.16.1.1/32" in failure.message
    links.add(Link(3, "eth1", mtu=1400, up=True), MAIN)
    assert driver.link_changed("eth1", "address").failed == ()
    assert device(links)[0] == 1380


def test_news_that_do_not_concern_it_cost_no_look(links: Memory, driver: IpipDriver) -> None:
    driver.apply(on())
    links.add(Link(3, "eth1", mtu=1400, up=True))
    before = links.looks
    driver.link_changed("eth0", "up")
    driver.link_changed("eth1", "address")
    assert links.looks == before
    driver.apply(Delta(encapsulation=OFF))
    before = links.looks
    for name in ("eth0", "eth1", "tunl0"):
        driver.link_changed(name, "address")
    assert links.looks == before


def test_other_settings_are_taken_with_the_next_write(links: Memory, driver: IpipDriver) -> None:
    driver.apply(on())
    assert not driver.configure(IpipSettings("n1"))
    assert driver.configure(IpipSettings("n1", mtu=1200))
    assert driver.apply(Delta()).failed == ()
    assert device(links)[0] == 1200


def test_an_address_of_the_other_ip_version_is_another_one(
    links: Memory, driver: IpipDriver
) -> None:
    links.given["eth0"] = [Prefix(6, MAIN.address, 64)]
    [failure] = driver.apply(on()).failed
    assert "172.16.1.1/32" in failure.message


def test_another_address_of_the_node_in_the_tunnel_takes_the_place_of_the_first(
    links: Memory, driver: IpipDriver
) -> None:
    driver.apply(on())
    other = parse_prefix("10.65.1.9")
    assert driver.apply(Delta(hosts={"n1": replace(HOST, ipip=other)})).failed == ()
    assert device(links)[2] == [other]


@pytest.mark.parametrize(
    "told",
    [
        Delta(hosts={"n1": Host("n1")}),
        Delta(hosts_removed=frozenset({"n1"})),
    ],
)
def test_a_node_without_an_address_is_named(driver: IpipDriver, told: Delta) -> None:
    driver.apply(on())
    [failure] = driver.apply(told).failed
    assert "no IPv4 address" in failure.message
    assert driver.apply(Delta(hosts={"n1": HOST})).failed == ()


def test_a_foreign_interface_of_that_name_is_left_alone(links: Memory, driver: IpipDriver) -> None:
    links.add(Link(7, "tunl0", "bridge", mtu=1300), END)
    [failure] = driver.apply(on()).failed
    assert "no IPIP device (bridge)" in failure.message
    assert driver.apply(Delta(encapsulation=OFF)).failed == ()
    assert device(links) == (1300, False, [END])


@pytest.mark.parametrize(
    ("held", "left", "is_up"),
    [
        ([END], [], False),  # the Node tells of it
        ([parse_prefix("10.65.7.7")], [], False),  # of a pool: a former life's
        ([parse_prefix("10.65.7.7/24")], [parse_prefix("10.65.7.7/24")], True),
        ([parse_prefix("192.0.2.1"), END], [parse_prefix("192.0.2.1")], False),
        ([parse_prefix("192.0.2.1")], [parse_prefix("192.0.2.1")], True),  # somebody else's tunnel
        ([], [], True),
    ],
)
def test_of_a_device_that_is_not_asked_for_only_ours_is_taken(
    links: Memory, driver: IpipDriver, held: list[Prefix], left: list[Prefix], is_up: bool
) -> None:
    links.add(Link(7, "tunl0", "ipip", mtu=1480, up=True), *held)
    driver.fold(replace(on(), encapsulation=OFF))
    assert driver.resync().failed == ()
    assert device(links) == (1480, is_up, left)


def test_an_address_of_before_that_no_pool_has_is_ours_too(
    links: Memory, driver: IpipDriver
) -> None:
    outside = parse_prefix("203.0.113.1")
    driver.apply(on(replace(HOST, ipip=outside)))
    driver.apply(Delta(hosts={"n1": Host("n1", MAIN)}))
    links.add_address("tunl0", outside)
    assert driver.apply(Delta(encapsulation=OFF)).failed == ()
    assert device(links)[1:] == (False, [])


def refusing(number: int) -> Callable[[str], None]:
    def refuse(name: str) -> None:
        raise NetlinkError(number, "", name)

    return refuse


@pytest.mark.parametrize(
    ("number", "words"), [(errno.EOPNOTSUPP, "modprobe ipip"), (errno.EPERM, "not permitted")]
)
def test_a_kernel_that_can_not_make_it_is_told_apart_from_one_that_may_not(
    links: Memory, driver: IpipDriver, number: int, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(links, "create_ipip", refusing(number))
    [failure] = driver.apply(on()).failed
    assert isinstance(failure, Failure)
    assert words in failure.message.lower()
