"""Through the whole agent: from a Pod's annotations to the kernel, and back to nothing."""

import json
import subprocess

import pytest

from cni.node import RealNode, address_of, until
from cni.traffic import reaches, udp_socket
from tortie.api import ObjectMeta, Pod, PodSpec
from tortie.dataplane.qos.desired import ifb_name
from tortie.kubernetes.names import interface_name

pytestmark = pytest.mark.root
QOS = "qos.projectcalico.org/"


@pytest.fixture
def node(tmp_path):
    made = RealNode(tmp_path, environ={"FELIX_FLOATINGIPS": "Enabled"})
    yield made
    made.close()


def run(node, *command):
    return subprocess.run(
        ["nsenter", f"--net={node.netns}", *command], capture_output=True, text=True, check=True
    ).stdout


def attach(node, name, **annotations):
    """A Pod with these annotations, and its interface."""
    named = {QOS + key if "/" not in key else key: value for key, value in annotations.items()}
    metadata = ObjectMeta(name=name, namespace="default", annotations=named)
    node.put(Pod(metadata=metadata, spec=PodSpec(node_name=node.name)))
    netns = node.namespace(name)
    allowed = {"floating_ips": True}
    done = node.cni("ADD", f"id-{name}", netns, name, feature_control=allowed)
    assert done.returncode == 0, done.stdout
    return netns, address_of(done)


def buckets(node):
    """The rates of token buckets, by device."""
    found = json.loads(run(node, "tc", "-j", "qdisc", "show"))
    return {one["dev"]: one["options"]["rate"] for one in found if one["kind"] == "tbf"}


def test_annotations_become_limits_that_are_repaired_and_go_with_the_pod(node):
    node.start_ready()
    attach(node, "plain")
    attach(node, "web", ingressBandwidth="80M", egressBandwidth="8M", egressBurst="nonsense")
    device = interface_name("default", "web")
    ifb = ifb_name(device)
    wanted = {device: 10_000_000, ifb: 1_000_000}
    # ADD returned: they are in force.
    assert buckets(node) == wanted
    for damage in (
        ("tc", "qdisc", "del", "dev", device, "root"),
        ("tc", "qdisc", "del", "dev", device, "clsact"),
        ("ip", "link", "del", ifb),
    ):
        run(node, *damage)
        until(lambda: buckets(node) == wanted and redirects(node, device), f"repair of {damage}")
    contests = {one["driver"]: one for one in node.ask("status")["contests"]}
    assert contests["qos"]["repairs"] >= 2
    node.kill()
    node.start_ready()
    assert buckets(node) == wanted
    node.cni("DEL", "id-web", "", "web")
    until(lambda: buckets(node) == {}, "the end of the limits")
    until(lambda: ifb not in run(node, "ip", "link"), "the end of its device")


def redirects(node, device):
    """Whether what comes in by a device is sent elsewhere; False while it has no hooks."""
    return "Redirect" in run(node, "tc", "filter", "show", "dev", device, "ingress")


def test_a_floating_address_leads_to_the_pod_from_the_node_and_from_others(node):
    node.start_ready()
    client = attach(node, "client")
    server = attach(node, "server", **{"cni.projectcalico.org/floatingIPs": '["10.77.0.200"]'})
    floating = server[0], "10.77.0.200"
    until(lambda: reaches(client, floating, 5000), "the way to the floating address")
    assert node.route_to("10.77.0.200/32") is not None
    assert reaches(server, floating, 5001)  # its own
    with udp_socket(server[0], port=5002) as receiver, udp_socket(node.netns) as sender:
        receiver.settimeout(10)
        sender.sendto(b"from the node", ("10.77.0.200", 5002))
        assert receiver.recvfrom(100)[0] == b"from the node"
