"""Addresses for other plugins' interfaces: Debian's macvlan, bridge and ptp with calico-ipam."""

import json
import os
import subprocess

import pytest

from cni.chain import Chain, reference_plugins_lacking
from cni.kube_node import KubeNode, kube_node
from cni.look import addresses, findings, held, put_pod
from cni.node import RealNode
from tortie.api import IPPool, IPPoolSpec, Key, ObjectMeta
from tortie.controllers.collector import Collector

pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(bool(reference_plugins_lacking()), reason=reference_plugins_lacking()),
]
GRACE = 900.0  # seconds


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    node = RealNode(tmp_path_factory.mktemp("delegated"))
    try:
        node.start_ready()
        six = IPPoolSpec(cidr="fd00:77::/112", block_size=122)
        node.put(IPPool(metadata=ObjectMeta(name="six"), spec=six))
        yield node
    finally:
        node.close()


def network(node, kind="macvlan", version="1.0.0", name="lan", **more):
    """A network of one plugin of Debian's, whose addresses are ours."""
    more = {"master": "eth0", **more} if kind == "macvlan" else more
    return Chain(node, version=version, name=name, type=kind, **more)


def call(node, command, container="c1", netns="", ifname="net1", pod="", **config):
    """The program as another plugin starts it; (status, what it printed)."""
    environ = {
        "CNI_COMMAND": command,
        "CNI_CONTAINERID": container,
        "CNI_NETNS": netns,
        "CNI_IFNAME": ifname,
        "CNI_PATH": f"{node.plugin.parent}",
    }
    if pod:
        environ["CNI_ARGS"] = f"IgnoreUnknown=1;K8S_POD_NAMESPACE=default;K8S_POD_NAME={pod}"
    text = node.config(**{"name": "lan", "type": "sriov", **config})
    done = subprocess.run(
        [node.plugin.with_name("calico-ipam")],
        env=environ,
        input=json.dumps(text).encode(),
        capture_output=True,
        timeout=120,
        check=False,
    )
    return done.returncode, json.loads(done.stdout) if done.stdout else None


def looks(node, count=4):
    """What so many looks of the collector release, each long after the one before."""

    async def work(store):
        now = [0.0]
        collector = Collector(store, GRACE, lambda: now[0])
        released = []
        for _ in range(count):
            now[0] += 2 * GRACE
            released += [str(one) for one in (await collector.collect()).released]
        return released

    return node.store(work)


def test_each_version_of_each_plugin_gets_an_address_and_gives_it_back(shared):
    for number, (kind, version, more) in enumerate(
        (kind, version, more)
        for kind, more in (
            ("macvlan", {}),
            ("bridge", {"bridge": f"ttb{os.getpid()}"}),
            ("ptp", {}),
        )
        for version in ("0.2.0", "0.3.1", "0.4.0", "1.0.0")
    ):
        netns, container = shared.namespace(f"v{number}"), f"v{number}"
        lan = network(shared, kind, version, **more)
        lan.add(container, netns, ifname="net1")
        (address,) = held(shared, f"lan.{container}.net1")
        alone = address.partition("/")[0]
        assert addresses(netns, "net1") in ({f"{alone}/26"}, {address}), (kind, version)
        if version not in ("0.2.0", "0.3.1"):
            lan.check(container, netns, ifname="net1")
        assert findings(shared) == []
        lan.delete(container, netns, ifname="net1")
        assert held(shared, f"lan.{container}.net1") == ()


def test_both_families_pools_routes_and_gateway_are_as_configured(shared):
    ipam = {
        "type": "calico-ipam",
        "assign_ipv4": "true",
        "assign_ipv6": "true",
        "ipv4_pools": ["pool"],
        "routes": [{"dst": "10.9.0.0/16", "gw": "10.77.0.1"}, {"dst": "fd00:9::/64"}],
        "gateway": "10.77.0.1",
    }
    status, result = call(shared, "ADD", "both", "/run/none", ipam=ipam)
    assert (status, result["routes"]) == (
        0,
        [{"dst": "10.9.0.0/16", "gw": "10.77.0.1"}, {"dst": "fd00:9::/64"}],
    )
    four, six = result["ips"]
    assert (four["gateway"], four["address"].partition("/")[2]) == ("10.77.0.1", "26")
    assert ("gateway" in six, six["address"].partition("/")[2]) == (False, "122")
    assert "interfaces" not in result
    assert call(shared, "ADD", "both", "/run/none", ipam=ipam) == (0, result)  # once more
    assert len(held(shared, "lan.both.net1")) == 2
    status, old = call(shared, "ADD", "both", "/run/none", ipam=ipam, cniVersion="0.2.0")
    assert (status, old["ip4"]["ip"], old["ip6"]["ip"]) == (0, four["address"], six["address"])
    told = {"cniVersion": "1.0.0", "ips": result["ips"]}
    assert call(shared, "CHECK", "both", "/run/none", ipam=ipam, prevResult=told) == (0, None)
    wrong = {**told, "ips": [four]}
    status, error = call(shared, "CHECK", "both", "/run/none", ipam=ipam, prevResult=wrong)
    assert (status, error["code"]) == (1, 102)
    assert call(shared, "STATUS", "both", ipam=ipam, cniVersion="1.1.0") == (0, None)
    for _ in range(2):  # what is not there is no error
        assert call(shared, "DEL", "both", ipam=ipam) == (0, None)
    assert held(shared, "lan.both.net1") == ()
    status, error = call(shared, "CHECK", "both", "/run/none", ipam=ipam)
    assert (status, error["code"]) == (1, 102)


@pytest.mark.parametrize(
    ("ipam", "code"),
    [
        ({"routes": [{"dst": "10.9.0.0/16", "gw": "nowhere"}]}, 7),
        ({"routes": [{"gw": "10.9.0.1"}]}, 7),
        ({"gateway": "10.9.0.0/16"}, 7),
        ({"ipv4_pools": ["none"]}, 101),
        ({"assign_ipv4": "false"}, 7),
    ],
)
def test_what_can_not_be_served_leaves_nothing(shared, ipam, code):
    given = {"type": "calico-ipam", **ipam}
    status, error = call(shared, "ADD", "bad", "/run/none", ipam=given)
    assert (status, error["code"]) == (1, code)
    assert held(shared, "lan.bad.net1") == ()


def test_a_fixed_address_is_given_and_nobody_elses(shared):
    status, result = call(
        shared, "ADD", "f1", "/run/none", runtimeConfig={"ips": ["10.77.0.100/16"]}
    )
    assert (status, result["ips"][0]["address"]) == (0, "10.77.0.100/26")
    status, error = call(shared, "ADD", "f2", "/run/none", runtimeConfig={"ips": ["10.77.0.100"]})
    assert (status, error["code"]) == (1, 101)
    assert call(shared, "DEL", "f2") == (0, None)
    assert held(shared, "lan.f1.net1") == ("10.77.0.100/32",)
    call(shared, "DEL", "f1")


def test_gc_gives_back_what_is_not_listed_of_its_network_alone(shared):
    for container, name in (("g1", "lan"), ("g2", "lan"), ("g3", "other")):
        assert call(shared, "ADD", container, "/run/none", name=name)[0] == 0
    valid = {"cni.dev/valid-attachments": [{"containerID": "g1", "ifname": "net1"}]}
    status, _ = call(shared, "GC", "", "", ifname="", cniVersion="1.1.0", **valid)
    assert status == 0
    left = [
        held(shared, f"{n}.{c}.net1") for c, n in (("g1", "lan"), ("g2", "lan"), ("g3", "other"))
    ]
    assert [len(one) for one in left] == [1, 0, 1]
    for container, name in (("g1", "lan"), ("g3", "other")):
        call(shared, "DEL", container, name=name)


@pytest.fixture(params=["sqlite", "kubernetes"])
def node(request, tmp_path):
    """A node whose datastore has Pods."""
    if request.param == "kubernetes":
        with kube_node(tmp_path, request.getfixturevalue("kube")) as found:
            found.start_ready()
            yield found
        return
    found = RealNode(tmp_path)
    try:
        found.start_ready()
        yield found
    finally:
        found.close()


def delete_pod(node, name):
    if isinstance(node, KubeNode):
        node.remove(name)
    else:
        node.store(lambda store: store.delete(Key("Pod", "default", name)))


def delete_node(node):
    if isinstance(node, KubeNode):
        about = {"name": node.name}
        node.kube.api.delete({"apiVersion": "v1", "kind": "Node", "metadata": about})
    else:
        node.store(lambda store: store.delete(Key("Node", "", node.name)))


def test_the_collector_leaves_it_as_long_as_its_very_pod_and_its_node_are_there(node):
    put_pod(node, "web")
    lan, netns = network(node), node.namespace("web")
    lan.add("id-web", netns, "web", ifname="net1")
    lan.add("alone", node.namespace("alone"), ifname="net1")
    (address,), (others,) = held(node, "lan.id-web.net1"), held(node, "lan.alone.net1")
    assert findings(node) == []
    assert looks(node) == []
    delete_pod(node, "web")  # and the runtime never says DEL
    put_pod(node, "web")  # another one of its name
    assert looks(node) == [address]
    assert held(node, "lan.alone.net1") == (others,)  # of no Pod: nobody knows
    node.kill()
    delete_node(node)
    assert others in looks(node)


def test_our_own_interface_of_the_same_container_is_another_ones_address(shared):
    put_pod(shared, "two")
    netns = shared.namespace("two")
    first = shared.cni("ADD", "id-two", netns, "two")
    assert first.returncode == 0, first.stdout
    network(shared).add("id-two", netns, "two", ifname="net1")
    assert findings(shared) == []
    assert shared.cni("DEL", "id-two", netns, "two").returncode == 0
    assert len(held(shared, "lan.id-two.net1")) == 1
    network(shared).delete("id-two", netns, "two", ifname="net1")
    assert held(shared, "lan.id-two.net1") == ()
