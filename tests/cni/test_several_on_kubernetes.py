"""Several interfaces of a pod with a real kube-apiserver as datastore: who else writes the Pod,
kills, forgeries, ends."""

import json
from concurrent.futures import ThreadPoolExecutor

import pytest

from cni.kube_node import kube_node
from cni.look import (
    NETWORK,
    addresses,
    endpoint,
    findings,
    held,
    left_over,
    nothing_left,
    put_pod,
)
from cni.node import address_of, until
from cni.traffic import reaches
from tortie.api import (
    GlobalNetworkPolicy,
    GlobalNetworkPolicySpec,
    IPPool,
    IPPoolSpec,
    Key,
    KubernetesNetworkPolicy,
    KubernetesNetworkPolicySpec,
    LabelSelector,
    ObjectMeta,
)
from tortie.kubernetes import names
from tortie.kubernetes.pods import attached_further

pytestmark = pytest.mark.root
SECOND = {"name": "storage", "ipam": {"type": "calico-ipam", "ipv4_pools": ["storage"]}}
BOTH = {
    "name": "both",
    "ipam": {"type": "calico-ipam", "assign_ipv4": "true", "assign_ipv6": "true"},
}
STRATEGIC = "application/strategic-merge-patch+json"


@pytest.fixture
def node(tmp_path, kube):
    """A node with a pool for a second network, in a cluster of Kubernetes."""
    with kube_node(tmp_path, kube) as found:
        found.start_ready()
        spec = IPPoolSpec(cidr="10.79.0.0/24", block_size=26)
        found.put(IPPool(metadata=ObjectMeta(name="storage"), spec=spec))
        yield found


def attached(node, name, **labels):
    """A pod with eth0 and net1: its namespace, and the address of each."""
    put_pod(node, name, **labels)
    netns = node.namespace(name)
    first = node.cni("ADD", f"id-{name}", netns, name)
    second = node.cni("ADD", f"id-{name}", netns, name, ifname="net1", **SECOND)
    return netns, address_of(first), address_of(second)


def pod_of(node, name):
    return node.get(Key("Pod", "default", name))


def further(node, name):
    return attached_further(pod_of(node, name))


def closed(name, selector):
    spec = GlobalNetworkPolicySpec(selector=selector, types=("Ingress",))
    return GlobalNetworkPolicy(metadata=ObjectMeta(name=name), spec=spec)


def networks(count):
    """As many further interfaces, each of a network of its own."""
    return [(f"net{number}", {**SECOND, "name": f"lan{number}"}) for number in range(1, count + 1)]


def at_once(node, command, netns, ends):
    """Ask for all of a pod's interfaces at once; the finished calls."""
    with ThreadPoolExecutor(len(ends)) as threads:
        calls = [
            threads.submit(node.cni, command, "id-web", netns, "web", ifname, **more)
            for ifname, more in ends
        ]
        return [call.result() for call in calls]


def test_all_interfaces_at_once_are_all_recorded_while_others_write_the_pod(node):
    put_pod(node, "web")
    netns = node.namespace("web")
    ends = [("eth0", {}), *networks(5)]
    with ThreadPoolExecutor(1) as other:
        kubelet = other.submit(busy_kubelet, node, "web", 30)
        done = at_once(node, "ADD", netns, ends)
        kubelet.result()
    given = {ifname: address_of(one) for (ifname, _), one in zip(ends, done, strict=True)}
    pod = pod_of(node, "web")
    assert pod.metadata.annotations[names.POD_IPS] == given.pop("eth0")
    assert {name: one.addresses for name, one in attached_further(pod).items()} == {
        name: (address,) for name, address in given.items()
    }
    assert condition_of(node, "Ready")["reason"] == "29"
    assert pod.metadata.annotations["example.com/turn"] == "29"
    assert [end.returncode for end in at_once(node, "DEL", "", ends)] == [0] * 6
    assert further(node, "web") == {}
    nothing_left(node)


def busy_kubelet(node, name, turns):
    """What kubelets and owners write meanwhile: a condition of their own, an annotation."""
    where = f"/api/v1/namespaces/default/pods/{name}"
    for turn in range(turns):
        ready = {"type": "Ready", "status": "False", "reason": str(turn)}
        status = {"status": {"conditions": [ready]}}
        node.kube.api.request("PATCH", f"{where}/status", status, content=STRATEGIC)
        node.change(name, metadata={"annotations": {"example.com/turn": str(turn)}})


def condition_of(node, kind):
    conditions = pod_of(node, "web").status.conditions
    return next(one for one in conditions if one["type"] == kind)


def test_policy_of_the_second_network_holds_through_a_killed_agent(node):
    client, server = attached(node, "client"), attached(node, "server", app="server")
    selector = "app == 'server' && projectcalico.org/network == 'storage'"
    node.applied(node.put(closed("second-only", selector)))
    assert not reaches(client[:2], (server[0], server[2]), 5000, attempts=1)
    node.kill()
    assert not reaches(client[:2], (server[0], server[2]), 5000, attempts=1)
    assert reaches(client[:2], (server[0], server[1]), 5001)
    node.start_ready()
    assert not reaches(client[:2], (server[0], server[2]), 5000, attempts=1)
    assert reaches(client[:2], (server[0], server[1]), 5001)
    for ifname, more in (("eth0", {}), ("net1", SECOND)):
        done = node.cni("CHECK", "id-server", server[0], "server", ifname=ifname, **more)
        assert done.returncode == 0, done.stdout


def test_what_a_killed_agent_left_half_done_is_done_again_or_removed(node):
    put_pod(node, "web")
    netns = node.namespace("web")
    assert node.cni("ADD", "id-web", netns, "web").returncode == 0
    call = node.cni_start("ADD", "id-web", netns, "web", ifname="net1", **SECOND)
    until(lambda: held(node, "storage.id-web.net1"), "its address")
    node.kill()
    call.communicate(timeout=90)
    node.start_ready()
    done = node.cni("ADD", "id-web", netns, "web", ifname="net1", **SECOND)
    assert done.returncode == 0, done.stdout
    assert addresses(netns, "net1") == {address_of(done)}
    assert further(node, "web")["net1"].addresses == (address_of(done),)
    assert node.cni("DEL", "id-web", netns, "web", ifname="net1", **SECOND).returncode == 0
    assert addresses(netns) != set()
    assert node.cni("DEL", "id-web", netns, "web").returncode == 0
    nothing_left(node)


def test_who_may_change_a_pod_can_claim_no_address_for_its_interface(node, kube):
    """Rights of Kubernetes' own role `edit`, which every owner of a namespace has."""
    victim, mine = attached(node, "victim"), attached(node, "mine")
    before = endpoint(node, "n1-k8s-mine-net1")
    pod = pod_of(node, "mine")
    (condition,) = (one for one in pod.status.conditions if one["type"] == names.FURTHER_INTERFACES)
    message = condition["message"].replace(mine[2], victim[2])
    forged = [{**condition, "message": message}]
    everything = {
        "metadata": {
            "annotations": {
                names.FURTHER_INTERFACES: message,
                "k8s.v1.cni.cncf.io/network-status": json.dumps(
                    [{"name": "storage", "interface": "net1", "ips": [victim[2]]}]
                ),
            },
            "labels": {names.NETWORK_LABEL: "other"},
        },
        "status": {"conditions": forged},
    }
    status, merge = {"status": {"conditions": forged}}, "application/merge-patch+json"
    where = "/api/v1/namespaces/default/pods/mine"
    with owner(kube) as api:
        assert api.answer("PATCH", where, everything, content=merge)[0] == 200
        assert api.answer("PATCH", f"{where}/status", status, content=merge)[0] == 403
    after = endpoint(node, "n1-k8s-mine-net1")
    assert after.spec == before.spec
    assert after.metadata.labels["projectcalico.org/network"] == "storage"
    assert reaches(mine[:2], (victim[0], victim[2]), 5000)
    assert findings(node) == []


def owner(kube):
    """Requests of an account with the role `edit`."""
    token = kube.token("default", "owner")
    rule = {"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "patch", "update"]}
    name = {"name": "tests-owner", "namespace": "default"}
    rights = {"apiVersion": "rbac.authorization.k8s.io/v1", "metadata": name}
    subject = {"kind": "ServiceAccount", "name": "owner", "namespace": "default"}
    reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "tests-owner"}
    kube.api.apply(
        [
            {**rights, "kind": "Role", "rules": [rule]},
            {**rights, "kind": "RoleBinding", "subjects": [subject], "roleRef": reference},
        ]
    )
    return kube.api_as(token=token)


def test_an_address_is_in_use_as_long_as_its_pod_is_there_and_runs(node):
    netns, _, second = attached(node, "web")
    assert findings(node) == []
    node.change("web", "/status", status={"phase": "Succeeded"})
    until(lambda: node.route_to(second) is None, "the end of the route")
    assert endpoint(node, "n1-k8s-web-net1").spec.ip_networks == ()
    assert len([one for one in findings(node) if "no such pod has this address" in one]) == 2
    node.remove("web")
    for ifname, more in (("net1", SECOND), ("eth0", {})):
        assert node.cni("DEL", "id-web", netns, "web", ifname=ifname, **more).returncode == 0
    nothing_left(node)


def test_after_the_pod_is_gone_its_address_is_leaked_until_del(node):
    _, _, second = attached(node, "web")
    node.remove("web")
    (leak,) = (one for one in findings(node) if second.partition("/")[0] in one)
    assert "held by" in leak
    for _ in range(2):
        assert node.cni("DEL", "id-web", "", "web", ifname="net1", **SECOND).returncode == 0
    assert held(node, "storage.id-web.net1") == ()
    assert node.cni("DEL", "id-web", "", "web").returncode == 0
    nothing_left(node)


def test_collecting_judges_each_network_by_itself(node):
    attached(node, "web")
    both = [{"containerID": "id-web", "ifname": ifname} for ifname in ("eth0", "net1")]
    collecting = {"cniVersion": "1.1.0", "cni.dev/valid-attachments": both[:1]}
    assert node.cni("GC", **collecting).returncode == 0
    assert set(further(node, "web")) == {"net1"}
    assert node.cni("GC", **{**SECOND, **collecting}).returncode == 0
    assert further(node, "web") == {}
    assert held(node, "storage.id-web.net1") == ()
    assert held(node, f"{NETWORK}.id-web") != ()
    collecting["cni.dev/valid-attachments"] = []
    assert node.cni("GC", **collecting).returncode == 0
    nothing_left(node)


def test_both_families_and_policies_of_kubernetes_on_the_second_interface(node):
    spec = IPPoolSpec(cidr="fd79::/64", block_size=122)
    node.put(IPPool(metadata=ObjectMeta(name="six"), spec=spec))
    client = attached(node, "client")
    put_pod(node, "web", app="web")
    netns = node.namespace("web")
    first = address_of(node.cni("ADD", "id-web", netns, "web"))
    done = node.cni("ADD", "id-web", netns, "web", ifname="net1", **BOTH)
    given = tuple(one["address"] for one in json.loads(done.stdout)["ips"])
    assert [text.rpartition("/")[2] for text in given] == ["32", "128"]
    assert endpoint(node, "n1-k8s-web-net1").spec.ip_networks == given
    assert reaches(client[:2], (netns, given[0]), 5000)
    wanted = KubernetesNetworkPolicySpec(
        pod_selector=LabelSelector(match_labels={"app": "web"}), policy_types=("Ingress",)
    )
    metadata = ObjectMeta(name="deny", namespace="default")
    node.applied(node.put(KubernetesNetworkPolicy(metadata=metadata, spec=wanted)))
    for address in (first, given[0]):
        assert not reaches(client[:2], (netns, address), 5000, attempts=1)


def test_endpoints_are_listed_read_and_gone_one_by_one(node):
    attached(node, "web")

    async def names_of(store):
        found = (await store.list("WorkloadEndpoint")).resources
        return [(one.metadata.name, one.spec.ip_networks != ()) for one in found]

    assert node.store(names_of) == [("n1-k8s-web-eth0", True), ("n1-k8s-web-net1", True)]
    assert node.cni("DEL", "id-web", "", "web").returncode == 0
    assert node.store(names_of) == [("n1-k8s-web-net1", True)]
    assert left_over(node)["attached"] == ["web"]
    assert node.cni("DEL", "id-web", "", "web", ifname="net1", **SECOND).returncode == 0
    assert node.store(names_of) == []
    nothing_left(node)
