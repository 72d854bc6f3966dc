"""A real podman with networks by CNI: our plugin alone, several networks, published ports."""

import json
import re
import socket
from contextlib import suppress

import pytest

from cni.look import endpoint, held, left_over, nothing_left
from cni.node import BOUND, until
from servers.busybox_image import NAME
from servers.podman import lacking_podman, podman
from tortie.api import EntityRule, GlobalNetworkPolicy, GlobalNetworkPolicySpec, ObjectMeta, Rule
from tortie.linux.namespaces import in_namespace

pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(bool(lacking_podman()), reason=lacking_podman()),
]
PORTMAP = {"type": "portmap", "capabilities": {"portMappings": True}, "snat": True}


@pytest.fixture
def runtime(ready_node, tmp_path):
    """A podman on a node whose agent is ready, with the networks `blue` and `green`."""
    node = ready_node
    with podman(tmp_path / "podman", node.netns, node.plugin.parent, "blue") as found:
        for name in ("blue", "green"):
            network = {"cniVersion": "0.4.0", "name": name, "plugins": [node.config(), PORTMAP]}
            target = found.place.configurations / f"{name}.conflist"
            target.write_text(json.dumps(network))
        yield found
    nothing_left(node)


def done(process):
    assert process.returncode == 0, process.stderr
    return process.stdout


def started(runtime, name, *options, command=("sleep", "1000")):
    """A container that goes on; its addresses by interface."""
    pinging = ("--cap-add", "NET_RAW")
    done(runtime.run("--detach", "--name", name, *pinging, *options, NAME, *command))
    said = done(runtime("exec", name, "ip", "-o", "-4", "address", "show"))
    return dict(re.findall(r"(eth\d+)\s+inet (\S+)/32", said))


def reaches(runtime, name, address, *options):
    said = runtime("exec", name, "ping", "-c", "2", "-i", "0.2", "-W", "1", *options, address)
    return " 2 packets received" in said.stdout


def test_containers_of_a_network_reach_each_other_and_leave_nothing(ready_node, runtime):
    one = started(runtime, "one")
    two = started(runtime, "two", "--ip", "10.77.0.30", "--mac-address", "1c:0c:0a:c0:ff:ee")
    assert two == {"eth0": "10.77.0.30"}
    assert "1c:0c:0a:c0:ff:ee" in done(runtime("exec", "two", "ip", "link", "show", "eth0"))
    assert reaches(runtime, "one", two["eth0"])
    assert reaches(runtime, "two", one["eth0"])
    done(runtime("rm", "--force", "--time", "0", "one", "two"))
    nothing_left(ready_node)


def test_a_container_of_two_networks_has_two_endpoints_with_policies_of_their_own(
    ready_node, runtime
):
    node = ready_node
    named = ("--network", "blue:interface_name=eth0", "--network", "green:interface_name=eth1")
    both = started(runtime, "both", *named)
    other = started(runtime, "other", "--network", "green")
    assert set(both) == {"eth0", "eth1"}
    container = done(runtime("inspect", "--format", "{{.Id}}", "both")).strip()
    assert endpoint(node, f"n1-cni-{container}-eth0").spec.profiles == ("blue",)
    assert endpoint(node, f"n1-cni-{container}-eth1").spec.profiles == ("green",)
    assert held(node, f"blue.{container}") == (f"{both['eth0']}/32",)
    assert held(node, f"green.{container}.eth1") == (f"{both['eth1']}/32",)

    assert reaches(runtime, "other", both["eth1"])  # same network: its profile lets it in
    assert not reaches(runtime, "other", both["eth0"])
    assert reaches(runtime, "both", other["eth0"], "-I", both["eth1"])
    shut = GlobalNetworkPolicySpec(
        selector="projectcalico.org/network == 'green'",
        types=("Ingress",),
        ingress=(Rule(action="Allow", source=EntityRule(nets=("203.0.113.0/24",))),),
    )
    policy = GlobalNetworkPolicy(metadata=ObjectMeta(name="shut"), spec=shut)
    node.applied(node.put(policy))
    assert not reaches(runtime, "other", both["eth1"])

    done(runtime("network", "disconnect", "green", "both"))
    assert endpoint(node, f"n1-cni-{container}-eth1") is None
    assert endpoint(node, f"n1-cni-{container}-eth0") is not None
    assert held(node, f"green.{container}.eth1") == ()
    assert container in str(left_over(node)["handles"])


def test_a_published_port_leads_to_the_container(ready_node, runtime):
    page = "echo hello > /www/index.html; httpd -f -p 80 -h /www"
    started(runtime, "web", "--publish", "8080:80", command=("sh", "-c", page))
    until(lambda: fetched(ready_node, 8080).endswith(b"hello\n"), "the container's page")
    done(runtime("rm", "--force", "--time", "0", "web"))
    assert "8080" not in ready_node.ruleset()


def fetched(node, port):
    """The page at a port of the node; nothing while nobody listens."""
    answer = b""
    with suppress(ConnectionError):
        with in_namespace(node.netns):
            client = socket.create_connection(("172.31.0.2", port), timeout=BOUND)
        with client:
            client.sendall(b"GET / HTTP/1.0\r\n\r\n")
            while part := client.recv(65536):
                answer += part
    return answer
