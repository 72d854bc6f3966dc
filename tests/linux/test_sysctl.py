"""Settings are named safely and written in the namespace of the thread."""

import os

import pytest

from tortie.linux import namespaces, sysctl


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("net.ipv4.ip_forward", "/proc/sys/net/ipv4/ip_forward"),
        ("net/ipv4/conf/eth0.100/forwarding", "/proc/sys/net/ipv4/conf/eth0.100/forwarding"),
        (sysctl.interface(6, "a.b", "accept_ra"), "/proc/sys/net/ipv6/conf/a.b/accept_ra"),
        (sysctl.neighbours(4, "c", "proxy_delay"), "/proc/sys/net/ipv4/neigh/c/proxy_delay"),
    ],
)
def test_names_become_paths(name: str, path: str) -> None:
    assert str(sysctl.path_of(name)) == path


@pytest.mark.parametrize(
    "name",
    [
        "",
        "net",
        "kernel.core_pattern",
        "net/../kernel/core_pattern",
        "net/ipv4/./x",
        "net..x",
        "/net/ipv4",
        "net/ipv4/conf/../../../kernel/core_pattern",
        "net/ipv4/conf/a b/x",
        "net/ipv4/\0",
        sysctl.interface(4, "../../../kernel", "core_pattern"),
    ],
)
def test_names_that_lead_elsewhere_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match="is no network setting"):
        sysctl.path_of(name)


@pytest.mark.root
def test_a_setting_is_written_in_one_namespace_alone() -> None:
    name = f"tortie-sysctl-{os.getpid()}"
    before = sysctl.read("net.ipv4.conf.lo.proxy_arp")
    other = "0" if before == "1" else "1"
    path = namespaces.create_named(name)
    try:
        with namespaces.in_namespace(path):
            sysctl.write("net.ipv4.conf.lo.proxy_arp", before)
            assert sysctl.write("net.ipv4.conf.lo.proxy_arp", other)
            assert not sysctl.write("net.ipv4.conf.lo.proxy_arp", other)
            assert sysctl.read("net.ipv4.conf.lo.proxy_arp") == other
    finally:
        namespaces.delete_named(name)
    assert sysctl.read("net.ipv4.conf.lo.proxy_arp") == before


def test_a_missing_setting_is_named() -> None:
    with pytest.raises(FileNotFoundError, match=r"sysctl net/ipv4/conf/nosuch/proxy_arp = 1"):
        sysctl.write(sysctl.interface(4, "nosuch", "proxy_arp"), "1")
    assert not sysctl.exists("net.ipv4.nosuch")
