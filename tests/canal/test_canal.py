"""flannel does the networking, we do policy: a real flanneld on each node, by the Kubernetes API.

The chain is Canal's 10-canal.conflist: our plugin with host-local and usePodCidr, then portmap.
"""

import json
import os
import select
import signal
import socket

import pytest

from canal.lab import Node, Switch
from cni.chain import reference_plugins_lacking
from cni.node import BOUND, until
from cni.traffic import Flow, reaches, udp_socket
from network.wire import Wire
from servers.flannel_build import FLANNEL
from tortie.linux.links import Links
from tortie.linux.namespaces import in_namespace
from tortie.linux.netlink.sockets import NetlinkSocket

LACKING = FLANNEL.lacking() or reference_plugins_lacking()
pytestmark = [pytest.mark.root, pytest.mark.skipif(bool(LACKING), reason=LACKING or "-")]
NETWORK = {
    "Network": "10.244.0.0/16",
    "EnableIPv6": True,
    "IPv6Network": "fd44::/48",
    "Backend": {"Type": "vxlan", "Port": 4789},
}
FIREWALLS = ("Enabled", "Disabled") if os.environ.get("TORTIE_EVERY_FIREWALL") else ("Enabled",)
CANAL = {
    "FELIX_DEFAULTENDPOINTTOHOSTACTION": "ACCEPT",
    "CALICO_NETWORKING_BACKEND": "none",
    "CLUSTER_TYPE": "k8s,canal",
    "USE_POD_CIDR": "true",
}
PORT = 5000


class Canal:
    """Two nodes of a cluster that kubeadm could have made, with flannel and us."""

    def __init__(self, kube, folder, **environ):
        self.kube, self.folder, self.environ = kube, folder, {**CANAL, **environ}
        self.kubeconfig = folder / "kubeconfig"
        self.kubeconfig.write_text(kube.kubeconfig())
        self.config = folder / "net-conf.json"
        self.config.write_text(json.dumps(NETWORK))
        kube.namespace("default")
        self.switch = Switch()
        self.nodes = []
        self.addresses6 = {}  # of pods, by their namespaces

    def add_node(self, number):
        meta = {"name": f"n{number}", "annotations": {"node.alpha.kubernetes.io/ttl": "0"}}
        cidrs = [f"10.244.{number}.0/24", f"fd44:0:0:{number}::/64"]
        spec = {"podCIDR": cidrs[0], "podCIDRs": cidrs}
        self.kube.api.create({"apiVersion": "v1", "kind": "Node", "metadata": meta, "spec": spec})
        database = f"kubernetes:{self.kubeconfig}"
        node = Node(
            self.switch, self.folder, number, database, settings=self.kube.client(), **self.environ
        )
        self.nodes.append(node)
        node.reach(self.kube.port)
        node.flannel(
            *("-kube-subnet-mgr", f"-kubeconfig-file={self.kubeconfig}"),
            f"-net-config-path={self.config}",
        )
        node.network = node.conflist(
            "k8s-pod-network",
            {
                "type": "calico",
                "policy": {"type": "k8s"},
                "ipam": {
                    "type": "host-local",
                    "ranges": [[{"subnet": "usePodCidr"}], [{"subnet": "usePodCidrIPv6"}]],
                    "dataDir": str(node.folder / "host-local"),
                },
            },
            {"type": "portmap", "capabilities": {"portMappings": True}, "snat": True},
        )
        return node

    def pod(self, node, name, **labels):
        """A Pod of a node, attached: (namespace, address)."""
        self.create_pod(node, name, **labels)
        netns = node.namespace(name)
        result = node.network.add(f"id-{name}", netns, name)
        addresses = {":" in one["address"]: one["address"] for one in result["ips"]}
        self.addresses6[netns] = addresses[True]
        return netns, addresses[False]

    def create_pod(self, node, name, **labels):
        spec = {"nodeName": node.name, "containers": [{"name": "c", "image": "i"}]}
        meta = {"name": name, "namespace": "default", "labels": labels}
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": spec}
        self.kube.api.create(pod)

    def apply(self, *bodies):
        """Apply these, and wait until every node has them in force."""
        self.kube.api.apply(bodies)
        for node in self.nodes:
            node.applied_all()

    def close(self):
        for node in self.nodes:
            node.close()
        self.switch.close()


@pytest.fixture(params=FIREWALLS)
def canal(kube, tmp_path, request):
    found = Canal(kube, tmp_path, FELIX_NFTABLESMODE=request.param)
    try:
        for number in (1, 2):
            found.add_node(number)
        for node in found.nodes:
            node.start()
        for node in found.nodes:
            until(node.is_ready, f"readiness ({node.log})")
            until(node.knows_others, f"flannel's routes ({node.flannel_log})")
        yield found
    finally:
        found.close()


def policy(name, selector, *allowed):
    """A NetworkPolicy of Kubernetes."""
    rules = [{"from": [{"podSelector": {"matchLabels": one}}]} for one in allowed]
    spec = {"podSelector": {"matchLabels": selector}, "policyTypes": ["Ingress"], "ingress": rules}
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"namespace": "default", "name": name},
        "spec": spec,
    }


def calico(kind, name, **spec):
    return {
        "apiVersion": "crd.projectcalico.org/v1",
        "kind": kind,
        "metadata": {"name": name},
        "spec": spec,
    }


def closed(source, destination, port=PORT):
    return not reaches(source, destination, port, attempts=1)


def reaches6(canal, source, destination):
    """The same over IPv6."""
    target = canal.addresses6[destination[0]].partition("/")[0]
    with in_namespace(destination[0]):
        receiver = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    with in_namespace(source[0]):
        sender = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    with receiver, sender:
        receiver.bind(("::", PORT))
        for _ in range(3):
            sender.sendto(b"canal-six", (target, PORT))
            if select.select([receiver], [], [], 0.5)[0]:
                return True
    return False


def mtu(netns):
    with in_namespace(netns), NetlinkSocket() as sock:
        return Links(sock).get("eth0").mtu


def foreign_routes(node):
    """What is not ours: all but the routes to workloads."""
    return {
        (route["dst"], route.get("dev"), route.get("gateway"))
        for route in node.routes()
        if not route.get("dev", "").startswith("cali")
    }


def test_policy_holds_on_pods_that_flannel_connects(canal):
    first, second = canal.nodes
    before = foreign_routes(first)
    web, client = canal.pod(first, "web", app="web"), canal.pod(second, "client", app="client")
    near = canal.pod(first, "near", app="near")
    until(lambda: reaches(client, web, PORT), "flannel's way")
    assert web[1].startswith("10.244.1.")
    assert client[1].startswith("10.244.2.")
    assert mtu(web[0]) == mtu(client[0]) == 1450
    with Wire([node.netns.rpartition("/")[2] for node in canal.nodes]) as wire:
        sender = udp_socket(client[0])
        sender.setsockopt(0, 10, 2)  # IP_MTU_DISCOVER: DF
        with sender, udp_socket(web[0], port=PORT) as receiver:
            token = b"canal-token" + bytes(1450 - 28 - 11)
            sender.sendto(token, (web[1].partition("/")[0], PORT))
            assert select.select([receiver], [], [], BOUND)[0]
            with pytest.raises(OSError, match="too long"):
                sender.sendto(token + b"x", (web[1].partition("/")[0], PORT))
        assert wire.carriers(b"canal-token") == {"vxlan"}
        assert reaches6(canal, client, web)
        assert wire.carriers(b"canal-six") == {"vxlan"}
    assert reaches(near, web, PORT)
    canal.apply(policy("shut", {"app": "web"}, {"app": "client"}))
    assert reaches(client, web, PORT)
    assert reaches6(canal, client, web)
    assert closed(near, web)
    assert not reaches6(canal, near, web)
    assert reaches(web, near, PORT)
    canal.apply(policy("shut", {"app": "web"}, {"app": "near"}))
    assert closed(client, web)
    assert reaches(near, web, PORT)
    assert foreign_routes(first) == before
    for kind in ("IPAMBlock", "BlockAffinity", "IPPool"):
        assert first.store(lambda store, kind=kind: store.list(kind)).resources == ()
    assert not [route for route in first.routes() if route.get("type") == "blackhole"]


def test_a_pod_is_closed_from_its_first_packet_on(canal):
    """host-local gives addresses in order, so that the next pod can be knocked at all along."""
    first, second = canal.nodes
    knocker = canal.pod(second, "knocker")
    canal.apply(policy("shut", {"app": "web"}))
    last = canal.pod(first, "last")[1]
    address = f"10.244.1.{int(last.split('.')[3].partition('/')[0]) + 1}"
    canal.create_pod(first, "web", app="web")
    netns = first.namespace("web")
    flow = Flow(knocker, (netns, f"{address}/32"), PORT, pause=0.002)
    result = first.network.add("id-web", netns, "web")
    assert result["ips"][0]["address"].startswith(address)
    sent = flow.sent
    until(lambda: flow.sent > sent + 100, "knocks after ADD")
    flow.stop()
    assert flow.sent > 100
    assert flow.arrived == set()
    assert reaches((netns, f"{address}/32"), knocker, PORT)


def test_host_endpoints_and_nat_go_with_flannel(canal):
    """Outside sees the node's address, as flannel masquerades; a host endpoint lets flannel pass
    only where a policy says so."""
    first, second = canal.nodes
    web, client = canal.pod(first, "web"), canal.pod(second, "client")
    outside = (str(canal.switch.path), "172.31.0.254/24")
    with udp_socket(outside[0], port=PORT) as receiver, udp_socket(web[0]) as sender:
        sender.sendto(b"x", ("172.31.0.254", PORT))
        assert select.select([receiver], [], [], BOUND)[0]
        assert receiver.recvfrom(16)[1][0] == first.address
    host = (first.netns, f"{first.address}/24")
    assert reaches(outside, host, PORT)
    tunnel = [{"action": "Allow", "protocol": "UDP", "destination": {"ports": [4789]}}]
    both = {"types": ["Ingress", "Egress"], "ingress": tunnel, "egress": tunnel}
    canal.apply(
        calico("GlobalNetworkPolicy", "hosts", selector="has(host)", **both),
        {
            **calico("HostEndpoint", "n1-eth0", node="n1", interfaceName="eth0"),
            "metadata": {"name": "n1-eth0", "labels": {"host": "yes"}},
        },
    )
    assert closed(outside, host)
    assert reaches(client, web, PORT)
    assert reaches(web, client, PORT)


def test_flannel_and_the_agent_die_and_come_again_beside_each_other(canal):
    first, second = canal.nodes
    web, client = canal.pod(first, "web", app="web"), canal.pod(second, "client")
    near = canal.pod(first, "near", app="near")
    canal.apply(policy("shut", {"app": "near"}))
    before = foreign_routes(first)
    flow = Flow(client, web, PORT, pause=0.005)
    first.kill(signal.SIGKILL)
    first.flanneld.kill()
    first.flanneld.wait()
    said = runs(first)
    first.flannel_again()
    first.start_ready()
    until(lambda: runs(first) > said, f"flannel ({first.flannel_log})")
    flow.stop()
    assert flow.sent > 20
    assert not flow.lost
    assert closed(client, near)
    assert foreign_routes(first) == before


def runs(node):
    """How often flannel has begun its work on a node."""
    return node.flannel_log.read_text().count("Running backend")


def test_what_is_removed_leaves_nothing_behind(canal):
    first = canal.nodes[0]
    routes = first.routes()
    netns, address = canal.pod(first, "web")
    addresses = first.folder / "host-local" / "k8s-pod-network"
    assert (addresses / address.partition("/")[0]).exists()
    first.network.check("id-web", netns, "web")
    (interface,) = first.links()
    assert interface in first.ruleset()
    first.network.delete("id-web", netns, "web")
    assert not [one for one in addresses.iterdir() if one.name.startswith("10.")]
    until(lambda: not first.links(), "the end of the interface")
    until(lambda: first.routes() == routes, "the end of its route")
    until(lambda: interface not in first.ruleset(), "the end of its rules")
