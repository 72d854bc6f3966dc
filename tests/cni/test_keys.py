"""Keys and annotations on a real kernel: addresses from others, routes, gates, queues, profiles."""

import json
import socket
import subprocess
from pathlib import Path

import pytest
from msgspec.structs import replace

from cni.chain import reference_plugins_lacking
from cni.gate import gate
from cni.look import (
    NETWORK,
    addresses,
    endpoint,
    failed,
    held,
    inside,
    nothing_left,
    open_profile,
    put_pod,
    result,
)
from cni.node import BOUND, address_of, until
from cni.traffic import reaches
from servers.place import REFERENCE_PLUGINS
from tortie.api import IPPool, IPPoolSpec, Key, NodeStatus, ObjectMeta
from tortie.cni.request import SUPPORTED_VERSIONS
from tortie.linux.namespaces import in_namespace

pytestmark = pytest.mark.root
with_reference_plugins = pytest.mark.skipif(
    bool(reference_plugins_lacking()), reason=reference_plugins_lacking()
)


@pytest.fixture
def host_local(ready_node, tmp_path):
    """A node beside whose plugin host-local is; what `ipam` is then, with files of its own."""
    (ready_node.plugin.parent / "host-local").symlink_to(REFERENCE_PLUGINS / "host-local")
    kept = tmp_path / "host-local"

    def ipam(**values):
        return {"type": "host-local", "dataDir": str(kept), **values}

    ipam.kept = kept
    return ipam


def leases(ipam):
    """The addresses that host-local's files say are taken."""
    return {
        one.name
        for one in ipam.kept.glob("*/*")
        if one.name != "lock" and not one.name.startswith("last_reserved")
    }


@with_reference_plugins
def test_addresses_of_host_local_are_connected_and_given_back(ready_node, host_local):
    node, ipam = ready_node, host_local(subnet="10.88.0.0/24")
    ends = []
    for name in ("one", "two"):
        put_pod(node, name)
        netns = node.namespace(name)
        first = result(node.cni("ADD", f"id-{name}", netns, name, ipam=ipam))
        assert result(node.cni("ADD", f"id-{name}", netns, name, ipam=ipam)) == first
        told = {"prevResult": first, "ipam": ipam}
        assert node.cni("CHECK", f"id-{name}", netns, name, **told).returncode == 0
        ends.append((netns, first["ips"][0]["address"]))
    assert {address for _, address in ends} == {"10.88.0.2/32", "10.88.0.3/32"}
    assert leases(host_local) == {"10.88.0.2", "10.88.0.3"}
    open_profile(node, "kns.default")
    assert reaches(ends[0], ends[1], 5000)
    for name in ("one", "two", "two"):
        assert node.cni("DEL", f"id-{name}", "", name, ipam=ipam).returncode == 0
    assert leases(host_local) == set()
    nothing_left(node)


@with_reference_plugins
def test_host_local_gives_addresses_of_the_nodes_own_cidrs(ready_node, host_local):
    node = ready_node
    ranges = [[{"subnet": "usePodCidr"}], [{"subnet": "usePodCidrIPv6"}]]
    put_pod(node, "web")
    netns = node.namespace("web")
    error = failed(node.cni("ADD", "c1", netns, "web", ipam=host_local(ranges=ranges)))
    assert (error["code"], "no IPv4 podCIDR yet" in error["msg"]) == (11, True)
    nothing_left(node)

    async def learn(store):
        found = await store.get(Key("Node", "", node.name))
        status = NodeStatus(pod_cidrs=("10.88.3.0/24", "fd00:88::/64"))
        return await store.update(replace(found, status=status))

    node.store(learn)
    done = result(node.cni("ADD", "c1", netns, "web", ipam=host_local(ranges=ranges)))
    assert [one["address"] for one in done["ips"]] == ["10.88.3.2/32", "fd00:88::2/128"]
    assert addresses(netns) == {"10.88.3.2/32", "fd00:88::2/128"}
    assert node.cni("DEL", "c1", netns, "web", ipam=host_local(ranges=ranges)).returncode == 0
    assert leases(host_local) == set()


@with_reference_plugins
def test_what_host_local_kept_of_an_add_that_died_is_given_back(ready_node, host_local):
    node, ipam = ready_node, host_local(subnet="10.88.0.0/24")
    put_pod(node, "web")
    folder = host_local.kept / NETWORK
    folder.mkdir(parents=True)
    (folder / "10.88.0.2").write_text("c1\r\neth0")
    done = result(node.cni("ADD", "c1", node.namespace("web"), "web", ipam=ipam))
    assert len(leases(host_local)) == 1
    assert done["ips"][0]["address"].startswith("10.88.0.")
    assert node.cni("DEL", "c1", "", "web", ipam=ipam).returncode == 0
    assert leases(host_local) == set()


@with_reference_plugins
def test_an_address_asked_for_by_annotation_is_host_locals_too(ready_node, host_local):
    node, ipam = ready_node, host_local(subnet="10.88.0.0/24")
    put_pod(node, "web", {"ipAddrs": '["10.88.0.77"]'})
    done = result(node.cni("ADD", "c1", node.namespace("web"), "web", ipam=ipam))
    assert done["ips"][0]["address"] == "10.88.0.77/32"


@with_reference_plugins
def test_a_failure_of_host_local_is_told_in_its_words_and_leaves_nothing(ready_node, host_local):
    node = ready_node
    put_pod(node, "web")
    netns = node.namespace("web")
    error = failed(node.cni("ADD", "c1", netns, "web", ipam=host_local(subnet="10.88.0.1")))
    assert error["code"] == 101
    assert "IPAM host-local: " in error["msg"]
    full = host_local(ranges=[[{"subnet": "10.88.0.0/30"}]])
    put_pod(node, "other")
    assert node.cni("ADD", "c0", node.namespace("other"), "other", ipam=full).returncode == 0
    error = failed(node.cni("ADD", "c1", netns, "web", ipam=full))
    assert "no IP addresses available" in error["msg"]
    assert leases(host_local) == {"10.88.0.2"}
    until(lambda: set(inside(netns)[0]) == {"lo"}, "the end of its interface")
    node.cni("DEL", "c0", "", "other", ipam=full)
    nothing_left(node)


def test_an_ipam_plugin_that_is_not_there_is_named(ready_node):
    node = ready_node
    put_pod(node, "web")
    error = failed(node.cni("ADD", "c1", node.namespace("web"), "web", ipam={"type": "dhcpd"}))
    assert (error["code"], "no such plugin in CNI_PATH" in error["msg"]) == (7, True)
    nothing_left(node)


def test_routes_of_the_network_take_the_place_of_the_default_route(ready_node):
    node = ready_node
    put_pod(node, "web")
    netns = node.namespace("web")
    ipam = {"type": "calico-ipam", "routes": [{"dst": "10.77.0.0/16"}, {"dst": "192.0.2.0/24"}]}
    done = result(node.cni("ADD", "c1", netns, "web", ipam=ipam))
    assert [one["dst"] for one in done["routes"]] == ["10.77.0.0/16", "192.0.2.0/24"]
    assert inside(netns)[1] == {"10.77.0.0/16 dev eth0", "192.0.2.0/24 dev eth0"}
    assert node.cni("CHECK", "c1", netns, "web", ipam=ipam).returncode == 0
    done = result(node.cni("ADD", "c1", netns, "web", ipam=ipam, include_default_routes=True))
    assert done["routes"][0]["dst"] == "0.0.0.0/0"
    assert "0.0.0.0/0 dev eth0" in inside(netns)[1]


def test_pods_wait_for_the_readiness_gates(node):
    put_pod(node, "web")
    netns = node.namespace("web")
    node.start_ready()
    with gate(node.netns, [503, 200]) as url:
        error = failed(node.cni("ADD", "c1", netns, "web", readiness_gates=[url]))
        assert (error["code"], "it answers 503" in error["msg"]) == (11, True)
        nothing_left(node)
        result(node.cni("ADD", "c1", netns, "web", readiness_gates=[url]))
    error = failed(node.cni("ADD", "c2", netns, "web", readiness_gates=["http://127.0.0.1:1/"]))
    assert (error["code"], "does not answer" in error["msg"]) == (11, True)
    assert failed(node.cni("ADD", "c2", netns, "web", readiness_gates=["file:///x"]))["code"] == 7


def test_both_families_are_connected(ready_node):
    node = ready_node
    six = IPPoolSpec(cidr="fd00:77::/112", block_size=122)
    node.put(IPPool(metadata=ObjectMeta(name="six"), spec=six))
    both = {"type": "calico-ipam", "assign_ipv4": "true", "assign_ipv6": True}
    spaces, told = {}, {}
    for name in ("one", "two"):
        put_pod(node, name)
        spaces[name] = node.namespace(name)
        done = result(node.cni("ADD", f"id-{name}", spaces[name], name, ipam=both))
        told[name] = [one["address"].partition("/")[0] for one in done["ips"]]
        gateways = [one["gateway"] for one in done["ips"]]
        assert gateways == ["169.254.1.1", "fe80::ecee:eeff:feee:eeee"]
    assert inside(spaces["one"])[1] == {"0.0.0.0/0 dev eth0", "::/0 dev eth0"}
    for family, address in zip((socket.AF_INET, socket.AF_INET6), told["two"], strict=True):
        with in_namespace(spaces["two"]):
            receiver = socket.socket(family, socket.SOCK_DGRAM)
        with in_namespace(spaces["one"]):
            sender = socket.socket(family, socket.SOCK_DGRAM)
        with receiver, sender:
            receiver.bind((address, 5000))
            receiver.settimeout(BOUND)
            sender.sendto(b"x", (address, 5000))
            assert receiver.recvfrom(8)[1][0] in told["one"]
    assert node.cni("CHECK", "id-one", spaces["one"], "one", ipam=both).returncode == 0


def test_queues_mtu_mac_and_forwarding_are_as_configured(ready_node):
    node = ready_node
    netns = node.namespace("c1")
    values = {
        "num_queues": 4,
        "mtu": 1300,
        "container_settings": {"allow_ip_forwarding": True},
        "runtimeConfig": {"mac": "02:00:00:00:00:07", "ips": ["10.77.0.200/24"]},
        "dns": {"nameservers": ["10.96.0.10"]},
    }
    done = result(node.cni("ADD", "c1", netns, **values))
    assert done["ips"][0]["address"] == "10.77.0.200/32"
    assert done["interfaces"][1]["mac"] == "02:00:00:00:00:07"
    assert done["dns"] == {"nameservers": ["10.96.0.10"]}
    assert inside(netns)[0]["eth0"].mtu == 1300
    assert queues(netns) == (4, 4)
    plain = node.namespace("plain")
    result(node.cni("ADD", "plain", plain))
    assert (forwards(netns), forwards(plain)) == ("1", "0")
    assert node.cni("CHECK", "c1", netns, prevResult=done).returncode == 0
    told = {**done, "ips": [{**done["ips"][0], "address": "10.77.0.201/32"}]}
    assert (
        "ADD told of 10.77.0.201/32"
        in failed(node.cni("CHECK", "c1", netns, prevResult=told))["msg"]
    )


def forwards(netns):
    """The setting `ip_forward` of a network namespace."""
    return subprocess.run(
        ["nsenter", f"--net={netns}", "cat", "/proc/sys/net/ipv4/ip_forward"],
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    ).stdout.strip()


def queues(netns):
    """How many queues eth0 has, (to send, to receive)."""
    said = subprocess.run(
        ["nsenter", f"--net={netns}", "ip", "-d", "-j", "link", "show", "eth0"],
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    ).stdout
    (found,) = json.loads(said)
    return found["num_tx_queues"], found["num_rx_queues"]


def test_an_address_that_no_ipam_is_asked_about(ready_node):
    node = ready_node
    put_pod(node, "web", {"ipAddrsNoIpam": '["198.51.100.7"]'})
    netns = node.namespace("web")
    error = failed(node.cni("ADD", "c1", netns, "web"))
    assert (error["code"], "feature_control.ip_addrs_no_ipam" in error["msg"]) == (7, True)
    allowed = {"feature_control": {"ip_addrs_no_ipam": True}}
    done = node.cni("ADD", "c1", netns, "web", **allowed)
    assert address_of(done) == "198.51.100.7/32"
    assert held(node, f"{NETWORK}.c1") == ()
    assert node.cni("CHECK", "c1", netns, "web", **allowed).returncode == 0
    assert node.route_to("198.51.100.7/32") is not None
    assert node.cni("DEL", "c1", netns, "web").returncode == 0
    nothing_left(node)


def test_floating_addresses_need_the_networks_leave(ready_node):
    node = ready_node
    put_pod(node, "web", {"floatingIPs": '["198.51.100.8"]'})
    netns = node.namespace("web")
    error = failed(node.cni("ADD", "c1", netns, "web"))
    assert (error["code"], "feature_control.floating_ips" in error["msg"]) == (7, True)
    result(node.cni("ADD", "c1", netns, "web", feature_control={"floating_ips": True}))


def test_an_annotation_that_would_be_left_out_later_stops_the_pod(ready_node):
    node = ready_node
    netns = node.namespace("web")
    for number, name in enumerate(["allowedSourcePrefixes", "floatingIPs"]):
        put_pod(node, f"web{number}", {name: '["10.0.0.300"]'})
        error = failed(node.cni("ADD", "c1", netns, f"web{number}"))
        assert (error["code"], name in error["msg"]) == (7, True)
    nothing_left(node)


def test_a_namespace_names_pools_for_its_pods(ready_node):
    node = ready_node
    for name, cidr in (("blue", "10.78.0.0/24"), ("green", "10.79.0.0/24")):
        spec = IPPoolSpec(cidr=cidr, block_size=26)
        node.put(IPPool(metadata=ObjectMeta(name=name), spec=spec))

    async def annotate(store):
        found = await store.get(Key("Namespace", "", "default"))
        asked = {"cni.projectcalico.org/ipv4pools": '["blue"]'}
        return await store.update(
            replace(found, metadata=replace(found.metadata, annotations=asked))
        )

    node.store(annotate)
    put_pod(node, "of-namespace")
    put_pod(node, "own", {"ipv4pools": '["10.79.0.0/24"]'})
    for name, begin in (("of-namespace", "10.78.0."), ("own", "10.79.0.")):
        done = node.cni("ADD", f"id-{name}", node.namespace(name), name)
        assert address_of(done).startswith(begin)


def test_each_version_is_spoken_in_its_own_form(ready_node):
    node = ready_node
    put_pod(node, "web")
    netns = node.namespace("web")
    for version in SUPPORTED_VERSIONS:
        done = result(node.cni("ADD", "c1", netns, "web", cniVersion=version))
        assert done["cniVersion"] == version
        told = done["ip4"]["ip"] if version in ("0.1.0", "0.2.0") else done["ips"][0]["address"]
        assert addresses(netns) == {told}
        assert node.cni("DEL", "c1", netns, "web", cniVersion=version).returncode == 0
        nothing_left(node)


def test_the_network_of_another_node_is_refused_but_its_containers_can_go(ready_node):
    node = ready_node
    netns, _ = node.attach("web")
    put_pod(node, "late")
    error = failed(node.cni("ADD", "c1", node.namespace("late"), "late", nodename="n2"))
    assert (error["code"], "this node's agent runs as n1" in error["msg"]) == (7, True)
    status = failed(node.cni("STATUS", cniVersion="1.1.0", nodename="n2"))
    assert status["code"] == 7
    assert node.cni("DEL", "id-web", netns, "web", nodename="n2").returncode == 0
    nothing_left(node)


def test_a_network_without_orchestrator_has_a_profile_that_joins_its_containers(ready_node):
    node = ready_node
    ends = []
    for container in ("c1", "c2"):
        netns = node.namespace(container)
        ends.append((netns, address_of(node.cni("ADD", container, netns, name="blue"))))
    netns = node.namespace("c3")
    stranger = (netns, address_of(node.cni("ADD", "c3", netns, name="green")))
    assert reaches(ends[0], ends[1], 5000)
    assert not reaches(stranger, ends[1], 5000, attempts=1)
    assert endpoint(node, "n1-cni-c1-eth0").metadata.labels["projectcalico.org/network"] == "blue"

    netns = node.namespace("c4")
    kept = node.cni("ADD", "c4", netns, name="closed", policy={"type": "k8s"})
    assert not reaches(ends[0], (netns, address_of(kept)), 5000, attempts=1)


def test_garbage_of_one_network_is_not_anothers(ready_node):
    node = ready_node
    for name in ("blue", "green"):
        for container in ("kept", "gone"):
            call = node.cni(
                "ADD", f"{name}-{container}", node.namespace(f"{name}{container}"), name=name
            )
            assert call.returncode == 0, call.stdout
    valid = [{"containerID": "blue-kept", "ifname": "eth0"}]
    asked = {"cniVersion": "1.1.0", "name": "blue", "cni.dev/valid-attachments": valid}
    assert node.cni("GC", **asked).returncode == 0
    left = {
        name
        for name in ("blue-kept", "blue-gone", "green-kept", "green-gone")
        if endpoint(node, f"n1-cni-{name.replace('-', '--')}-eth0")
    }
    assert left == {"blue-kept", "green-kept", "green-gone"}


@pytest.mark.parametrize(
    "other",
    [
        {"name": "other"},
        {"name": "other", "ipam": {"type": "host-local", "subnet": "10.123.0.0/24"}},
        {"name": "other", "policy_only": True},
    ],
    ids=["ours", "host-local", "policy only"],
)
def test_garbage_of_another_network_is_no_pod_of_ours(ready_node, other):
    node = ready_node
    put_pod(node, "web")
    netns = node.namespace("web")
    result(node.cni("ADD", "id-web", netns, "web"))
    nothing = {"cniVersion": "1.1.0", "cni.dev/valid-attachments": []}
    assert node.cni("GC", **other, **nothing).returncode == 0
    assert node.cni("CHECK", "id-web", netns, "web").returncode == 0
    assert node.cni("GC", **nothing).returncode == 0
    assert node.cni("CHECK", "id-web", netns, "web").returncode != 0


@with_reference_plugins
def test_garbage_goes_with_its_address_at_another_ipam_one_by_one(ready_node, host_local):
    node, ipam = ready_node, host_local(subnet="10.88.0.0/24")
    spaces = {pod: node.namespace(pod) for pod in ("web", "db")}
    for pod in spaces:
        put_pod(node, pod)
        result(node.cni("ADD", pod, spaces[pod], pod, ipam=ipam))
    plugin = node.plugin.parent / "host-local"
    away = plugin.rename(plugin.with_name("away"))
    nothing = {"cniVersion": "1.1.0", "cni.dev/valid-attachments": [], "ipam": ipam}
    error = failed(node.cni("GC", **nothing))
    assert "2 can't be detached" in error["msg"], error
    assert len(leases(host_local)) == 2
    away.rename(plugin)
    for pod in spaces:
        assert node.cni("DEL", pod, "", pod, ipam=ipam).returncode == 0
        result(node.cni("ADD", pod, spaces[pod], pod, ipam=ipam))
    assert node.cni("GC", **nothing).returncode == 0
    assert not leases(host_local)


def test_garbage_is_what_is_not_listed_however_the_list_is_written(ready_node):
    node = ready_node
    put_pod(node, "web")
    netns, listed = node.namespace("web"), [{"containerID": "id-web", "ifname": "eth0"}]
    for key, value, kept in (
        ("cni.dev/valid-attachments", None, False),
        ("cni.dev/attachments", listed, True),
        ("cni.dev/attachments", [], False),
        ("other", [], True),
    ):
        result(node.cni("ADD", "id-web", netns, "web"))
        assert node.cni("GC", cniVersion="1.1.0", **{key: value}).returncode == 0
        assert (node.cni("CHECK", "id-web", netns, "web").returncode == 0) is kept


def test_the_reference_plugins_are_not_needed_for_our_own_addresses(ready_node):
    assert not (Path(ready_node.plugin.parent) / "host-local").exists()
    ready_node.attach("web")
