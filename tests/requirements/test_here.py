"""What the machine itself says, in a namespace that is made to say it."""

import itertools
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from requirements.cases import MASQUERADED
from tortie.linux.links import Links
from tortie.linux.namespaces import create_named, delete_named, in_namespace, path_of
from tortie.linux.netlink.rtlink import Vxlan
from tortie.linux.netlink.sockets import NetlinkSocket
from tortie.net import parse_prefix
from tortie.requirements.checks.b6_ranges import host_routes

pytestmark = pytest.mark.root

_NUMBERS = itertools.count(1)


@pytest.fixture
def place() -> Iterator[Path]:
    name = f"here{os.getpid()}-{next(_NUMBERS)}"
    create_named(name)
    yield path_of(name)
    delete_named(name)


def check(place: Path) -> dict[str, dict[str, str]]:
    """The rows by what they are about."""
    command = ["nsenter", f"--net={place}", sys.executable, "-m", "tortie.cli", "node", "check"]
    done = subprocess.run(
        [*command, "--datastore", "memory:", "-o", "json"],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.stderr == ""
    return {one["what"]: one for one in json.loads(done.stdout)["rows"]}


def restore(kind: str, text: str) -> None:
    subprocess.run([f"iptables-{kind}-restore"], input=text, text=True, check=True)


def test_what_is_planted_in_a_namespace_is_found(place: Path) -> None:
    before = check(place)
    for what in (
        "one iptables",
        "--masquerade-all",
        "source check",
        "kube-proxy",
        "our interfaces",
    ):
        assert before[what]["verdict"] == "ok", before[what]
    assert before["IPVS"]["verdict"] == "unneeded"
    with in_namespace(place), NetlinkSocket() as sock:
        restore("legacy", "*filter\n-A FORWARD -j ACCEPT\nCOMMIT\n")
        chains = ":KUBE-MARK-MASQ - [0:0]\n:KUBE-SVC-NPX46M4PTMTKRN6Y - [0:0]\n"
        restore("nft", f"*nat\n{chains}{MASQUERADED}COMMIT\n")
        Path("/proc/sys/net/ipv4/conf/all/rp_filter").write_text("2")
        Links(sock).create_veth("kube-ipvs0", "tunl0")
    after = check(place)
    assert "1 rules of iptables-legacy and 1 of" in after["one iptables"]["found"]
    assert after["--masquerade-all"]["verdict"] == "missing"
    assert after["source check"]["verdict"] == "warning"
    assert after["IPVS"]["verdict"] != "unneeded"
    assert "kube-ipvs0 is here" in after["kube-proxy"]["found"]
    assert "tunl0 is a veth, not ipip" in after["our interfaces"]["found"]


def test_a_port_in_use_is_told(place: Path) -> None:
    assert check(place)["VXLAN"]["found"] == "UDP 4789 free"
    with in_namespace(place), NetlinkSocket() as sock:
        Links(sock).create_vxlan("vxlan.calico", Vxlan(vni=4096, port=4789))
        Links(sock).set_up("vxlan.calico")
    found = check(place)["VXLAN"]
    assert (found["verdict"], found["found"]) == ("ok", "UDP 4789 in use (kernel)")


def test_a_port_of_a_strangers_is_told_with_its_name(place: Path) -> None:
    code = "import socket; s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM);"
    code += "s.bind(('0.0.0.0', 4789)); print('bound', flush=True); s.recv(1)"
    command = ["nsenter", f"--net={place}", sys.executable, "-c", code]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as stranger:
        assert stranger.stdout is not None
        try:
            assert stranger.stdout.readline() == "bound\n"
            found = check(place)["VXLAN"]
        finally:
            stranger.kill()
    assert found["verdict"] == "warning"
    assert "UDP 4789 is python" in found["found"]


def test_routes_of_the_host_are_told_apart_from_ours(place: Path) -> None:
    with in_namespace(place), NetlinkSocket() as sock:
        links = Links(sock)
        links.create_veth("eth0", "cali123")
        for name, address in (("eth0", "192.0.2.1/24"), ("cali123", "10.3.0.1/24")):
            links.add_address(name, parse_prefix(address))
            links.set_up(name)
        ours = ["ip", "route", "add", "10.4.0.0/26", "via", "192.0.2.9", "proto"]
        subprocess.run([*ours, "80"], check=True)
        theirs = ["ip", "route", "add", "10.5.0.0/16", "via", "192.0.2.9"]
        subprocess.run(theirs, check=True)
        found = {str(prefix) for _, prefix in host_routes() if prefix.version == 4}
    assert found == {"192.0.2.0/24", "10.5.0.0/16"}
