"""Several interfaces of one pod, as Multus asks for them: addresses, policies, routes of each."""

from contextlib import ExitStack

import pytest

from cni.kube_node import KubeNode, kube_node
from cni.look import (
    NETWORK,
    addresses,
    endpoint,
    failed,
    held,
    inside,
    nothing_left,
    put_pod,
    result,
)
from cni.node import RealNode, address_of
from cni.traffic import reaches, udp_socket
from tortie.api import (
    EntityRule,
    GlobalNetworkPolicy,
    GlobalNetworkPolicySpec,
    IPPool,
    IPPoolSpec,
    Key,
    ObjectMeta,
    Rule,
    with_metadata,
)

pytestmark = pytest.mark.root
on_both = pytest.mark.parametrize(
    "kube_or_none", [False, True], ids=["sqlite", "kubernetes"], indirect=True
)
SECOND = {"name": "storage", "ipam": {"type": "calico-ipam", "ipv4_pools": ["storage"]}}


@pytest.fixture
def kube_or_none(request):
    """The API server where it is to be the datastore: others need none."""
    return request.getfixturevalue("kube") if getattr(request, "param", False) else None


@pytest.fixture
def node(tmp_path, kube_or_none):
    """A node with a pool for a second network."""
    with ExitStack() as opened:
        if kube_or_none is None:
            found = RealNode(tmp_path)
            opened.callback(found.close)
        else:
            found = opened.enter_context(kube_node(tmp_path, kube_or_none))
        found.start_ready()
        spec = IPPoolSpec(cidr="10.79.0.0/24", block_size=26)
        found.put(IPPool(metadata=ObjectMeta(name="storage"), spec=spec))
        yield found


def attached(node, name, **labels):
    """A pod with eth0 and net1: its namespace, and the address of each."""
    put_pod(node, name, **labels)
    netns = node.namespace(name)
    first = node.cni("ADD", f"id-{name}", netns, name)
    second = node.cni("ADD", f"id-{name}", netns, name, ifname="net1", **SECOND)
    return netns, address_of(first), address_of(second)


def policy(name, selector, *ingress):
    spec = GlobalNetworkPolicySpec(selector=selector, types=("Ingress",), ingress=ingress)
    return GlobalNetworkPolicy(metadata=ObjectMeta(name=name), spec=spec)


@on_both
def test_each_interface_has_its_address_endpoint_and_handle(node):
    netns, first, second = attached(node, "web", app="web")
    assert (addresses(netns), addresses(netns, "net1")) == ({first}, {second})
    assert second.startswith("10.79.0.")
    assert held(node, f"{NETWORK}.id-web") == (first,)
    assert held(node, "storage.id-web.net1") == (second,)
    found = endpoint(node, "n1-k8s-web-net1")
    assert found.spec.ip_networks == (second,)
    assert (found.spec.pod, found.spec.endpoint) == ("web", "net1")
    assert found.spec.profiles == ("kns.default",)
    assert found.metadata.labels["app"] == "web"
    assert found.metadata.labels["projectcalico.org/network"] == "storage"
    assert len(node.links()) == 2
    for ifname, more in (("eth0", {}), ("net1", SECOND)):
        done = node.cni("CHECK", "id-web", netns, "web", ifname=ifname, **more)
        assert done.returncode == 0, done.stdout


def test_the_first_has_the_default_route_the_second_a_table_of_its_own(node):
    netns, _, second = attached(node, "web")
    _, routes, rules = inside(netns)
    assert routes == {"0.0.0.0/0 dev eth0"}
    assert rules == {second}
    more = {**SECOND, "ipam": {**SECOND["ipam"], "routes": [{"dst": "10.79.0.0/16"}]}}
    done = node.cni("ADD", "id-web", netns, "web", ifname="net2", **more)
    assert [one["dst"] for one in result(done)["routes"]] == ["10.79.0.0/16"]
    assert inside(netns)[1] == {"0.0.0.0/0 dev eth0", "10.79.0.0/16 dev net2"}


def test_the_first_has_the_default_route_also_where_it_comes_last(node):
    client = attached(node, "client")
    put_pod(node, "web")
    netns = node.namespace("web")
    second = address_of(node.cni("ADD", "id-web", netns, "web", ifname="net1", **SECOND))
    assert inside(netns)[1] == {"0.0.0.0/0 dev net1"}
    first = address_of(node.cni("ADD", "id-web", netns, "web"))
    assert inside(netns)[1:] == ({"0.0.0.0/0 dev eth0"}, {second})
    for address in (first, second):
        assert reaches(client[:2], (netns, address), 5000)
    for ifname, more in (("eth0", {}), ("net1", SECOND)):
        done = node.cni("CHECK", "id-web", netns, "web", ifname=ifname, **more)
        assert done.returncode == 0, done.stdout


@on_both
def test_all_interfaces_at_once_have_one_first_among_them(node):
    put_pod(node, "web")
    netns = node.namespace("web")
    ends = [("eth0", {}), *[(f"net{number}", SECOND) for number in range(1, 6)]]
    calls = [node.cni_start("ADD", "id-web", netns, "web", ifname, **more) for ifname, more in ends]
    for call in calls:
        output = call.communicate(timeout=90)[0]
        assert call.returncode == 0, output
    links, routes, rules = inside(netns)
    assert routes == {"0.0.0.0/0 dev eth0"}
    assert rules == {one for ifname in links if "net" in ifname for one in addresses(netns, ifname)}


def test_packets_reach_each_address_and_leave_by_its_interface(node):
    client = attached(node, "client")
    server = attached(node, "server")
    for address in server[1:]:
        assert reaches(client[:2], (server[0], address), 5000)
    with (
        udp_socket(server[0], port=5001) as receiver,
        udp_socket(client[0], client[2].partition("/")[0]) as sender,
    ):
        receiver.settimeout(10)
        sender.settimeout(10)
        sender.sendto(b"x", (server[2].partition("/")[0], 5001))
        _, origin = receiver.recvfrom(64)
        assert origin[0] == client[2].partition("/")[0]


def test_each_interface_has_the_policy_that_selects_it(node):
    client, server = attached(node, "client"), attached(node, "server", app="server")
    nowhere = Rule(action="Allow", source=EntityRule(nets=("203.0.113.0/24",)))
    selector = "app == 'server' && projectcalico.org/network == 'storage'"
    node.applied(node.put(policy("second-only", selector, nowhere)))
    assert reaches(client[:2], (server[0], server[1]), 5000)
    assert not reaches(client[:2], (server[0], server[2]), 5000, attempts=1)
    node.applied(node.put(policy("both", "app == 'server'", nowhere)))
    assert not reaches(client[:2], (server[0], server[1]), 5000, attempts=1)


@on_both
def test_the_second_goes_alone_and_leaves_the_first(node):
    netns, first, _ = attached(node, "web")
    peer = attached(node, "peer")
    for _ in range(2):
        done = node.cni("DEL", "id-web", netns, "web", ifname="net1", **SECOND)
        assert done.returncode == 0, done.stdout
    assert endpoint(node, "n1-k8s-web-net1") is None
    assert held(node, "storage.id-web.net1") == ()
    assert inside(netns)[1:] == ({"0.0.0.0/0 dev eth0"}, set())
    assert reaches(peer[:2], (netns, first), 5000)
    again = node.cni("ADD", "id-web", netns, "web", ifname="net1", **SECOND)
    assert again.returncode == 0, again.stdout
    assert address_of(again).startswith("10.79.0.")


@on_both
def test_all_go_without_a_namespace(node):
    attached(node, "web")
    assert node.cni("DEL", "id-web", "", "web", ifname="net1", **SECOND).returncode == 0
    assert node.cni("DEL", "id-web", "", "web").returncode == 0
    nothing_left(node)


def test_annotations_speak_of_the_first_interface(node):
    put_pod(node, "web", {"ipAddrs": '["10.77.0.99"]', "hwAddr": "02:00:00:00:00:09"})
    netns = node.namespace("web")
    first = result(node.cni("ADD", "id-web", netns, "web"))
    second = result(node.cni("ADD", "id-web", netns, "web", ifname="net1", **SECOND))
    assert first["ips"][0]["address"] == "10.77.0.99/32"
    assert second["ips"][0]["address"].startswith("10.79.0.")
    assert second["interfaces"][1]["mac"] != "02:00:00:00:00:09"


def test_the_same_network_twice_is_two_addresses(node):
    put_pod(node, "web")
    netns = node.namespace("web")
    found = {
        address_of(node.cni("ADD", "id-web", netns, "web", ifname=one, **SECOND))
        for one in ("eth0", "net1", "net2")
    }
    assert len(found) == 3


@on_both
def test_a_later_container_of_the_pod_takes_over_each_interface(node):
    attached(node, "web")
    later = node.namespace("later")
    done = node.cni("ADD", "later", later, "web", ifname="net1", **SECOND)
    assert done.returncode == 0, done.stdout
    assert node.cni("DEL", "id-web", "", "web", ifname="net1", **SECOND).returncode == 0
    assert endpoint(node, "n1-k8s-web-net1").spec.container_id == "later"
    assert held(node, "storage.id-web.net1") == ()
    assert node.cni("CHECK", "later", later, "web", ifname="net1", **SECOND).returncode == 0


def test_an_interface_that_is_there_already_is_refused_and_stays(node):
    netns, _, _ = attached(node, "web")
    put_pod(node, "other")
    error = failed(node.cni("ADD", "id-other", netns, "other", ifname="net1", **SECOND))
    assert error["code"] == 5
    assert "net1" in inside(netns)[0]
    assert endpoint(node, "n1-k8s-other-net1") is None


@on_both
def test_labels_of_the_pod_are_its_second_endpoints_too(node):
    client, server = attached(node, "client"), attached(node, "server", app="server")
    relabel(node, "server", app="closed")
    nowhere = Rule(action="Allow", source=EntityRule(nets=("203.0.113.0/24",)))
    node.applied(node.put(policy("closed", "app == 'closed'", nowhere)))
    assert endpoint(node, "n1-k8s-server-net1").metadata.labels["app"] == "closed"
    assert not reaches(client[:2], (server[0], server[2]), 5000, attempts=1)


def relabel(node, name, **labels):
    """Give a Pod other labels, as its owner does."""
    if isinstance(node, KubeNode):
        node.change(name, metadata={"labels": labels})
        return

    async def change(store):
        pod = await store.get(Key("Pod", "default", name))
        return await store.update(with_metadata(pod, labels=labels))

    node.store(change)
