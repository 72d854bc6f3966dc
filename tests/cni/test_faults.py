"""What is not there yet or any more: datastore, node, addresses, another IPAM plugin's answer.

Every call ends within its bound, says what is the matter, and leaves nothing once DEL came through.
"""

import asyncio
import json
import os
import sys
import threading
import time

import pytest
from msgspec.structs import replace

from cni.gate import gate
from cni.look import NETWORK, failed, findings, inside, left_over, nothing_left, put_pod, result
from cni.node import BOUND, RealNode, until
from servers.process import running
from tortie.api import IPPool, IPPoolSpec, Key, NodeBgp, ObjectMeta
from tortie.cni import delegate
from tortie.cni.errors import CniError
from tortie.cni.request import parse_request
from tortie.node.resource import ensure_node

pytestmark = pytest.mark.root
LONG = os.environ.get("TORTIE_CNI_LONG", "") not in ("", "0")


class FarNode(RealNode):
    """A node whose datastore is an etcd."""

    def __init__(self, folder, etcd):
        self.etcd = etcd
        super().__init__(folder, database=f"etcd:{etcd.endpoint}")

    @property
    def settings(self):
        return self.etcd.client


@pytest.fixture
def far(tmp_path, etcd):
    """A node whose datastore is an etcd that can be killed."""
    node = FarNode(tmp_path, etcd)
    port = etcd.endpoint.rpartition(":")[2]
    relay = [sys.executable, "-m", "tortie.lab.relay", f"127.0.0.1/{port}", node.netns]
    try:
        with running(relay, etcd.folder / "relay.log", lambda: True):
            node.start_ready()
            yield node
    finally:
        node.close()


def repeated(node, *call):
    """Repeat a call until it comes through, as runtimes do: the datastore is on its way back."""
    until(lambda: node.cni(*call).returncode == 0, f"the success of {call}")


def test_without_the_datastore_add_and_del_are_put_off_and_leave_nothing(far, etcd):
    node = far
    put_pod(node, "there")
    put_pod(node, "late")
    there, late = node.namespace("there"), node.namespace("late")
    result(node.cni("ADD", "c1", there, "there"))
    etcd.kill()
    for command, container, netns, pod in (("ADD", "c2", late, "late"), ("DEL", "c1", "", "there")):
        error = failed(node.cni(command, container, netns, pod))
        assert (error["code"], "the datastore: " in error["msg"]) == (11, True), error
    until(lambda: set(inside(late)[0]) == {"lo"}, "the end of its interface")
    assert "eth0" in inside(there)[0]  # it runs on
    etcd.restart()
    repeated(node, "ADD", "c2", late, "late")
    for container, pod in (("c1", "there"), ("c2", "late")):
        repeated(node, "DEL", container, "", pod)
    nothing_left(node)
    assert findings(node) == []


@pytest.mark.skipif(not LONG, reason="it waits for long: set TORTIE_CNI_LONG=1")
def test_a_datastore_that_falls_silent_bounds_no_call_by_more_than_its_limit(far, etcd):
    node = far
    put_pod(node, "web")
    netns = node.namespace("web")
    with etcd.silent():
        began = time.monotonic()
        error = failed(node.cni("ADD", "c1", netns, "web"))
        took = time.monotonic() - began
    assert error["code"] == 11
    assert took < 70  # the plugin's own bound: a bound is what is promised
    repeated(node, "DEL", "c1", netns, "web")
    nothing_left(node)
    assert findings(node) == []


def test_a_datastore_that_dies_in_the_middle_of_a_burst_leaks_no_address(far, etcd):
    node = far
    pods = [f"p{number}" for number in range(10)]
    for pod in pods:
        put_pod(node, pod)
    spaces = {pod: node.namespace(pod) for pod in pods}
    for pause in (0.02, 0.08):
        running_now = [node.cni_start("ADD", f"id-{pod}", spaces[pod], pod) for pod in pods]
        time.sleep(pause)  # another moment of their work each time
        etcd.kill()
        for process in running_now:
            output = process.communicate(timeout=3 * BOUND)[0]
            assert process.returncode == 0 or json.loads(output)["code"] == 11, output
        etcd.restart()
        for pod in pods:
            repeated(node, "DEL", f"id-{pod}", spaces[pod], pod)
    nothing_left(node)
    assert findings(node) == []


def test_a_node_that_is_not_registered_yet_gives_no_address_that_nobody_owns(node):
    node.store(lambda store: store.delete(Key("Node", "", node.name)))
    spec = IPPoolSpec(cidr="10.80.0.0/24", block_size=26, node_selector="rack == 'a'")
    node.put(IPPool(metadata=ObjectMeta(name="rack"), spec=spec))
    put_pod(node, "web")
    netns = node.namespace("web")
    error = failed(node.cni("ADD", "c1", netns, "web"))  # no agent either
    assert (error["code"], "is it running?" in error["msg"]) == (11, True)
    node.start_ready()
    error = failed(node.cni("ADD", "c1", netns, "web", policy_setup_timeout_seconds=1))
    assert (error["code"], "n1 is not registered yet" in error["msg"]) == (11, True), error
    nothing_left(node)
    adding = node.cni_start("ADD", "c1", netns, "web")
    node.store(lambda store: ensure_node(store, node.name, "172.31.0.2/24"))
    assert adding.wait(BOUND) == 0
    assert findings(node) == []
    assert node.cni("DEL", "c1", netns, "web").returncode == 0
    nothing_left(node)


def test_a_node_without_an_address_or_that_is_gone_gives_none_either(node):
    node.start_ready()
    put_pod(node, "web")
    netns = node.namespace("web")

    async def addressed(store, address):
        found = await store.get(Key("Node", "", node.name))
        bgp = NodeBgp(ipv4_address=address) if address else None
        await store.update(replace(found, spec=replace(found.spec, bgp=bgp)))

    def status():
        said = node.cni("STATUS", cniVersion="1.1.0")
        return json.loads(said.stdout)["details"] if said.returncode else ""

    node.store(lambda store: addressed(store, ""))
    until(lambda: "has no address yet" in status(), "the agent has heard of it")
    error = failed(node.cni("ADD", "c1", netns, "web", policy_setup_timeout_seconds=1))
    assert (error["code"], "has no address yet" in error["msg"]) == (11, True), error
    node.store(lambda store: addressed(store, "172.31.0.2/24"))
    assert node.cni("ADD", "c1", netns, "web").returncode == 0
    assert node.cni("DEL", "c1", netns, "web").returncode == 0
    node.store(lambda store: store.delete(Key("Node", "", node.name)))
    until(lambda: "is not registered" in status(), "the agent has heard of it")
    error = failed(node.cni("ADD", "c2", netns, "web", policy_setup_timeout_seconds=1))
    assert (error["code"], "is not registered" in error["msg"]) == (11, True), error
    nothing_left(node)


def test_a_delete_is_not_overtaken_by_the_add_of_a_killed_runtime(ready_node):
    node = ready_node
    put_pod(node, "web")
    netns = node.namespace("web")
    asked, opened, statuses = threading.Event(), threading.Event(), [200]
    with gate(node.netns, statuses, asked, opened) as url:
        adding = node.cni_start("ADD", "c1", netns, "web", readiness_gates=[url])
        assert asked.wait(BOUND)
        adding.kill()
        adding.wait(BOUND)
        deleting = node.cni_start("DEL", "c1", netns, "web")
        time.sleep(0.3)  # it arrives meanwhile; if not, this proves less, and fails no less
        opened.set()
        until(lambda: not statuses, "the gate's answer")
        assert deleting.wait(BOUND) == 0
    error = failed(node.cni("CHECK", "c1", netns, "web"))  # after both: they have one interface
    assert "no container attached" in error["msg"]
    nothing_left(node)


def test_a_full_pool_is_said_and_serves_again_once_an_address_is_free(ready_node):
    node = ready_node
    tiny = IPPoolSpec(cidr="10.81.0.0/31", block_size=32)
    node.put(IPPool(metadata=ObjectMeta(name="tiny"), spec=tiny))
    ipam = {"type": "calico-ipam", "ipv4_pools": ["tiny"]}
    spaces = {}
    for name in ("one", "two", "three"):
        put_pod(node, name)
        spaces[name] = node.namespace(name)
    for name in ("one", "two"):
        result(node.cni("ADD", f"id-{name}", spaces[name], name, ipam=ipam))
    error = failed(node.cni("ADD", "id-three", spaces["three"], "three", ipam=ipam))
    assert (error["code"], "tiny" in error["msg"] or "10.81" in error["msg"]) == (101, True), error
    until(lambda: set(inside(spaces["three"])[0]) == {"lo"}, "the end of its interface")
    assert len(left_over(node)["handles"]) == 2
    assert node.cni("DEL", "id-one", "", "one", ipam=ipam).returncode == 0
    result(node.cni("ADD", "id-three", spaces["three"], "three", ipam=ipam))


def test_half_of_a_dual_stack_is_a_failure_that_leaves_nothing(ready_node):
    node = ready_node  # it has no pool of IPv6
    put_pod(node, "web")
    netns = node.namespace("web")
    both = {"type": "calico-ipam", "assign_ipv4": "true", "assign_ipv6": "true"}
    error = failed(node.cni("ADD", "c1", netns, "web", ipam=both))
    assert (error["code"], "IPv6" in error["msg"]) == (101, True), error
    neither = {"type": "calico-ipam", "assign_ipv4": "false"}
    error = failed(node.cni("ADD", "c1", netns, "web", ipam=neither))
    assert (error["code"], "both false" in error["msg"]) == (7, True)
    nothing_left(node)


def plugin(tmp_path, script):
    """A request for addresses of an IPAM plugin that does this."""
    program = tmp_path / "slow-ipam"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    config = {"cniVersion": "1.0.0", "name": NETWORK, "ipam": {"type": "slow-ipam"}}
    environ = {
        "CNI_COMMAND": "ADD",
        "CNI_CONTAINERID": "c1",
        "CNI_NETNS": "/run/netns/x",
        "CNI_IFNAME": "eth0",
        "CNI_PATH": str(tmp_path),
    }
    return parse_request(environ, json.dumps(config).encode())


@pytest.mark.parametrize(
    ("script", "code", "said"),
    [
        ("echo nonsense; exit 1", 101, "it answers 'nonsense"),
        ("echo oh no >&2; exit 1", 101, "oh no"),
        ('echo \'{"code": 11, "msg": "busy"}\'; exit 1', 11, "busy"),
        ("echo '{\"ips\": []}'", 101, "gives no address"),
        ('echo \'{"ips": [{"address": "x"}]}\'', 101, "no result"),
        ("true", 101, "no result"),
    ],
)
def test_whatever_another_ipam_plugin_says_is_told(tmp_path, script, code, said):
    with pytest.raises(CniError) as caught:
        asyncio.run(delegate.lease(plugin(tmp_path, script), (), ()))
    assert caught.value.code == code
    assert said in caught.value.message


def test_another_ipam_plugin_that_does_not_answer_is_given_up(tmp_path, monkeypatch):
    monkeypatch.setattr(delegate, "_LIMIT", 0.5)
    with pytest.raises(CniError, match="did not answer within") as caught:
        asyncio.run(delegate.lease(plugin(tmp_path, "exec sleep 1000"), (), ()))
    assert caught.value.code == 11


def test_another_ipam_plugin_is_found_in_absolute_folders_of_the_path_only(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    found = plugin(tmp_path, "true")
    for path in ((), (".",), ("/none/such",)):
        moved = parse_request({**ENVIRON, "CNI_PATH": ":".join(path)}, found.text)
        with pytest.raises(CniError, match="no such plugin"):
            asyncio.run(delegate.lease(moved, (), ()))


ENVIRON = {
    "CNI_COMMAND": "ADD",
    "CNI_CONTAINERID": "c1",
    "CNI_NETNS": "/run/netns/x",
    "CNI_IFNAME": "eth0",
}
