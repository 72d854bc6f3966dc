"""Policy only: interfaces that other plugins made, held to policy by real packets.

Debian's ptp, bridge, macvlan, host-local and portmap make them: named afterwards as a cloud's
plugin names its own (eni…, azv…, gke…), or taken under policy by ours further on in the chain.
"""

from collections.abc import Iterator
from hashlib import sha1

import pytest

from cni.chain import Chain, PluginFailed, reference_plugins_lacking
from cni.node import RealNode, until
from cni.traffic import reaches
from tortie.api import (
    EntityRule,
    GlobalNetworkPolicy,
    GlobalNetworkPolicySpec,
    Key,
    ObjectMeta,
    Pod,
    PodSpec,
    PodStatus,
    Rule,
)
from tortie.kubernetes import names
from tortie.linux.links import Links
from tortie.linux.namespaces import in_namespace
from tortie.linux.netlink.sockets import NetlinkSocket
from tortie.linux.routes import Routes

LACKING = reference_plugins_lacking()
pytestmark = [pytest.mark.root, pytest.mark.skipif(bool(LACKING), reason=LACKING or "-")]
PORT = 5000


@pytest.fixture
def node(tmp_path) -> Iterator[RealNode]:
    found = RealNode(tmp_path)
    found.folder = tmp_path
    yield found
    found.close()


def host_local(node):
    return {
        "type": "host-local",
        "dataDir": str(node.folder / "host-local"),
        "ranges": [[{"subnet": "10.88.0.0/24"}]],
        "routes": [{"dst": "0.0.0.0/0"}],
    }


def chain(node, first, *others):
    """`first` makes interfaces, by an IPAM of its own."""
    found = Chain(node, *others)
    found.plugins = [{**first, "ipam": host_local(node)}, *others]
    return found


def ours(node):
    socket = str(node.run_dir / "agent.sock")
    return {"type": "calico", "agent_socket": socket, "policy_only": True}


def over_ptp(node):
    mapping = {"type": "portmap", "capabilities": {"portMappings": True}, "snat": True}
    return chain(node, {"type": "ptp", "mtu": 1400}, ours(node), mapping)


def denied(selector, *allowed):
    """Nothing gets in to `selector` but from what has one of these labels."""
    rules = tuple(
        Rule(action="Allow", protocol="UDP", source=EntityRule(selector=one)) for one in allowed
    )
    spec = GlobalNetworkPolicySpec(selector=selector, types=("Ingress",), ingress=rules)
    return GlobalNetworkPolicy(metadata=ObjectMeta(name="shut"), spec=spec)


def closed(source, destination, port):
    """Whether a packet does not arrive within half a second."""
    return not reaches(source, destination, port, attempts=1)


def attach(node, network, name, **labels):
    node.pod(name, **labels)
    netns = node.namespace(name)
    result = network.add(f"id-{name}", netns, name)
    return netns, result["ips"][0]["address"], result


def links(node):
    with in_namespace(node.netns), NetlinkSocket() as sock:
        return {link.name for link in Links(sock).list()} - {"lo", "eth0", "underlay"}


def computed(name, prefix="cali"):
    return prefix + sha1(f"default.{name}".encode()).hexdigest()[:11]


def test_a_plugin_before_ours_makes_the_interface_and_ours_holds_it_to_policy(node):
    node.start_ready()
    network = over_ptp(node)
    web, client = attach(node, network, "web", app="web"), attach(node, network, "client")
    assert links(node) == {computed("web"), computed("client")}
    assert web[2]["interfaces"][0]["name"] == computed("web")
    annotations = node.get(Key("Pod", "default", "web")).metadata.annotations
    assert annotations[names.POD_IPS] == web[1].partition("/")[0] + "/32"
    assert reaches(client[:2], web[:2], PORT)
    assert reaches(web[:2], client[:2], PORT)
    network.check("id-web", web[0], "web")
    node.applied(node.put(denied("app == 'web'", "app == 'friend'")))
    assert closed(client[:2], web[:2], PORT)
    assert reaches(web[:2], client[:2], PORT)
    friend = attach(node, network, "friend", app="friend")
    assert reaches(friend[:2], web[:2], PORT)
    for name, (netns, *_) in (("web", web), ("client", client), ("friend", friend)):
        network.delete(f"id-{name}", netns, name)
    until(lambda: not links(node), "the end of all interfaces")
    assert not node.get(Key("Pod", "default", "web")).metadata.annotations[names.CONTAINER_ID]
    assert {one.name for one in (node.folder / "host-local").rglob("10.88.*")} == set()
    assert node.store(lambda store: store.list("IPAMBlock")).resources == ()


def test_garbage_collection_withdraws_what_the_runtime_does_not_know(node):
    node.start_ready()
    network = over_ptp(node)
    for name in ("web", "client"):
        attach(node, network, name)
    valid = [{"containerID": "id-web", "ifname": "eth0"}]
    keys = {"cniVersion": "1.1.0", "policy_only": True, "cni.dev/valid-attachments": valid}
    done = node.cni("GC", **keys)
    assert done.returncode == 0, done.stdout
    kept = {
        name: node.get(Key("Pod", "default", name)).metadata.annotations[names.CONTAINER_ID]
        for name in ("web", "client")
    }
    assert kept == {"web": "id-web", "client": ""}
    assert links(node) == {computed("web"), computed("client")}  # these are the first plugin's
    assert node.cni("STATUS", cniVersion="1.1.0", policy_only=True).returncode == 0


def test_a_pod_is_closed_from_the_moment_that_its_interface_is_there(node):
    """With the names of that plugin among the prefixes, also before our plugin has its turn."""
    node.environ["FELIX_INTERFACEPREFIX"] = "cali,veth"
    node.start_ready()
    network = over_ptp(node)
    client = attach(node, network, "client")
    node.pod("web")
    netns = node.namespace("web")
    half = chain(node, {"type": "ptp"})
    result = half.add("id-web", netns, "web")
    web = netns, result["ips"][0]["address"]
    assert closed(client[:2], web, PORT)
    assert closed(web, client[:2], PORT)
    network.results["id-web", "eth0"] = result, {}
    network._call("ADD", network.plugins[1], "id-web", netns, "web", "eth0", result, {})
    assert reaches(client[:2], web, PORT)
    assert reaches(web, client[:2], PORT)


def test_what_would_carry_packets_past_the_firewall_is_refused(node):
    node.start_ready()
    bridge = {"type": "bridge", "bridge": "cni0", "isGateway": True}
    refused(node, chain(node, bridge, ours(node)), "is a port of cni0")
    macvlan = {"type": "macvlan", "master": "eth0"}
    refused(node, chain(node, macvlan, ours(node)), "is no veth pair with an end on this node")
    alone = Chain(node)
    alone.plugins = [ours(node)]
    refused(node, alone, "no plugin stands before this one")


def refused(node, network, reason):
    """A container is not attached, and not recorded."""
    name = f"pod-{len(node.namespaces)}"
    node.pod(name)
    netns = node.namespace(name)
    with pytest.raises(PluginFailed) as failed:
        network.add(f"id-{name}", netns, name)
    assert failed.value.kind == "calico"
    assert reason in failed.value.error["msg"]
    network.delete(f"id-{name}", netns, name)
    annotations = node.get(Key("Pod", "default", name)).metadata.annotations
    assert not annotations.get(names.CONTAINER_ID)


def test_an_interface_that_is_not_ours_any_more_fails_check(node):
    node.start_ready()
    network = over_ptp(node)
    netns, *_ = attach(node, network, "web")
    with in_namespace(node.netns), NetlinkSocket() as sock:
        Links(sock).rename(computed("web"), "other0")
    result = network.results["id-web", "eth0"][0]
    with pytest.raises(PluginFailed) as failed:
        network._call("CHECK", network.plugins[1], "id-web", netns, "web", "eth0", result, {})
    assert f"the node's end is called other0, not {computed('web')}" in failed.value.error["msg"]


def clouds(node, name, prefix):
    """A pod's interface as a cloud's plugin makes it: named by the pod's own name."""
    node.pod(name, app=name)
    netns = node.namespace(name)
    result = chain(node, {"type": "ptp"}).add(f"id-{name}", netns, name)
    with in_namespace(node.netns), NetlinkSocket() as sock:
        Links(sock).rename(result["interfaces"][0]["name"], computed(name, prefix))
    return netns, result["ips"][0]["address"]


def tell_address(node, name, address):
    """As the kubelet does, once the plugin has ended; the revision."""
    pod = node.get(Key("Pod", "default", name))
    status = PodStatus(phase="Running", pod_ip=address.partition("/")[0])
    told = Pod(metadata=pod.metadata, spec=PodSpec(node_name=node.name), status=status)
    return int(node.store(lambda store: store.update(told)).metadata.resource_version)


@pytest.mark.parametrize(
    ("prefix", "routes"), [("eni", "true"), ("gke", "false"), ("azv,eni", "true")]
)
def test_a_clouds_own_interfaces_are_known_by_their_names(node, prefix, routes):
    """`routes`: RouteSyncDisabled, with which the plugin's own routes stay as they are."""
    node.environ.update(
        FELIX_INTERFACEPREFIX=prefix,
        FELIX_ROUTESYNCDISABLED=routes,
        CALICO_NETWORKING_BACKEND="none",
    )
    node.start_ready()
    first = prefix.partition(",")[0]
    web, client = (clouds(node, name, first) for name in ("web", "client"))
    assert closed(client, web, PORT)  # nobody has said yet whose these are
    assert closed(web, client, PORT)
    for name, (_, address) in (("web", web), ("client", client)):
        revision = tell_address(node, name, address)
    node.applied(revision)
    assert reaches(client, web, PORT)
    assert reaches(web, client, PORT)
    node.applied(node.put(denied("app == 'web'")))
    assert closed(client, web, PORT)
    assert reaches(web, client, PORT)
    with in_namespace(node.netns), NetlinkSocket() as sock:
        found = [one for one in Routes(sock).list(4) if str(one.destination) == web[1][:-3] + "/32"]
    assert any(one.priority != 0 for one in found) == (routes == "false")
    assert "10.77.0" not in node.ruleset().replace("10.77.0.0/24", "")
    node.store(lambda store: store.delete(Key("Pod", "default", "client")))
    node.applied_all()
    assert closed(web, client, PORT)  # nobody knows any more whose that is
    assert node.ask("status")["failures"] == []
