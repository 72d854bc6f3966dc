"""A node's start as a process, on each datastore: what it writes, leaves and refuses."""

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from node.starting import BOUND, Starting, uplink
from servers.etcd import EtcdServer
from servers.kube import KubeServer
from tortie.api import (
    BlockAffinity,
    BlockAffinitySpec,
    IPPool,
    IPPoolSpec,
    Node,
    NodeBgp,
    NodeSpec,
    ObjectMeta,
)
from tortie.api.calico.cluster_information import ClusterInformation, ClusterInformationSpec
from tortie.api.calico.felix_configuration import FelixConfiguration, FelixConfigurationSpec
from tortie.install.rights.node import NODE
from tortie.install.rights.roles import binding, cluster_role
from tortie.linux.links import Links
from tortie.linux.namespaces import create_named, delete_named, in_namespace
from tortie.linux.netlink.sockets import NetlinkSocket
from tortie.net import parse_prefix

pytestmark = pytest.mark.root
KUBEADM = """\
kind: ClusterConfiguration
networking:
  podSubnet: 10.244.0.0/16
  serviceSubnet: 10.96.0.0/12
"""


@pytest.fixture
def netns() -> Iterator[str]:
    """A namespace whose eth0 has 192.168.7.2/24 and fd07::2/64."""
    path = create_named(f"tt{os.getpid()}-start")
    try:
        uplink(str(path), "192.168.7.2/24", "fd07::2/64")
        yield str(path)
    finally:
        delete_named(path.name)


@pytest.fixture
def alone(tmp_path: Path, netns: str) -> Starting:
    """A node without a cluster: its datastore is a file."""
    return Starting(tmp_path, f"sqlite:{tmp_path / 'tortie.db'}", netns=netns)


def until(condition, what):
    deadline = time.monotonic() + BOUND
    while not (found := condition()):
        assert time.monotonic() < deadline, f"{what} did not come within {BOUND} s"
        time.sleep(0.02)
    return found


def test_the_first_node_of_a_cluster_makes_all_and_a_second_start_nothing(alone: Starting) -> None:
    said = alone.start(IP6="autodetect", AS="64512", CALICO_IPV4POOL_IPIP="CrossSubnet")
    node = alone.get("Node", "n1")
    assert node.spec.bgp.ipv4_address == "192.168.7.2/24"
    assert node.spec.bgp.ipv6_address == "fd07::2/64"
    assert node.spec.bgp.as_number == 64512
    assert node.spec.orch_refs == ()
    pool = alone.get("IPPool", "default-ipv4-ippool").spec
    assert (pool.cidr, pool.ipip_mode, pool.nat_outgoing) == (
        *("172.16.0.0/16", "CrossSubnet", True),
    )
    assert "192.168.7.0/24 (on interface eth0)" in said
    assert alone.get("IPPool", "default-ipv6-ippool").spec.cidr.startswith("fd")
    assert alone.get("FelixConfiguration", "default").spec.log_severity_screen == "Info"
    own = alone.get("FelixConfiguration", "node.n1").spec
    assert own.default_endpoint_to_host_action == "Return"
    assert {"default", "kube-admin", "kube-baseline"} <= alone.names("Tier")
    assert alone.nodename == "n1"
    before = alone.revision()
    alone.start(IP6="autodetect", AS="64512", CALICO_IPV4POOL_IPIP="CrossSubnet")
    assert alone.revision() == before


def test_what_people_have_said_is_left_and_only_gaps_are_filled(alone: Starting) -> None:
    alone.put(
        IPPool(metadata=ObjectMeta(name="mine"), spec=IPPoolSpec(cidr="10.5.0.0/16")),
        FelixConfiguration(
            metadata=ObjectMeta(name="default"),
            spec=FelixConfigurationSpec(log_severity_screen="Debug", bpf_enabled=False),
        ),
        Node(
            metadata=ObjectMeta(name="n1", labels={"zone": "a"}),
            spec=NodeSpec(bgp=NodeBgp(ipv4_address="192.0.2.9/24", as_number=64599)),
        ),
    )
    said = alone.start(FELIX_IPV6SUPPORT="false", CALICO_K8S_NODE_REF="machine-9", IP="none")
    node = alone.get("Node", "n1")
    assert (node.metadata.labels, node.spec.bgp.ipv4_address) == ({"zone": "a"}, "192.0.2.9/24")
    assert node.spec.bgp.as_number == 64599
    assert [(one.node_name, one.orchestrator) for one in node.spec.orch_refs] == [
        ("machine-9", "k8s")
    ]
    assert alone.names("IPPool") == {"mine"}
    felix = alone.get("FelixConfiguration", "default").spec
    assert (felix.log_severity_screen, felix.bpf_enabled) == ("Debug", False)
    assert felix.reporting_interval
    assert "is not used" not in said


def test_policy_only_makes_no_pools_and_bears_a_machine_without_addresses(alone: Starting) -> None:
    with in_namespace(alone.netns), NetlinkSocket() as sock:
        Links(sock).delete("eth0")
    refused = alone.run("start")
    assert refused.returncode == 1
    assert "no IPv4 or IPv6 address" in refused.stderr.splitlines()[-1]
    said = alone.start(CALICO_NETWORKING_BACKEND="none", CALICO_MANAGE_CNI="true")
    assert "no default pools: CALICO_NETWORKING_BACKEND is none" in said
    assert "CALICO_MANAGE_CNI is not used: the plugin holds no credentials" in said
    assert alone.names("IPPool") == set()
    assert "Traceback" not in refused.stderr + said


def test_a_file_that_cannot_be_written_is_said_with_its_variable(alone: Starting) -> None:
    refused = alone.run("start", CALICO_NODENAME_FILE="/proc/none/nodename")
    assert refused.returncode == 1
    said = refused.stderr.splitlines()[-1]
    assert "CALICO_NODENAME_FILE: /proc/none/nodename can't be written: No such file" in said


def test_can_reach_takes_an_address_of_each_version_alone(alone: Starting) -> None:
    """As a destination of the other version, or this very machine, names none."""
    both = {"IP": "autodetect", "IP6": "autodetect"}
    four = {"IP_AUTODETECTION_METHOD": "can-reach=192.168.7.9"}
    alone.start(**both, **four, IP6_AUTODETECTION_METHOD="can-reach=192.168.7.9")
    bgp = alone.get("Node", "n1").spec.bgp
    assert (bgp.ipv4_address, bgp.ipv6_address) == ("192.168.7.2/24", "")
    alone.start(**both, **four, IP6_AUTODETECTION_METHOD="can-reach=fd07::9")
    assert alone.get("Node", "n1").spec.bgp.ipv6_address == "fd07::2/64"
    refused = alone.run("start", IP_AUTODETECTION_METHOD="can-reach=localhost", NODENAME="n2")
    assert refused.returncode == 1
    assert "no IPv4 or IPv6 address" in refused.stderr.splitlines()[-1]


def test_another_nodes_address_stops_the_start_before_anything_is_written(alone: Starting) -> None:
    bgp = NodeBgp(ipv4_address="192.168.7.2/16")
    alone.put(Node(metadata=ObjectMeta(name="n2"), spec=NodeSpec(bgp=bgp)))
    before = alone.revision()
    refused = alone.run("start")
    assert refused.returncode == 1
    assert "node n2 has the address 192.168.7.2/16" in refused.stderr.splitlines()[-1]
    assert alone.revision() == before
    alone.start(DISABLE_NODE_IP_CHECK="true")
    assert alone.get("Node", "n1").spec.bgp.ipv4_address == "192.168.7.2/24"


def test_addresses_are_looked_at_again_on_a_timer(alone: Starting) -> None:
    environ = {"IP": "autodetect", "AUTODETECT_POLL_INTERVAL": "100ms"}
    alone.start(**environ)
    monitor = alone.popen("monitor-addresses", **environ)
    try:
        with in_namespace(alone.netns), NetlinkSocket() as sock:
            links = Links(sock)
            links.delete("eth0")
            links.create_veth("eth0", "underlay")
            for name in ("eth0", "underlay"):
                links.set_up(name)
            links.add_address("eth0", parse_prefix("192.168.7.77/24"))
        until(
            lambda: alone.get("Node", "n1").spec.bgp.ipv4_address == "192.168.7.77/24",
            "the other address",
        )
    finally:
        monitor.send_signal(signal.SIGTERM)
        monitor.communicate(timeout=BOUND)
    assert monitor.returncode == 0


def test_a_datastore_that_is_away_is_waited_for_where_that_is_wanted(
    tmp_path: Path, etcd: EtcdServer
) -> None:
    node = Starting(tmp_path, f"etcd:{etcd.endpoint}", etcd.client)
    etcd.kill()
    refused = node.run("start", IP="192.0.2.5/24")
    assert refused.returncode == 1
    assert etcd.endpoint in refused.stderr.splitlines()[-1]
    waiting = node.popen("start", IP="192.0.2.5/24", WAIT_FOR_DATASTORE="true")
    assert waiting.stderr is not None
    said = ""
    while "waiting for the datastore" not in said:
        line = waiting.stderr.readline()
        assert line, said
        said += line
    etcd.restart()
    _, rest = waiting.communicate(timeout=BOUND)
    assert waiting.returncode == 0, said + rest
    assert node.get("Node", "n1").spec.bgp.ipv4_address == "192.0.2.5/24"
    assert node.names("FelixConfiguration") == {"default", "node.n1"}


def claim(name: str, cidr: str) -> BlockAffinity:
    spec = BlockAffinitySpec(state="confirmed", node="n1", type="host", cidr=cidr)
    return BlockAffinity(metadata=ObjectMeta(name=name), spec=spec)


def test_claims_stay_as_they_are_where_nobody_selects_them_by_labels(
    tmp_path: Path, etcd: EtcdServer
) -> None:
    node = Starting(tmp_path, f"etcd:{etcd.endpoint}", etcd.client)
    node.put(claim("n1-10-0-0-0-26", "10.0.0.0/26"))
    before = node.get("BlockAffinity", "n1-10-0-0-0-26")
    node.start(IP="192.0.2.5/24")
    assert node.get("BlockAffinity", "n1-10-0-0-0-26") == before
    after_one = node.revision()
    node.start(IP="192.0.2.5/24")
    assert node.revision() == after_one


def test_a_start_leaves_claims_alone_while_the_datastore_is_being_moved(alone: Starting) -> None:
    spec = ClusterInformationSpec(cluster_guid="g", datastore_ready=False)
    alone.put(
        claim("n1-10-0-0-0-26", "10.0.0.0/26"),
        ClusterInformation(metadata=ObjectMeta(name="default"), spec=spec),
    )
    assert "claims to blocks stay as an older release wrote them" in alone.start()


def conditions(kube: KubeServer) -> dict[str, tuple[str, str]]:
    found = kube.api.get("/api/v1/nodes/n1")["status"].get("conditions", [])
    return {one["type"]: (one["status"], one["reason"]) for one in found}


@pytest.fixture
def kubernetes(kube: KubeServer, tmp_path: Path) -> Iterator[Starting]:
    """A Node that a kubelet registered, in a cluster that kubeadm made."""
    file = tmp_path / "kubeconfig"
    file.write_text(kube.kubeconfig())
    kube.namespace("kube-system")
    kubeadm = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"namespace": "kube-system", "name": "kubeadm-config"},
        "data": {"ClusterConfiguration": KUBEADM},
    }
    kube.api.apply([{"apiVersion": "v1", "kind": "Node", "metadata": {"name": "n1"}}, kubeadm])
    ready = {"type": "Ready", "status": "True", "reason": "KubeletReady"}
    addresses = [{"type": "InternalIP", "address": "192.0.2.31"}]
    status = {"status": {"conditions": [ready], "addresses": addresses}}
    merge = "application/merge-patch+json"
    kube.api.request("PATCH", "/api/v1/nodes/n1/status", status, content=merge)
    try:
        yield Starting(tmp_path, f"kubernetes:{file}", kube.client())
    finally:
        kube.api.delete(kubeadm)


def test_in_kubernetes_kubeadms_ranges_count_and_pods_may_come(
    kube: KubeServer, kubernetes: Starting
) -> None:
    node = kubernetes
    node.start(
        IP="autodetect",
        IP_AUTODETECTION_METHOD="kubernetes-internal-ip",
        CLUSTER_TYPE="k8s,bgp",
        CALICO_IPV4POOL_VXLAN="Always",
    )
    pool = node.get("IPPool", "default-ipv4-ippool").spec
    assert (pool.cidr, pool.vxlan_mode) == ("10.244.0.0/16", "Always")
    assert node.get("Node", "n1").spec.bgp.ipv4_address == "192.0.2.31/32"
    words = node.get("ClusterInformation", "default").spec.cluster_type.split(",")
    assert {"k8s", "bgp", "kubeadm"} <= set(words)
    assert node.names("FelixConfiguration") == {"default"}
    assert conditions(kube) == {
        "Ready": ("True", "KubeletReady"),
        "NetworkUnavailable": ("False", "CalicoIsUp"),
    }


def test_a_shutdown_keeps_pods_away_until_the_next_start(
    kube: KubeServer, kubernetes: Starting
) -> None:
    node = kubernetes
    assert node.run("shutdown").returncode == 0
    assert conditions(kube)["NetworkUnavailable"] == ("True", "CalicoIsDown")
    time.strptime(node.shutdown.read_text(), "%Y-%m-%dT%H:%M:%SZ")
    node.start(IP="192.0.2.31/24")
    assert conditions(kube)["NetworkUnavailable"] == ("False", "CalicoIsUp")
    assert not node.shutdown.exists()
    assert node.run("shutdown", CALICO_NETWORKING_BACKEND="none").returncode == 0
    assert conditions(kube)["NetworkUnavailable"] == ("False", "CalicoIsUp")


def test_a_shutdown_does_not_wait_for_kubernetes(tmp_path: Path) -> None:
    file = tmp_path / "kubeconfig"
    file.write_text(
        "apiVersion: v1\nkind: Config\ncurrent-context: c\n"
        "contexts: [{name: c, context: {cluster: c, user: u}}]\n"
        "clusters: [{name: c, cluster: {server: 'http://127.0.0.1:1'}}]\n"
        "users: [{name: u, user: {}}]\n"
    )
    node = Starting(tmp_path, f"kubernetes:{file}")
    done: subprocess.CompletedProcess[str] = node.run("shutdown")
    assert done.returncode == 0
    assert "NetworkUnavailable of Node n1 can't be set" in done.stderr
    assert node.shutdown.exists()


def test_who_is_not_registered_by_a_kubelet_is_told_so(kubernetes: Starting) -> None:
    refused = kubernetes.run("start", NODENAME="n9", IP="192.0.2.5/24")
    assert refused.returncode == 1
    assert "the Node that its kubelet registers" in refused.stderr.splitlines()[-1]


def test_a_clouds_limits_are_said_at_the_start(alone: Starting, tmp_path: Path) -> None:
    (tmp_path / "dmi").mkdir()
    (tmp_path / "dmi" / "chassis_asset_tag").write_text("7783-7084-3265-9085-8269-3286-77\n")
    environ = {"TORTIE_DMI_DIR": str(tmp_path / "dmi"), "FELIX_IPV6SUPPORT": "false"}
    said = alone.start(CALICO_IPV4POOL_IPIP="Always", **environ)
    assert "IPPool default-ipv4-ippool: ipipMode is Always, and Azure's network drops" in said


def test_the_nodes_own_rights_are_enough(kube: KubeServer, kubernetes: Starting) -> None:
    """Those that manifests give it; a right that is missing would be said."""
    role = NODE._replace(name="start-test", account="start-test")
    objects = [cluster_role(role, "crd.projectcalico.org"), binding(role)]
    kube.api.apply(objects)
    try:
        token = kube.token("kube-system", "start-test")
        file = kubernetes.folder / "kubeconfig"
        file.write_text(kube.kubeconfig(token=token))
        said = kubernetes.start(IP="192.0.2.31/24")
        assert "going on without it" not in said
        assert kubernetes.get("IPPool", "default-ipv4-ippool").spec.cidr == "10.244.0.0/16"
        assert conditions(kube)["NetworkUnavailable"] == ("False", "CalicoIsUp")
        assert kubernetes.run("shutdown").stderr == ""
        assert conditions(kube)["NetworkUnavailable"] == ("True", "CalicoIsDown")
    finally:
        for body in reversed(objects):
            kube.api.delete(body)


def test_claims_of_an_older_release_get_what_others_select_them_by(
    kube: KubeServer, kubernetes: Starting
) -> None:
    """Of this node alone, and once."""
    spec = {"cidr": "10.244.0.0/26", "state": "confirmed", "deleted": "false"}
    head = {"apiVersion": "crd.projectcalico.org/v1", "kind": "BlockAffinity"}
    own, others = (
        {**head, "metadata": {"name": f"{name}-10-244-0-0-26"}, "spec": {**spec, "node": name}}
        for name in ("n1", "n2")
    )
    path = "/apis/crd.projectcalico.org/v1/blockaffinities"
    kube.api.apply([own, others])
    try:
        kubernetes.start(IP="192.0.2.31/24")
        found = kube.api.get(f"{path}/n1-10-244-0-0-26")
        labels = found["metadata"]["labels"]
        assert labels["projectcalico.org/affinity-type"] == "host"
        assert labels["projectcalico.org/ip-version"] == "4"
        assert labels["projectcalico.org/hostname-hash"]
        assert (found["spec"]["type"], found["spec"]["state"]) == ("host", "confirmed")
        assert "labels" not in kube.api.get(f"{path}/n2-10-244-0-0-26")["metadata"]
        kubernetes.start(IP="192.0.2.31/24")
        again = kube.api.get(f"{path}/n1-10-244-0-0-26")
        assert again["metadata"]["resourceVersion"] == found["metadata"]["resourceVersion"]
    finally:
        for body in (own, others):
            kube.api.delete(body)


def test_kubernetes_says_which_cloud_it_is_where_the_firmware_does_not(
    kube: KubeServer, kubernetes: Starting, tmp_path: Path
) -> None:
    provider = {"spec": {"providerID": "azure:///subscriptions/s/resourceGroups/g"}}
    merge = "application/merge-patch+json"
    kube.api.request("PATCH", "/api/v1/nodes/n1", provider, content=merge)
    (tmp_path / "dmi").mkdir()
    said = kubernetes.start(
        IP="192.0.2.31/24", CALICO_IPV4POOL_IPIP="Always", TORTIE_DMI_DIR=str(tmp_path / "dmi")
    )
    assert "Azure's network drops IP-in-IP" in said
