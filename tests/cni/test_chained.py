"""Our plugin first in a chain of Debian's, called as libcni calls, and by libcni itself."""

import json
import socket

import pytest
from msgspec.structs import replace

from cni.chain import Chain, PluginFailed, reference_plugins_lacking
from cni.look import NETWORK, addresses, nothing_left, open_profile, put_pod
from cni.node import BOUND, until
from cni.traffic import udp_socket
from servers.cnitool_build import CNITOOL, cached
from servers.place import Place, lacking
from tortie.api import (
    GlobalNetworkPolicy,
    GlobalNetworkPolicySpec,
    Key,
    ObjectMeta,
    Pod,
    PodSpec,
    PodStatus,
)
from tortie.cni.request import SUPPORTED_VERSIONS
from tortie.linux.links import Links
from tortie.linux.namespaces import in_namespace
from tortie.linux.netlink.sockets import NetlinkSocket
from tortie.linux.shaping import Shaping
from tortie.net import parse_prefix

pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(bool(reference_plugins_lacking()), reason=reference_plugins_lacking()),
]
PORTMAP = {"type": "portmap", "snat": True, "capabilities": {"portMappings": True}}
BANDWIDTH = {"type": "bandwidth", "capabilities": {"bandwidth": True}}
TUNING = {"type": "tuning", "sysctl": {"net.ipv4.ip_unprivileged_port_start": "0"}}
RATES = {"ingressRate": 8_000_000, "ingressBurst": 800_000}
RATES |= {"egressRate": 8_000_000, "egressBurst": 800_000}


def outside(node):
    """A machine beside the node, with an address on its network: a namespace."""
    netns = node.namespace("outside")
    with open(netns) as opened, in_namespace(node.netns), NetlinkSocket() as sock:
        links = Links(sock)
        links.create_veth("lan", "eth0", opened.fileno())
        links.set_up("lan")
        links.add_address("lan", parse_prefix("192.0.2.1/24"))
    with in_namespace(netns), NetlinkSocket() as sock:
        Links(sock).set_up("eth0")
        Links(sock).add_address("eth0", parse_prefix("192.0.2.9/24"))
    return netns


def answers(netns, server, port):
    """Whether what is sent from a namespace to the node's port comes to `server` and back."""
    with udp_socket(netns) as client:
        client.settimeout(1.0)
        client.sendto(b"ask", ("192.0.2.1", port))
        server.settimeout(1.0)
        try:
            text, sender = server.recvfrom(64)
            server.sendto(text + b"ed", sender)
            return client.recv(64) == b"asked"
        except TimeoutError:
            return False


def queues(node, name):
    """The kinds and rates of the queues of an interface of the node."""
    with in_namespace(node.netns), NetlinkSocket() as sock:
        link = Links(sock).get(name)
        return [(one.handle >> 16, one.kind) for one in Shaping(sock).qdiscs(link.index)]


def test_published_ports_lead_to_the_pod_by_packets_and_go_with_it(ready_node):
    node = ready_node
    put_pod(node, "web")
    open_profile(node, "kns.default")
    netns, lan = node.namespace("web"), outside(node)
    chain = Chain(node, PORTMAP, TUNING, version="0.3.1")
    ports = [{"hostPort": 8053, "containerPort": 53, "protocol": "udp"}]
    done = chain.add("c1", netns, "web", portMappings=ports)
    assert [one["name"] for one in done["interfaces"]][1] == "eth0"
    with udp_socket(netns, port=53) as server:
        until(lambda: answers(lan, server, 8053), "the published port", BOUND)
    chain.delete("c1", "", "web")
    assert "8053" not in node.ruleset()
    nothing_left(node)


def test_policy_holds_for_what_comes_by_a_published_port(ready_node):
    node = ready_node
    put_pod(node, "web", app="web")
    spec = GlobalNetworkPolicySpec(selector="app == 'web'", types=("Ingress",))
    node.put(GlobalNetworkPolicy(metadata=ObjectMeta(name="closed"), spec=spec))
    netns, lan = node.namespace("web"), outside(node)
    chain = Chain(node, PORTMAP)
    ports = [{"hostPort": 8053, "containerPort": 53, "protocol": "udp"}]
    chain.add("c1", netns, "web", portMappings=ports)
    with udp_socket(netns, port=53) as server:
        assert not answers(lan, server, 8053)


def test_bandwidth_of_the_chained_plugin_then_of_ours(ready_node):
    node = ready_node
    asked = {f"kubernetes.io/{one}-bandwidth": "8M" for one in ("ingress", "egress")}
    metadata = ObjectMeta(name="web", namespace="default", annotations=asked)
    status = PodStatus(phase="Pending")
    node.put(Pod(metadata=metadata, spec=PodSpec(node_name=node.name), status=status))
    chain = Chain(node, BANDWIDTH, PORTMAP)
    done = chain.add("c1", node.namespace("web"), "web", bandwidth=RATES)
    host = done["interfaces"][0]["name"]
    assert (1, "tbf") in queues(node, host)

    async def tell(store):
        pod = await store.get(Key("Pod", "default", "web"))
        address = done["ips"][0]["address"].partition("/")[0]
        told = PodStatus(phase="Running", pod_ip=address)
        return await store.update(replace(pod, status=told))

    node.applied(int(node.store(tell).metadata.resource_version))
    until(lambda: (0xCA1, "tbf") in queues(node, host), "our own limits")
    chain.delete("c1", "", "web")
    node.store(lambda store: store.delete(Key("Pod", "default", "web")))
    nothing_left(node)


def test_check_is_passed_along_the_chain(ready_node):
    node = ready_node
    put_pod(node, "web")
    netns = node.namespace("web")
    chain = Chain(node, TUNING)
    chain.add("c1", netns, "web")
    chain.check("c1", netns, "web")
    with in_namespace(netns), NetlinkSocket() as sock:
        Links(sock).delete_address("eth0", parse_prefix(next(iter(addresses(netns)))))
    with pytest.raises(PluginFailed, match="has not the address"):
        chain.check("c1", netns, "web")


def test_a_plugin_that_fails_after_ours_leaves_nothing_once_deleted(ready_node):
    node = ready_node
    put_pod(node, "web")
    netns = node.namespace("web")
    chain = Chain(node, {"type": "tuning", "sysctl": {"net.ipv4.none_such": "0"}})
    with pytest.raises(PluginFailed, match="tuning"):
        chain.add("c1", netns, "web")
    chain.delete("c1", netns, "web")
    nothing_left(node)


def test_what_a_plugin_before_ours_made_stays_in_the_result(ready_node):
    node = ready_node
    put_pod(node, "web")
    netns = node.namespace("web")
    other = {
        "cniVersion": "1.0.0",
        "interfaces": [{"name": "side0", "sandbox": netns}],
        "ips": [{"interface": 0, "address": "198.51.100.7/24"}],
        "routes": [{"dst": "198.51.100.0/24"}],
    }
    done = json.loads(node.cni("ADD", "c1", netns, "web", prevResult=other).stdout)
    assert [one["name"] for one in done["interfaces"]][::2] == ["side0", "eth0"]
    assert [one["interface"] for one in done["ips"]] == [0, 2]
    assert [one["dst"] for one in done["routes"]] == ["198.51.100.0/24", "0.0.0.0/0"]
    assert node.cni("CHECK", "c1", netns, "web", prevResult=done).returncode == 0
    taken = {**other, "interfaces": [{"name": "eth0", "sandbox": netns}]}
    error = json.loads(node.cni("ADD", "c2", netns, "web", prevResult=taken).stdout)
    assert (error["code"], "put this one first" in error["msg"]) == (7, True)


@pytest.fixture
def libcni(ready_node, tmp_path):
    """`cnitool VERB NETWORK NETNS`, which is libcni, on a node whose agent is ready."""
    if reason := (CNITOOL.lacking() or lacking()):
        pytest.skip(reason)
    node = ready_node
    place = Place(tmp_path / "place", node.netns, node.plugin.parent)

    def call(verb, netns, pod="", ifname="eth0", name=NETWORK, **capabilities):
        environ = {
            "CNI_PATH": "/opt/cni/bin",
            "NETCONFPATH": "/etc/cni/net.d",
            "CNI_IFNAME": ifname,
        }
        if pod:
            environ["CNI_ARGS"] = f"IgnoreUnknown=1;K8S_POD_NAMESPACE=default;K8S_POD_NAME={pod}"
        if capabilities:
            environ["CAP_ARGS"] = json.dumps(capabilities)
        return place.run(str(cached()), verb, name, netns, env=environ)

    def configure(version, *plugins, name=NETWORK):
        network = {"cniVersion": version, "name": name, "plugins": [node.config(), *plugins]}
        (place.configurations / f"{name}.conflist").write_text(json.dumps(network))

    call.configure = configure
    yield call
    place.close()


def test_libcni_understands_each_version_and_leaves_nothing(ready_node, libcni):
    node = ready_node
    put_pod(node, "web")
    netns = node.namespace("web")
    for version in SUPPORTED_VERSIONS:
        libcni.configure(version)
        verbs = ["add", "add", "del", "del"]
        if version >= "0.4.0":
            verbs.insert(1, "check")
        if version >= "1.1.0":
            verbs[1:1] = ["status", "gc", "add"]  # of cnitool's libcni deletes all that it knows
        for verb in verbs:
            done = libcni(verb, netns, "web")
            assert done.returncode == 0, (version, verb, done.stderr)
        nothing_left(node)


def test_libcni_gets_errors_as_the_specification_has_them(ready_node, libcni):
    libcni.configure("1.0.0", PORTMAP)
    done = libcni("add", ready_node.namespace("web"), "no-such-pod")
    assert done.returncode == 0, done.stderr  # a pod that is not stored yet gets an endpoint
    ready_node.kill()
    done = libcni("add", ready_node.namespace("other"), "other")
    assert done.returncode != 0
    assert "is it running?" in done.stderr


def test_libcni_with_published_ports(ready_node, libcni):
    node = ready_node
    libcni.configure("1.0.0", PORTMAP)
    put_pod(node, "web")
    open_profile(node, "kns.default")
    netns, lan = node.namespace("web"), outside(node)
    ports = [{"hostPort": 8054, "containerPort": 53, "protocol": "udp"}]
    assert libcni("add", netns, "web", portMappings=ports).returncode == 0
    with udp_socket(netns, port=53) as server:
        until(lambda: answers(lan, server, 8054), "the published port", BOUND)
    assert libcni("del", netns, "web", portMappings=ports).returncode == 0
    assert "8054" not in node.ruleset()
    nothing_left(node)


def test_a_socket_that_is_not_the_agents_is_said(node, tmp_path):
    path = tmp_path / "x.sock"
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(path))
        done = node.cni("ADD", "c1", node.namespace("x"), agent_socket=str(path))
    assert json.loads(done.stdout)["code"] == 11
