"""The addresses that local workloads call: on their interfaces, and nobody's source."""

import json
import os
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest

from tortie.bgp.meeting import Meeting
from tortie.linux import namespaces
from tortie.net import parse_prefix

pytestmark = pytest.mark.root
FOUR, SIX = parse_prefix("169.254.179.1"), parse_prefix("fd00:179::1")


@pytest.fixture
def node() -> Iterator[str]:
    """A namespace with an uplink and a workload's interface."""
    name = f"tortie-meet-{os.getpid()}"
    path = str(namespaces.create_named(name))
    try:
        with namespaces.in_namespace(path):
            for line in (
                "link add eth0 type veth peer name far0",
                "link set far0 up",
                "address add 172.16.0.1/24 dev eth0",
                "address add fd00:16::1/64 dev eth0 nodad",
                "link set eth0 up",
                "link add cali1 type veth peer name far1",
                "link set far1 up",
                "link set cali1 up",
                "route add 10.65.0.9/32 dev cali1 scope link",
                "route add fd65::9/128 dev cali1",
            ):
                subprocess.run(["ip", *line.split()], check=True)
        yield path
    finally:
        namespaces.delete_named(name)


def ask(*words: str) -> list[dict[str, Any]]:
    found = subprocess.run(["ip", "-j", *words], check=True, capture_output=True)
    return list(json.loads(found.stdout))


def held(interface: str) -> set[str]:
    (found,) = ask("address", "show", "dev", interface)
    return {one["local"] for one in found["addr_info"]}


def test_they_are_held_and_the_node_speaks_from_its_own(node: str) -> None:
    with namespaces.in_namespace(node):
        meeting = Meeting()
        assert meeting.hold(frozenset({("cali1", FOUR), ("cali1", SIX)})) == ""
        assert {"169.254.179.1", "fd00:179::1"} <= held("cali1")
        assert ask("route", "get", "10.65.0.9")[0]["prefsrc"] == "172.16.0.1"
        assert ask("-6", "route", "get", "fd65::9")[0]["prefsrc"] == "fd00:16::1"
        told = {str(one["dst"]) for version in ("-4", "-6") for one in ask(version, "route")}
        assert not told & {"169.254.179.1", "fd00:179::1"}  # nothing that routing protocols see
        assert meeting.hold(frozenset({("cali1", SIX)})) == ""
        assert "169.254.179.1" not in held("cali1")
        assert "fd00:179::1" in held("cali1")


def test_an_interface_that_is_not_there_yet_is_no_trouble_and_gets_it_later(node: str) -> None:
    with namespaces.in_namespace(node):
        meeting = Meeting()
        wanted = frozenset({("cali2", FOUR)})
        assert meeting.hold(wanted) == ""
        subprocess.run(["ip", "link", "add", "cali2", "type", "veth"], check=True)
        assert meeting.hold(wanted) == ""
        assert held("cali2") == {"169.254.179.1"}
        subprocess.run(["ip", "link", "delete", "cali2"], check=True)
        assert meeting.hold(frozenset()) == ""
