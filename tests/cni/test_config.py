"""The keys of the network configuration: what each changes, what is refused, and why."""

import asyncio
import json
import os
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tortie.cni import gates
from tortie.cni.config import parse_config
from tortie.cni.errors import CniError
from tortie.cni.fitting import check_fits, remarks
from tortie.cni.lease import Lease, wanted_routes
from tortie.cni.podcidr import RELEASING, uses_pod_cidrs, with_pod_cidrs
from tortie.cni.result import Attached, announced, render
from tortie.net import parse_network, parse_prefix

STOCK = {  # what Calico's manifests write, after the installer has filled it in
    "name": "k8s-pod-network",
    "cniVersion": "0.3.1",
    "type": "calico",
    "log_level": "info",
    "log_file_path": "/var/log/calico/cni/cni.log",
    "log_file_max_size": 100,
    "log_file_max_age": 30,
    "log_file_max_count": 10,
    "datastore_type": "kubernetes",
    "nodename": "n1",
    "mtu": 0,
    "ipam": {"type": "calico-ipam"},
    "policy": {"type": "k8s"},
    "kubernetes": {"kubeconfig": "/etc/cni/net.d/calico-kubeconfig"},
    "windows_use_single_network": True,
    "qps": 100,
    "burst": 200,
    "calico_api_group": "crd.projectcalico.org/v1",
    "endpoint_status_dir": "/var/run/calico/endpoint-status",
    "require_mtu_file": True,
    "ipam_lock_file": "/var/run/calico/ipam.lock",
}


def config(**values):
    return parse_config(json.dumps({**STOCK, **values}).encode())


def test_a_stock_configuration_fits():
    asyncio.run(check_fits(config(), "n1"))
    assert remarks(config(), "kubernetes:/kubeconfig") == []


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"device_type": "netkit"}, "device_type is 'netkit': interfaces are made as veth pairs"),
        ({"dataplane_options": {"type": "grpc"}}, "dataplane_options.type is 'grpc'"),
        ({"nodename": "n2"}, "nodename is 'n2': this node's agent runs as n1"),
        ({"nodename": "", "kubernetes": {"node_name": "n2"}}, "kubernetes.node_name is 'n2'"),
        ({"nodename_file": "/none/such"}, "there is no /none/such"),
    ],
)
def test_what_this_agent_can_not_do_is_refused(values, said):
    with pytest.raises(CniError) as caught:
        asyncio.run(check_fits(config(**values), "n1"))
    assert said in caught.value.message


def test_a_nodes_name_may_be_in_a_file(tmp_path):
    file = tmp_path / "nodename"
    named = config(nodename_file=str(file))
    asyncio.run(check_fits(config(nodename_file=str(file), nodename_file_optional=True), "n1"))
    file.write_text("n1\n")
    asyncio.run(check_fits(named, "n1"))
    file.write_text("n2")
    with pytest.raises(CniError, match="n2"):
        asyncio.run(check_fits(named, "n1"))


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir])
def test_what_is_no_file_is_not_waited_for(tmp_path, make):
    make(tmp_path / "nodename")
    with pytest.raises(CniError, match="nodename_file"):
        asyncio.run(check_fits(config(nodename_file=str(tmp_path / "nodename")), "n1"))


def test_a_gate_that_answers_in_drops_is_late(monkeypatch):
    monkeypatch.setattr(gates, "_LIMIT", 0.3)

    async def drip(_, writer):
        said = False
        with suppress(OSError):
            while True:
                writer.write(b"HTTP/1.1 200 OK\r\nx: " if not said else b"x")
                said = True
                await writer.drain()
                await asyncio.sleep(0.05)

    async def ask():
        server = await asyncio.start_server(drip, "127.0.0.1", 0)
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
        try:
            async with asyncio.timeout(30):
                await gates.check_gates([url])
        finally:
            server.close()

    with pytest.raises(CniError, match="not all answer within") as caught:
        asyncio.run(ask())
    assert caught.value.code == 11


@pytest.mark.parametrize(
    ("kind", "datastore", "said"),
    [
        (
            "kubernetes",
            "sqlite:/x",
            "datastore_type is 'kubernetes': the agent's datastore is sqli",
        ),
        ("etcdv3", "kubernetes:", "datastore_type is 'etcdv3'"),
        ("etcdv3", "etcd:http://x", ""),
        ("", "sqlite:/x", ""),
    ],
)
def test_another_datastore_is_told_and_changes_nothing(kind, datastore, said):
    found = remarks(config(datastore_type=kind), datastore)
    assert bool(found) == bool(said)
    assert said in "".join(found)


@pytest.mark.parametrize(
    "values",
    [
        {"ipam": None},
        {"ipam": {"type": ""}},
        {"ipam": {"assign_ipv4": None, "ipv4_pools": None}},
        {"container_settings": {"allow_ip_forwarding": None}},
        {"runtimeConfig": {"portMappings": []}},
    ],
)
def test_what_is_absent_in_any_way_is_the_default(values):
    assert config(**values) == config()


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"num_queues": 5000}, "$.num_queues"),
        ({"readiness_gates": "http://x"}, "$.readiness_gates"),
        ({"ipam": {"type": "a/b"}}, "ipam.type is 'a/b'"),
        ({"ipam": {"type": ".."}}, "ipam.type is '..'"),
        ({"feature_control": {"floating_ips": "yes"}}, "$.feature_control.floating_ips"),
    ],
)
def test_what_is_no_value_is_named(values, said):
    with pytest.raises(CniError) as caught:
        config(**values)
    assert said in caught.value.message


CIDRS = ("10.65.3.0/24", "fd00:65::/64")


def test_the_nodes_own_cidrs_stand_in_for_their_names():
    found = with_pod_cidrs({"type": "host-local", "subnet": "usePodCidr", "x": 1}, CIDRS)
    assert found == {"type": "host-local", "subnet": "10.65.3.0/24", "x": 1}
    ranges = [[{"subnet": "usePodCidr"}], [{"subnet": "usePodCidrIPv6", "gateway": "::1"}]]
    assert with_pod_cidrs({"ranges": ranges}, CIDRS)["ranges"] == [
        [{"subnet": "10.65.3.0/24"}],
        [{"subnet": "fd00:65::/64", "gateway": "::1"}],
    ]
    assert uses_pod_cidrs({"ranges": ranges})
    assert with_pod_cidrs({"ranges": ranges}, RELEASING)["ranges"][1][0]["subnet"] == "::/0"


def test_a_node_without_a_cidr_is_asked_again_later():
    with pytest.raises(CniError) as caught:
        with_pod_cidrs({"subnet": "usePodCidrIPv6"}, CIDRS[:1])
    assert (caught.value.code, "no IPv6 podCIDR yet" in caught.value.message) == (11, True)


@given(
    st.recursive(
        st.one_of(st.none(), st.text(max_size=5), st.integers()),
        lambda inner: st.one_of(
            st.lists(inner, max_size=3),
            st.dictionaries(st.sampled_from(["subnet", "ranges", "x"]), inner, max_size=3),
        ),
    ).map(lambda value: {"subnet": value, "ranges": value})
)
def test_whatever_else_is_there_is_left_to_the_plugin(ipam):
    assert not uses_pod_cidrs(ipam)
    assert with_pod_cidrs(ipam, ()) == ipam


def prefixes(*texts):
    return tuple(map(parse_network, texts))


@pytest.mark.parametrize(
    ("addresses", "own", "with_default", "wanted"),
    [
        (("10.0.0.1",), (), False, ("0.0.0.0/0",)),
        (("10.0.0.1", "fd00::1"), (), False, ("0.0.0.0/0", "::/0")),
        (("10.0.0.1",), ("10.0.0.0/8", "fd00::/8"), False, ("10.0.0.0/8",)),
        (("10.0.0.1",), ("10.0.0.0/8",), True, ("0.0.0.0/0", "10.0.0.0/8")),
        (("10.0.0.1",), ("0.0.0.0/0",), True, ("0.0.0.0/0",)),
    ],
)
def test_routes_are_the_networks_own_or_everything(addresses, own, with_default, wanted):
    lease = Lease(prefixes(*addresses), prefixes(*own))
    assert wanted_routes(lease, with_default) == prefixes(*wanted)


BOTH = Attached(
    "cali1",
    "eth0",
    "/run/netns/x",
    "02:00:00:00:00:01",
    1450,
    (parse_prefix("10.0.0.1/32"), parse_prefix("fd00::1/128")),
    prefixes("0.0.0.0/0", "::/0"),
    {"nameservers": ["10.0.0.53"]},
)


@pytest.mark.parametrize("version", ["0.1.0", "0.2.0"])
def test_a_result_of_the_first_versions_has_an_address_a_family(version):
    assert render(BOTH, version) == {
        "cniVersion": version,
        "ip4": {
            "ip": "10.0.0.1/32",
            "gateway": "169.254.1.1",
            "routes": [{"dst": "0.0.0.0/0", "gw": "169.254.1.1"}],
        },
        "ip6": {
            "ip": "fd00::1/128",
            "gateway": "fe80::ecee:eeff:feee:eeee",
            "routes": [{"dst": "::/0", "gw": "fe80::ecee:eeff:feee:eeee"}],
        },
        "dns": {"nameservers": ["10.0.0.53"]},
    }


def test_what_a_result_announced_is_found_in_it_again():
    assert announced(render(BOTH, "1.0.0"), "eth0") == {"10.0.0.1/32", "fd00::1/128"}
    assert announced(render(BOTH, "1.0.0"), "eth1") == frozenset()
    assert announced(render(BOTH, "0.2.0"), "eth0") == frozenset()
    assert announced(None, "eth0") == frozenset()


@given(
    st.recursive(
        st.none() | st.integers(),
        lambda x: (
            st.lists(x)
            | st.dictionaries(
                st.sampled_from(["interfaces", "ips", "name", "sandbox", "interface"]), x
            )
        ),
        max_leaves=8,
    )
)
def test_what_is_no_result_announces_nothing_wrong(value):
    assert announced({"interfaces": value, "ips": value}, "eth0") == frozenset()
