"""What the environment of a start says: calico-node's variables, each used or refused with why."""

import re
from pathlib import Path

import pytest

from tortie.api.checks import as_number
from tortie.node.start_settings import StartSettings, start_settings
from tortie.node.variables import VARIABLES, doubtful, unread


def read(**environ: str) -> StartSettings:
    return start_settings(environ, None, "Machine-1")


def test_nothing_said_is_calicos_defaults() -> None:
    found = read()
    assert (found.node, found.backend, found.waits) == ("machine-1", "bird", False)
    assert {version: pool.block_size for version, pool in found.pools.items()} == {4: 26, 6: 122}
    assert [found.pools[one].nat_outgoing for one in (4, 6)] == [True, False]
    assert {(pool.ipip, pool.vxlan) for pool in found.pools.values()} == {("Never", "Never")}
    assert found.nodename_file == Path("/var/lib/calico/nodename")
    assert found.shutdown_file == Path("/var/lib/calico/shutdownTS")


@pytest.mark.parametrize(
    ("environ", "given", "name"),
    [
        ({"NODENAME": "N1", "HOSTNAME": "h"}, None, "n1"),
        ({"HOSTNAME": "H"}, None, "h"),
        ({"NODENAME": "n1"}, "n2", "n2"),
        ({}, None, "machine-1"),
    ],
)
def test_the_name_is_the_nearest_one(environ: dict[str, str], given: str | None, name: str) -> None:
    assert start_settings(environ, given, "machine-1").node == name


@pytest.mark.parametrize(
    ("text", "mode"),
    [
        *((text, "Never") for text in ("", "off", "Never")),
        *((text, "CrossSubnet") for text in ("CrossSubnet", "cross-subnet", "crosssubnet")),
        ("ALWAYS", "Always"),
    ],
)
def test_modes_are_read_in_every_spelling(text: str, mode: str) -> None:
    assert read(CALICO_IPV4POOL_IPIP=text).pools[4].ipip == mode
    assert read(CALICO_IPV4POOL_VXLAN=text).pools[4].vxlan == mode
    assert read(CALICO_IPV6POOL_VXLAN=text).pools[6].vxlan == mode


def test_each_pools_settings_are_its_own() -> None:
    found = read(
        CALICO_IPV4POOL_CIDR="10.9.0.0/16",
        CALICO_IPV4POOL_BLOCK_SIZE="28",
        CALICO_IPV4POOL_NAT_OUTGOING="no",
        CALICO_IPV4POOL_NODE_SELECTOR="zone == 'a'",
        CALICO_IPV6POOL_CIDR="fd09::/48",
        CALICO_IPV6POOL_NAT_OUTGOING="true",
        CALICO_IPV6POOL_DISABLE_BGP_EXPORT="1",
    )
    four, six = found.pools[4], found.pools[6]
    assert (four.cidr, four.block_size, four.nat_outgoing) == ("10.9.0.0/16", 28, False)
    assert (four.node_selector, four.disable_bgp_export) == ("zone == 'a'", False)
    assert (six.cidr, six.block_size, six.nat_outgoing) == ("fd09::/48", 122, True)
    assert (six.node_selector, six.disable_bgp_export) == ("all()", True)


@pytest.mark.parametrize(
    ("environ", "versions", "reason"),
    [
        ({"NO_DEFAULT_POOLS": "True"}, [], "NO_DEFAULT_POOLS"),
        ({"FELIX_IPV6SUPPORT": "false"}, [4], ""),
        ({"CALICO_NETWORKING_BACKEND": "none"}, [], "another plugin gives out"),
        ({"CALICO_NETWORKING_BACKEND": "none", "CALICO_IPV4POOL_CIDR": "10.9.0.0/16"}, [4], ""),
        ({"CALICO_NETWORKING_BACKEND": "VXLAN"}, [4, 6], ""),
    ],
)
def test_pools_are_made_only_where_we_give_out_addresses(
    environ: dict[str, str], versions: list[int], reason: str
) -> None:
    found = read(**environ)
    assert sorted(found.pools) == versions
    assert reason in found.no_pools


@pytest.mark.parametrize(
    ("environ", "reason"),
    [
        ({"NODENAME": "a/b"}, "a/b"),
        ({"CALICO_NETWORKING_BACKEND": "ospf"}, "CALICO_NETWORKING_BACKEND is 'ospf': use one of"),
        (
            {"NO_DEFAULT_POOLS": "true", "CALICO_IPV4POOL_CIDR": "10.9.0.0/16"},
            "NO_DEFAULT_POOLS is true, and CALICO_IPV4POOL_CIDR is set",
        ),
        ({"CALICO_IPV4POOL_IPIP": "on"}, "CALICO_IPV4POOL_IPIP is 'on': use Always"),
        ({"CALICO_IPV6POOL_VXLAN": "x"}, "CALICO_IPV6POOL_VXLAN"),
        (
            {"CALICO_IPV4POOL_IPIP": "Always", "CALICO_IPV4POOL_VXLAN": "Always"},
            "are both on: choose one",
        ),
        ({"CALICO_IPV4POOL_BLOCK_SIZE": "19"}, "a number from 20 to 32"),
        ({"CALICO_IPV6POOL_BLOCK_SIZE": "many"}, "a number from 116 to 128"),
        ({"CALICO_IPV4POOL_NODE_SELECTOR": "zone =="}, "CALICO_IPV4POOL_NODE_SELECTOR"),
        ({"AS": "64512x"}, "AS: '64512x' is no AS number"),
        ({"CLUSTER_TYPE": "k8s,{bgp}"}, "CLUSTER_TYPE"),
        ({"CALICO_STARTUP_LOGLEVEL": "loud"}, "CALICO_STARTUP_LOGLEVEL is 'loud'"),
        ({"CALICO_K8S_NODE_REF": "../x"}, "CALICO_K8S_NODE_REF"),
        ({"CALICO_NODENAME_FILE": "nodename"}, "CALICO_NODENAME_FILE is 'nodename'"),
        ({"IP": "192.0.2.300"}, "IP: "),
        ({"IP6": "192.0.2.3"}, "IP6: "),
        ({"AUTODETECT_POLL_INTERVAL": "often"}, "AUTODETECT_POLL_INTERVAL: "),
        ({"AS": "0"}, "AS: 0 is nobody's number"),
        ({"AS": "0.0"}, "AS: 0 is nobody's number"),
        ({"CALICO_IPV4POOL_CIDR": "10.1.0.5/16"}, "write 10.1.0.0/16"),
        ({"CALICO_IPV4POOL_CIDR": "fd00::/64"}, "is no IPv4 range such as"),
        ({"CALICO_IPV4POOL_CIDR": "10.1.0.0"}, "is no IPv4 range such as"),
        ({"CALICO_IPV6POOL_CIDR": "fd00::1/64"}, "write fd00::/64"),
        (
            {"CALICO_IPV4POOL_CIDR": "10.1.0.0/28"},
            "10.1.0.0/28 is smaller than one block (/26): give a larger range, or smaller blocks by"
            " CALICO_IPV4POOL_BLOCK_SIZE",
        ),
    ],
)
def test_what_makes_no_sense_is_refused_by_name(environ: dict[str, str], reason: str) -> None:
    with pytest.raises(ValueError, match=re.escape(reason)):
        read(**environ)


@pytest.mark.parametrize(("value", "lines"), [("maybe", 1), ("yes", 0), ("F", 0), ("", 0)])
def test_a_switch_that_says_neither_is_a_yes_and_is_told(value: str, lines: int) -> None:
    environ = {"CALICO_IPV6POOL_NAT_OUTGOING": value}
    assert read(**environ).pools[6].nat_outgoing is (value in ("maybe", "yes"))
    assert len(list(doubtful(environ))) == lines


def test_an_as_number_may_have_a_dot() -> None:
    assert as_number(read(AS="1.10").as_number) == 65546


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("CALICO_DISABLE_FELIX", "true", "don't start `tortie agent`"),
        ("CALICO_DISABLE_FELIX", "false", ""),
        ("CALICO_MANAGE_CNI", "true", "`tortie cni install --watch`"),
        ("CALICO_DISABLE_FILE_LOGGING", "true", ""),
        ("CALICO_DISABLE_FILE_LOGGING", "false", "LogFilePath"),
        ("CALICO_IPV6POOL_IPIP", "Always", "IP-in-IP carries IPv4 only"),
        ("CALICO_IPV6POOL_IPIP", "Never", ""),
        ("VXLAN_VNI", "4096", "vxlanVNI"),
        ("NODENAME", "n1", ""),
    ],
)
def test_a_variable_that_nobody_reads_says_why(name: str, value: str, told: str) -> None:
    lines = list(unread({name: value}))
    assert len(lines) == bool(told)
    assert all(line.startswith(f"{name} is not used: ") and told in line for line in lines)


def test_every_variable_of_calico_nodes_start_is_read_or_refused() -> None:
    known = {variable.name for variable in VARIABLES}
    pools = {
        f"CALICO_IPV{version}POOL_{what}"
        for version in (4, 6)
        for what in (
            *("CIDR", "IPIP", "VXLAN", "BLOCK_SIZE", "NAT_OUTGOING", "NODE_SELECTOR"),
            "DISABLE_BGP_EXPORT",
        )
    }
    assert known >= pools | {
        *("NODENAME", "IP", "IP6", "IP_AUTODETECTION_METHOD", "IP6_AUTODETECTION_METHOD", "AS"),
        *("CALICO_ROUTER_ID", "CALICO_NETWORKING_BACKEND", "NO_DEFAULT_POOLS", "CLUSTER_TYPE"),
        *("WAIT_FOR_DATASTORE", "CALICO_K8S_NODE_REF", "CALICO_STARTUP_LOGLEVEL", "VXLAN_VNI"),
        *("CALICO_NODENAME_FILE", "DISABLE_NODE_IP_CHECK", "AUTODETECT_POLL_INTERVAL"),
        *("CALICO_MANAGE_CNI", "CALICO_DISABLE_FILE_LOGGING", "CALICO_DISABLE_FELIX"),
        *("KUBECONFIG", "DATASTORE_TYPE", "CNI_TOKEN_REFRESH_INTERVAL"),
    }
    assert all(bool(variable.readers) != bool(variable.refusal) for variable in VARIABLES)
