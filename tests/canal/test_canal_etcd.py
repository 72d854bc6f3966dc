"""flannel with etcd, and its own CNI plugin, which delegates to ours with its subnet."""

import base64
import json
import urllib.request

import pytest

from canal.lab import Node, Switch, with_flannels_plugin
from cni.chain import reference_plugins_lacking
from cni.node import until
from cni.traffic import reaches
from servers.flannel_build import FLANNEL
from tortie.api import GlobalNetworkPolicy, GlobalNetworkPolicySpec, Key, ObjectMeta
from tortie.linux.links import Links
from tortie.linux.namespaces import in_namespace
from tortie.linux.netlink.sockets import NetlinkSocket

LACKING = FLANNEL.lacking() or reference_plugins_lacking()
pytestmark = [pytest.mark.root, pytest.mark.skipif(bool(LACKING), reason=LACKING or "-")]
NETWORK = {"Network": "10.245.0.0/16", "SubnetLen": 24, "Backend": {"Type": "vxlan"}}
PORT = 5000


def put(etcd, key, value):
    """As `etcdctl put`."""
    body = {name: base64.b64encode(text.encode()).decode() for name, text in (key, value)}
    request = urllib.request.Request(f"{etcd.endpoint}/v3/kv/put", json.dumps(body).encode())
    with urllib.request.urlopen(request, timeout=10) as answer:
        assert answer.status == 200


@pytest.fixture
def nodes(etcd, tmp_path):
    """Two nodes whose flannel and whose agents are on one etcd."""
    put(etcd, ("key", "/coreos.com/network/config"), ("value", json.dumps(NETWORK)))
    switch, found = Switch(), []
    try:
        for number in (1, 2):
            database = f"etcd:{etcd.endpoint}"
            none = {"CALICO_NETWORKING_BACKEND": "none"}
            node = Node(switch, tmp_path, number, database, settings=etcd.client, **none)
            found.append(node)
            node.reach(int(etcd.endpoint.rpartition(":")[2]))
            node.flannel(f"-etcd-endpoints={etcd.endpoint}")
            with_flannels_plugin(node)
            node.network = node.conflist("cbr0", flannels(node), version="0.3.1")
            node.start()
        for node in found:
            until(node.is_ready, f"readiness ({node.log})")
            until(node.knows_others, f"flannel's routes ({node.flannel_log})")
        yield found
    finally:
        for node in found:
            node.close()
        switch.close()


def flannels(node):
    """Of /etc/cni/net.d: flannel's plugin has the subnet's address and the MTU added to ours."""
    return {
        "type": "flannel",
        "subnetFile": str(node.subnet_file),
        "dataDir": str(node.folder / "flannel-cni"),
        "ipam": {"type": "host-local", "dataDir": str(node.folder / "host-local")},
        "delegate": {
            "type": "calico",
            "include_default_routes": True,
            "agent_socket": str(node.run_dir / "agent.sock"),
        },
    }


def _subnet(node):
    """The first three bytes of the addresses that flannel gave a node."""
    return _of(node.subnet_file.read_text().partition("FLANNEL_SUBNET=")[2])


def _of(address):
    return address.split(".")[:3]


def test_containers_of_flannels_plugin_are_ours_to_hold_to_policy(nodes):
    first, second = nodes
    pods = []
    for node, name in ((first, "one"), (second, "two"), (first, "three")):
        netns = node.namespace(name)
        result = node.network.add(f"id-{name}", netns)
        pods.append((netns, result["ips"][0]["address"]))
    one, two, three = pods
    assert [_subnet(first), _subnet(second)] == [_of(one[1]), _of(two[1])]
    with in_namespace(one[0]), NetlinkSocket() as sock:
        assert Links(sock).get("eth0").mtu == 1450
    until(lambda: reaches(two, one, PORT), "flannel's way")
    assert reaches(three, one, PORT)
    spec = GlobalNetworkPolicySpec(selector="all()", types=("Ingress",))
    revision = first.put(GlobalNetworkPolicy(metadata=ObjectMeta(name="shut"), spec=spec))
    for node in nodes:
        node.applied(revision)
    assert not reaches(two, one, PORT, attempts=1)
    assert not reaches(three, one, PORT, attempts=1)
    first.store(lambda store: store.delete(Key("GlobalNetworkPolicy", "", "shut")))
    for node in nodes:
        node.applied_all()
    assert reaches(two, one, PORT)
    for node, name in ((first, "one"), (second, "two"), (first, "three")):
        node.network.delete(f"id-{name}")
    until(lambda: not first.links() and not second.links(), "the end of all interfaces")
    assert not list((first.folder / "host-local").rglob("10.245.*"))
    assert first.store(lambda store: store.list("WorkloadEndpoint")).resources == ()
