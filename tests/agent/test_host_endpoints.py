"""Host endpoints of the datastore reach the node's tables, and follow its addresses."""

import pytest

from agent.test_drift import run
from cni.node import until
from tortie.api import ObjectMeta
from tortie.api.calico.host_endpoint import HostEndpoint, HostEndpointSpec

pytestmark = pytest.mark.root


def put(node, name, **spec):
    metadata = ObjectMeta(name=name)
    node.applied(
        node.put(HostEndpoint(metadata=metadata, spec=HostEndpointSpec(node="n1", **spec)))
    )


def rules(node):
    return run(node, "nft", "list", "ruleset")


def test_an_interface_is_guarded_while_it_has_the_expected_address(node):
    node.start_ready()
    put(node, "expected", interface_name="", expected_ips=("172.31.0.9",))
    assert "hep" not in rules(node)
    run(node, "ip", "address", "add", "172.31.0.9/32", "dev", "eth0")
    until(lambda: '"eth0" : goto cali-fh-expected' in rules(node), "the rules of the interface")
    run(node, "ip", "address", "delete", "172.31.0.9/32", "dev", "eth0")
    until(lambda: "hep" not in rules(node), "their end")


def test_every_interface_but_workloads_and_the_loopback_may_be_one(node):
    node.start_ready()
    put(node, "every", interface_name="*")
    found = run(node, "nft", "list", "chain", "ip", "calico", "cali-hep-fh-dispatch")
    places = [found.find(one) for one in ('"cali*" return', '"lo" return', "goto cali-fh-every")]
    assert -1 < places[0] < places[1] < places[2]
    assert node.ask("status")["failures"] == []
