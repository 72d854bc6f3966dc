"""Which address is the node's, by each method, and what is said of the others."""

import json
import os
import subprocess
import sys

import pytest

from tortie.linux.links import Links
from tortie.linux.namespaces import create_named, delete_named, in_namespace
from tortie.linux.netlink.sockets import NetlinkSocket
from tortie.net import Prefix, parse_prefix
from tortie.node.autodetect import Held, Surroundings, detect, parse_method

COMMAND = [sys.executable, "-m", "tortie.cli", "node", "autodetect", "-o", "json"]
HELD = [
    Held("lo", parse_prefix("127.0.0.1/8"), True),
    Held("docker0", parse_prefix("172.17.0.1/16"), True),
    Held("eth0", parse_prefix("169.254.7.7/16"), True),
    Held("eth1", parse_prefix("10.1.0.5/24"), False),
    Held("eth2", parse_prefix("10.2.0.5/24"), True),
    Held("bond0", parse_prefix("192.0.2.5/24"), True),
    Held("bond0", parse_prefix("fe80::5/64"), True),
    Held("bond0", parse_prefix("2001:db8::5/64"), True),
    Held("cali123", parse_prefix("10.9.0.1/32"), True),
]
AROUND = Surroundings(
    HELD,
    {
        ("203.0.113.1", 4): Prefix.single(4, 0xC0000205),
        ("both.example", 4): Prefix.single(4, 0xC0000205),
        ("both.example", 6): parse_prefix("2001:db8::5/128"),
        ("localhost", 4): Prefix.single(4, 0x7F000001),
    },
    ("10.2.0.5", "2001:db8::5"),
)


@pytest.mark.parametrize(
    ("method", "version", "address"),
    [
        ("first-found", 4, "10.2.0.5/24"),
        ("first-found", 6, "2001:db8::5/64"),
        ("interface=bond.*", 4, "192.0.2.5/24"),
        ("interface=eth1,bond0,eth2", 4, "192.0.2.5/24"),
        ("interface=docker0", 4, "172.17.0.1/16"),
        ("skip-interface=eth.*", 4, "192.0.2.5/24"),
        ("cidr=192.0.2.0/24,10.2.0.0/16", 4, "10.2.0.5/24"),
        ("cidr=10.9.0.0/16", 4, None),
        ("can-reach=203.0.113.1", 4, "192.0.2.5/24"),
        ("can-reach=203.0.113.9", 4, None),
        ("can-reach=203.0.113.1", 6, None),
        ("can-reach=both.example", 4, "192.0.2.5/24"),
        ("can-reach=both.example", 6, "2001:db8::5/64"),
        ("can-reach=localhost", 4, None),
        ("kubernetes-internal-ip", 4, "10.2.0.5/24"),
        ("kubernetes-internal-ip", 6, "2001:db8::5/64"),
        ("interface=nothing", 4, None),
    ],
)
def test_each_method_finds_its_address(method: str, version: int, address: str | None) -> None:
    found = detect(parse_method(method), version, AROUND)
    assert found.address == (parse_prefix(address) if address else None)
    assert method.split("=")[0] in found.reason
    chosen = [one.held.address for one in found.looks if not one.objection]
    assert chosen == ([parse_prefix(address)] if address else [])


def test_each_address_that_is_passed_over_is_told_with_the_reason() -> None:
    looks = detect(parse_method("first-found"), 4, AROUND).looks
    assert {one.held.interface: one.objection for one in looks} == {
        "lo": "never a node's interface",
        "docker0": "never a node's interface",
        "eth0": "only valid on the link",
        "eth1": "down",
        "eth2": "",
        "bond0": "not the first",
        "cali123": "never a node's interface",
    }


@pytest.mark.parametrize(
    "name",
    [
        *("docker0", "cbr0", "dummy0", "podman1", "virbr0", "lxcbr0", "veth1a", "lo", "br-4f"),
        *("cali12", "tunl0", "flannel.1", "kube-ipvs0", "cni0", "vxlan.calico", "vxlan-v6.calico"),
        *("wireguard.cali", "wg-v6.cali", "nodelocaldns"),
    ],
)
def test_other_programs_interfaces_are_never_the_first_found(name: str) -> None:
    address = parse_prefix("192.0.2.5/24")
    theirs = AROUND._replace(held=[Held(name, address, True)])
    assert detect(parse_method("first-found"), 4, theirs).address is None
    ours = AROUND._replace(held=[Held("eth0", address, True)])
    assert detect(parse_method("first-found"), 4, ours).address == address


def test_an_internal_address_that_the_machine_lacks_is_told_as_such() -> None:
    found = detect(
        parse_method("kubernetes-internal-ip"), 4, AROUND._replace(internal=("10.0.0.9",))
    )
    assert found.address == Prefix.single(4, 0x0A000009)
    assert "on no interface of this machine" in found.reason


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("first", "is no method"),
        ("interface=", "is no method"),
        ("interface=(", "no regular expression"),
        ("cidr=10.0.0.0/33", "10.0.0.0/33"),
        ("can-reach=a,b", "say what"),
        ("", "is no method"),
    ],
)
def test_what_is_no_method_is_refused(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason.replace("(", r"\(")):
        parse_method(text)


@pytest.mark.root
def test_the_command_looks_at_the_machine_and_explains() -> None:
    name = f"tad{os.getpid()}"
    path = create_named(name)
    try:
        with in_namespace(path):
            links = Links(NetlinkSocket())
            links.create_bridge("eth7")
            links.add_address("eth7", parse_prefix("192.0.2.9/24"))
            links.set_up("eth7")
            said = subprocess.run(
                [*COMMAND, "--ip-autodetection-method", "can-reach=192.0.2.77"],
                capture_output=True,
                text=True,
                timeout=60,
                check=True,
            )
    finally:
        delete_named(name)
    found = json.loads(said.stdout)
    assert found["ipv4"]["address"] == "192.0.2.9/24"
    assert found["ipv4"]["reason"] == "can-reach=192.0.2.77, on eth7"
    assert found["ipv6"]["address"] is None
