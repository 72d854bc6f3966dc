"""The real plugin and a real agent: what ADD, DEL and CHECK promise, with packets."""

import json
import os
import time

import pytest

from cni.node import BOUND, address_of, until
from cni.traffic import reaches
from tortie.api import (
    EntityRule,
    GlobalNetworkPolicy,
    GlobalNetworkPolicySpec,
    Key,
    ObjectMeta,
    Pod,
    PodSpec,
    Profile,
    ProfileSpec,
    Rule,
    WorkloadEndpoint,
    WorkloadEndpointSpec,
)
from tortie.datastore import NotFound
from tortie.ipam import IPAM
from tortie.kubernetes import names
from tortie.linux.links import Links
from tortie.linux.namespaces import in_namespace
from tortie.linux.netlink.sockets import NetlinkSocket
from tortie.linux.routes import Routes
from tortie.net import parse_prefix

pytestmark = pytest.mark.root


def failed(done):
    """The error that a call printed."""
    assert done.returncode == 1, done.stdout
    assert done.stderr == b""
    return json.loads(done.stdout)


def held(node, container, network="k8s-pod-network"):
    """The addresses that IPAM keeps for a container."""

    async def look(store):
        return await IPAM(store).addresses_of(f"{network}.{container}")

    return node.store(look)


def annotations(node, pod):
    return node.get(Key("Pod", "default", pod)).metadata.annotations


def nothing_left(node, container, pod, netns=None):
    """No interface, route, address or annotation of a container is left."""
    until(lambda: not node.links(), "the end of its interface")
    assert held(node, container) == ()
    assert annotations(node, pod).get(names.POD_IPS, "") == ""
    assert annotations(node, pod).get(names.CONTAINER_ID, "") == ""
    if netns is not None:
        with in_namespace(netns), NetlinkSocket() as sock:
            assert {link.name for link in Links(sock).list()} == {"lo"}


def policy(name, selector, *ingress):
    spec = GlobalNetworkPolicySpec(selector=selector, types=("Ingress",), ingress=ingress)
    return GlobalNetworkPolicy(metadata=ObjectMeta(name=name), spec=spec)


def test_a_pod_gets_its_address_interface_route_and_record(ready_node):
    node = ready_node
    node.pod("web")
    netns = node.namespace("web")
    done = node.cni("ADD", "c1", netns, "web", mtu=1400)
    assert (done.returncode, done.stderr) == (0, b""), done.stdout
    result = json.loads(done.stdout)
    host, inside = result["interfaces"]
    address = address_of(done)
    assert host["name"] == names.interface_name("default", "web")
    assert inside["sandbox"] == netns
    assert held(node, "c1") == (parse_prefix(address),)
    assert annotations(node, "web")[names.POD_IP] == address
    assert annotations(node, "web")[names.CONTAINER_ID] == "c1"
    assert node.route_to(address) is not None
    with in_namespace(netns), NetlinkSocket() as sock:
        link = Links(sock).get("eth0")
        assert (link.up, link.mtu, link.mac) == (True, 1400, inside["mac"])
        assert parse_prefix(address) in [one.prefix for one in Links(sock).addresses("eth0")]
        defaults = [one for one in Routes(sock).list(4) if one.destination.length == 0]
        assert [one.gateway for one in defaults] == [parse_prefix("169.254.1.1").address]


def test_policy_is_in_force_the_moment_that_add_returns(ready_node):
    node = ready_node
    allow = Rule(action="Allow", source=EntityRule(selector="app == 'client'"))
    node.applied(node.put(policy("only-clients", "app == 'server'", allow)))
    client = node.attach("client", app="client")
    stranger = node.attach("stranger", app="stranger")
    server = node.attach("server", app="server")
    assert reaches(client, server, 5000)
    assert not reaches(stranger, server, 5000, attempts=1)
    assert reaches(server, client, 5000)


def test_the_first_packet_after_add_already_meets_policy(ready_node):
    node = ready_node
    node.applied(node.put(policy("closed", "app == 'server'")))
    client = node.attach("client")
    for number in range(5):
        server = node.attach(f"server{number}", app="server")
        assert not reaches(client, server, 5000, attempts=1)


def test_adding_twice_is_one_attachment(ready_node):
    node = ready_node
    node.pod("web")
    netns = node.namespace("web")
    first, second = (node.cni("ADD", "c1", netns, "web") for _ in range(2))
    assert first.stdout == second.stdout
    assert first.returncode == second.returncode == 0
    assert len(node.links()) == 1
    assert len(held(node, "c1")) == 1


def test_adding_again_mends_what_is_broken(ready_node):
    node = ready_node
    node.pod("web")
    netns = node.namespace("web")
    first = node.cni("ADD", "c1", netns, "web")
    with in_namespace(netns), NetlinkSocket() as sock:
        Links(sock).delete("eth0")
    until(lambda: not node.links(), "the loss of the pair")
    second = node.cni("ADD", "c1", netns, "web")
    assert address_of(second) == address_of(first)
    assert node.cni("CHECK", "c1", netns, "web").returncode == 0


def test_deleting_leaves_nothing_and_may_be_repeated(ready_node):
    node = ready_node
    netns, address = node.attach("web")
    for _ in range(2):
        assert node.cni("DEL", "id-web", netns, "web").returncode == 0
        nothing_left(node, "id-web", "web", netns)
    until(lambda: node.route_to(address) is None, "the end of the route")
    until(lambda: names.interface_name("default", "web") not in node.ruleset(), "its rules' end")


def test_deleting_needs_no_namespace_and_no_pod(ready_node):
    node = ready_node
    node.attach("web")
    node.store(lambda store: store.delete(Key("Pod", "default", "web")))
    assert node.cni("DEL", "id-web", "", "web").returncode == 0
    until(lambda: not node.links(), "the end of its interface")
    assert held(node, "id-web") == ()


def test_a_pipe_in_the_place_of_a_namespace_holds_nobody_up(ready_node, tmp_path):
    os.mkfifo(tmp_path / "pipe")
    ready_node.pod("web")
    for _ in range(5):  # more than the plugin has threads for the kernel
        error = failed(ready_node.cni("ADD", "c1", str(tmp_path / "pipe"), "web"))
        assert error["code"] == 3
    ready_node.attach("good")


def test_a_file_that_is_left_of_a_namespace_is_no_reason_to_keep_a_pod(ready_node, tmp_path):
    """As a runtime leaves it that is killed before its namespace is mounted there."""
    ready_node.pod("web")
    left = tmp_path / "left"
    left.write_text("")
    assert failed(ready_node.cni("ADD", "c1", str(left), "web"))["code"] == 3
    assert ready_node.cni("DEL", "c1", str(left), "web").returncode == 0
    nothing_left(ready_node, "c1", "web")


def test_a_late_delete_of_an_earlier_container_leaves_the_later_one(ready_node):
    node = ready_node
    netns, first = node.attach("web")
    later_netns = node.namespace("web2")
    later = node.cni("ADD", "later", later_netns, "web")
    assert later.returncode == 0
    assert node.cni("DEL", "id-web", netns, "web").returncode == 0
    assert held(node, "id-web") == ()
    assert annotations(node, "web")[names.CONTAINER_ID] == "later"
    assert node.cni("CHECK", "later", later_netns, "web").returncode == 0
    assert address_of(later) != first


def test_check_says_what_is_not_as_added(ready_node):
    node = ready_node
    netns, address = node.attach("web")
    assert node.cni("CHECK", "id-web", netns, "web").returncode == 0
    with in_namespace(netns), NetlinkSocket() as sock:
        Links(sock).delete_address("eth0", parse_prefix(address))
    error = failed(node.cni("CHECK", "id-web", netns, "web"))
    assert error["code"] == 102
    assert f"eth0 has not the address {address}" in error["msg"]
    with in_namespace(netns), NetlinkSocket() as sock:
        Links(sock).delete("eth0")
    assert "the node has no interface" in failed(node.cni("CHECK", "id-web", netns, "web"))["msg"]


def test_check_of_a_container_that_is_not_attached_says_who_is(ready_node):
    node = ready_node
    netns, _ = node.attach("web")
    error = failed(node.cni("CHECK", "other", netns, "web"))
    assert (error["code"], error["msg"]) == (
        102,
        "the datastore has id-web attached in its place",
    )


def test_a_failed_add_leaves_nothing(ready_node):
    node = ready_node
    node.pod("web")
    netns = node.namespace("web")
    error = failed(node.cni("ADD", "c1", netns, "web", ifname="lo"))
    assert error["code"] == 5
    nothing_left(node, "c1", "web", netns)
    assert failed(node.cni("ADD", "c1", "/run/netns/none-such", "web"))["code"] == 3
    nothing_left(node, "c1", "web", netns)


def test_a_failed_add_in_the_place_of_an_earlier_container_leaves_nothing(ready_node):
    node = ready_node
    netns, _ = node.attach("web")
    later = node.namespace("later")
    pools = {"ipam": {"type": "calico-ipam", "ipv4_pools": ["10.99.0.0/24"]}}
    assert failed(node.cni("ADD", "later", later, "web", **pools))["code"] == 101
    nothing_left(node, "later", "web", later)
    assert len(held(node, "id-web")) == 1  # until its own DEL
    assert node.cni("ADD", "later", later, "web").returncode == 0
    assert node.cni("DEL", "id-web", netns, "web").returncode == 0
    assert held(node, "id-web") == ()
    assert node.cni("CHECK", "later", later, "web").returncode == 0


def test_an_add_whose_policy_does_not_come_is_taken_back(ready_node):
    node = ready_node
    node.pod("web")
    netns = node.namespace("web")
    node.put(rival_for_every_address(node.name))
    error = failed(node.cni("ADD", "c1", netns, "web", policy_setup_timeout_seconds=1))
    assert error["code"] == 11
    assert "was not ready after 1 s" in error["msg"]
    nothing_left(node, "c1", "web", netns)


def rival_for_every_address(node):
    """An endpoint that claims the whole pool: whoever comes later gets no route."""
    spec = WorkloadEndpointSpec(
        orchestrator="cni",
        node=node,
        endpoint="eth0",
        workload="a",
        interface_name="calirival",
        ip_networks=tuple(f"10.77.0.{number}/32" for number in range(256)),
    )
    metadata = ObjectMeta(name=f"{node}-cni-a-eth0", namespace="aaa")
    return WorkloadEndpoint(metadata=metadata, spec=spec)


def test_no_address_left_is_said_and_leaves_nothing(ready_node):
    node = ready_node
    node.pod("web")
    netns = node.namespace("web")
    error = failed(node.cni("ADD", "c1", netns, "web", ipam={"ipv4_pools": ["10.99.0.0/24"]}))
    assert error["code"] == 101
    nothing_left(node, "c1", "web", netns)


def test_the_address_that_a_pod_asks_for_is_given_to_one_pod_only(ready_node):
    node = ready_node
    asked = {"cni.projectcalico.org/ipAddrs": '["10.77.0.99"]'}
    for name in ("first", "second"):
        metadata = ObjectMeta(name=name, namespace="default", annotations=asked)
        node.put(Pod(metadata=metadata, spec=PodSpec(node_name=node.name)))
    done = node.cni("ADD", "c1", node.namespace("first"), "first")
    assert address_of(done) == "10.77.0.99/32"
    error = failed(node.cni("ADD", "c2", node.namespace("second"), "second"))
    assert error["code"] == 101
    assert held(node, "c1") == (parse_prefix("10.77.0.99/32"),)
    assert held(node, "c2") == ()


def test_a_pod_of_another_node_is_refused(ready_node):
    node = ready_node
    node.name, own = "elsewhere", node.name
    node.pod("web")
    node.name = own
    error = failed(node.cni("ADD", "c1", node.namespace("web"), "web"))
    assert (error["code"], error["msg"]) == (
        103,
        "Pod default/web is on node elsewhere, this is n1",
    )


def test_a_container_that_no_pod_describes_gets_a_stored_endpoint(ready_node):
    node = ready_node
    spec = ProfileSpec(ingress=(Rule(action="Allow"),), egress=(Rule(action="Allow"),))
    node.put(Profile(metadata=ObjectMeta(name="k8s-pod-network"), spec=spec))
    ends = []
    for container in ("c1", "c2"):
        netns = node.namespace(container)
        done = node.cni("ADD", container, netns)
        assert done.returncode == 0, done.stdout
        ends.append((netns, address_of(done)))
    endpoint = node.get(Key("WorkloadEndpoint", "default", "n1-cni-c1-eth0"))
    assert endpoint.spec.ip_networks == (ends[0][1],)
    assert reaches(ends[0], ends[1], 5000)
    assert node.cni("DEL", "c1").returncode == 0
    with pytest.raises(NotFound):
        node.get(endpoint.key)
    assert held(node, "c1") == ()


def test_status_and_gc_of_1_1(ready_node):
    node = ready_node
    netns, _ = node.attach("kept")
    node.attach("forgotten")
    assert node.cni("STATUS", cniVersion="1.1.0").returncode == 0
    valid = [{"containerID": "id-kept", "ifname": "eth0"}]
    done = node.cni("GC", cniVersion="1.1.0", **{"cni.dev/valid-attachments": valid})
    assert (done.returncode, done.stdout) == (0, b"")
    assert held(node, "id-forgotten") == ()
    left = {names.interface_name("default", "kept")}
    until(lambda: node.links() == left, "the end of the forgotten one's interface")
    assert node.cni("CHECK", "id-kept", netns, "kept").returncode == 0


def test_thirty_at_once(ready_node):
    node = ready_node
    pods = [f"p{number}" for number in range(30)]
    for pod in pods:
        node.pod(pod)
    spaces = {pod: node.namespace(pod) for pod in pods}
    running = [node.cni_start("ADD", f"id-{pod}", spaces[pod], pod) for pod in pods]
    outputs = [process.communicate(timeout=120)[0] for process in running]
    assert [process.returncode for process in running] == [0] * 30, outputs
    addresses = {json.loads(output)["ips"][0]["address"] for output in outputs}
    assert len(addresses) == 30
    assert all(node.route_to(address) for address in addresses)
    running = [node.cni_start("DEL", f"id-{pod}", spaces[pod], pod) for pod in pods]
    assert [process.wait(120) for process in running] == [0] * 30
    until(lambda: not node.links(), "the end of their interfaces")
    assert all(held(node, f"id-{pod}") == () for pod in pods)


def test_an_agent_killed_in_the_middle_leaves_nothing_once_deleted(node):
    pods = [f"p{number}" for number in range(6)]
    for pod in pods:
        node.pod(pod)
    spaces = {pod: node.namespace(pod) for pod in pods}
    for round_number in range(6):
        node.start_ready()
        running = [node.cni_start("ADD", f"id-{pod}", spaces[pod], pod) for pod in pods]
        time.sleep(0.004 * round_number)  # another moment of their work each time
        node.kill()
        for process in running:
            output = process.communicate(timeout=BOUND)[0]
            assert process.returncode == 0 or json.loads(output)["code"] == 11
    node.start_ready()
    for pod in pods:
        assert node.cni("DEL", f"id-{pod}", spaces[pod], pod).returncode == 0
        assert held(node, f"id-{pod}") == ()
    until(lambda: not node.links(), "the end of their interfaces")
    done = [node.cni("ADD", f"again-{pod}", spaces[pod], pod) for pod in pods]
    assert [one.returncode for one in done] == [0] * 6


def test_an_agent_that_stops_lets_no_add_hang(ready_node):
    node = ready_node
    node.pod("web")
    netns = node.namespace("web")
    node.put(rival_for_every_address(node.name))
    adding = node.cni_start("ADD", "c1", netns, "web")
    until(lambda: node.links(), "the interface")
    assert node.kill(15) == 0
    output = adding.communicate(timeout=BOUND)[0]
    assert json.loads(output)["code"] == 11
    nothing_left(node, "c1", "web", netns)


def test_without_an_agent_add_says_so_at_once(node):
    error = failed(node.cni("ADD", "c1", "/x", "web"))
    assert error["code"] == 11
    assert "is it running?" in error["msg"]


def test_only_root_may_speak_to_the_agent(ready_node):
    assert os.stat(ready_node.run_dir / "agent.sock").st_mode & 0o777 == 0o600


def test_a_pod_has_the_mac_address_that_it_asks_for(ready_node):
    node = ready_node
    asked = {"cni.projectcalico.org/hwAddr": "1C:0c:0a:c0:ff:ee"}
    metadata = ObjectMeta(name="web", namespace="default", annotations=asked)
    node.put(Pod(metadata=metadata, spec=PodSpec(node_name=node.name)))
    netns = node.namespace("web")
    done = node.cni("ADD", "c1", netns, "web")
    assert json.loads(done.stdout)["interfaces"][1]["mac"] == "1c:0c:0a:c0:ff:ee"
    assert node.cni("CHECK", "c1", netns, "web").returncode == 0
