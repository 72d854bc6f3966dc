"""Settings of interfaces, as the kernel tells of their changes."""

import asyncio
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tortie.linux import sysctl
from tortie.linux.links import Links
from tortie.linux.namespaces import create_named, delete_named, in_namespace
from tortie.linux.netlink.rtnetconf import ALL_INTERFACES, Conf, ConfChange, ConfMonitor, read_conf
from tortie.linux.netlink.sockets import NetlinkSocket
from tortie.linux.netlink.wire import MalformedMessage, Message


@pytest.fixture
def namespace() -> Iterator[Path]:
    name = f"tortie-conf-{os.getpid()}"
    path = create_named(name)
    try:
        yield path
    finally:
        delete_named(name)


def turn(path: Path, name: str) -> int:
    """Give a setting its other value: a namespace begins with those of the machine."""
    with in_namespace(path):
        value = 1 - int(sysctl.read(name))
        sysctl.write(name, str(value))
    return value


@pytest.mark.root
@pytest.mark.parametrize(
    ("name", "version", "conf"),
    [
        ("net/ipv4/conf/caliA/rp_filter", 4, Conf.RP_FILTER),
        ("net/ipv4/conf/caliA/proxy_arp", 4, Conf.PROXY),
        ("net/ipv4/conf/caliA/forwarding", 4, Conf.FORWARDING),
        ("net/ipv6/conf/caliA/proxy_ndp", 6, Conf.PROXY),
        ("net/ipv6/conf/caliA/forwarding", 6, Conf.FORWARDING),
        ("net/ipv4/ip_forward", 4, Conf.FORWARDING),
    ],
)
def test_a_change_is_told_with_its_value(
    namespace: Path, name: str, version: int, conf: Conf
) -> None:
    async def heard() -> tuple[int, ConfChange]:
        found: asyncio.Queue[ConfChange] = asyncio.Queue()
        with in_namespace(namespace), NetlinkSocket() as sock:
            Links(sock).create_veth("caliA", "peer")
            link = Links(sock).get("caliA").index
            monitor = ConfMonitor(found.put_nowait, lambda: None)
        try:
            monitor.start()
            value = turn(namespace, name)
            wanted = ALL_INTERFACES if name == "net/ipv4/ip_forward" else link
            while True:
                change = await asyncio.wait_for(found.get(), 10)
                if (change.version, change.link, *change.values) == (version, wanted, conf):
                    return value, change
        finally:
            monitor.close()

    value, change = asyncio.run(heard())
    assert change.values == {conf: value}


@given(st.binary(max_size=120))
def test_no_bytes_break_the_reader(payload: bytes) -> None:
    with suppress(MalformedMessage):
        read_conf(Message(80, 0, 0, 0, payload))
