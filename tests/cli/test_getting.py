"""`get`: how objects are asked for, and every form in which they are shown."""

import json

import pytest
import yaml

from strategies.command_line import Tortie, Write
from tortie.api import KINDS
from tortie.cli.columns import COLUMNS, columns_named

CLUSTER = """{apiVersion: v1, kind: Namespace, metadata: {name: shop}}
---
{apiVersion: v1, kind: Namespace, metadata: {name: ops}}
---
apiVersion: projectcalico.org/v3
kind: NetworkPolicy
metadata: {name: web, namespace: shop, labels: {app: web}}
spec: {selector: app == 'web', order: 10}
---
apiVersion: projectcalico.org/v3
kind: NetworkPolicy
metadata: {name: db, namespace: ops}
spec: {order: 1}
---
apiVersion: projectcalico.org/v3
kind: IPPool
metadata: {name: main}
spec: {cidr: 10.0.0.0/16, vxlanMode: CrossSubnet}
---
apiVersion: projectcalico.org/v3
kind: Tier
metadata: {name: web}
spec: {order: 5}
"""


@pytest.fixture(autouse=True)
def cluster(tortie: Tortie, write: Write) -> None:
    """Policies in two namespaces, a pool, a tier."""
    assert tortie("apply", "-f", write("cluster.yaml", CLUSTER)).status == 0


ASKED = [
    (["np", "web", "-n", "shop"], ["networkpolicies/shop/web"]),
    (["np", "-n", "shop", "web"], ["networkpolicies/shop/web"]),
    (["-n", "ops", "NetworkPolicy"], ["networkpolicies/ops/db"]),
    (["np", "-A"], ["networkpolicies/ops/db", "networkpolicies/shop/web"]),
    (["np", "-a"], ["networkpolicies/ops/db", "networkpolicies/shop/web"]),
    (["np,tiers", "web", "-n", "shop"], ["networkpolicies/shop/web", "tiers/web"]),
    (["tier/web", "ippool/main"], ["tiers/web", "ippools/main"]),
    (["np/web", "tier/web", "-n", "shop"], ["networkpolicies/shop/web", "tiers/web"]),
    (["np", "-A", "--selector", "app == 'web'"], ["networkpolicies/shop/web"]),
    (["np", "-A", "--selector", "has(x)"], []),
]


@pytest.mark.parametrize(("words", "names"), ASKED)
def test_objects_are_asked_for_in_many_ways(
    words: list[str], names: list[str], tortie: Tortie
) -> None:
    said = tortie("get", *words, "-o", "name")
    assert (said.status, said.out.split()) == (0, names), said


@pytest.mark.parametrize("word", [w for k in KINDS.values() for w in (k.plural, *k.aliases)])
def test_every_plural_and_alias_is_understood(word: str, tortie: Tortie) -> None:
    assert tortie("get", word, "-A").status == 0


def test_what_files_name_is_shown(tortie: Tortie) -> None:
    said = tortie("get", "-f", "cluster.yaml", "-o", "name")
    assert len(said.out.split()) == 6
    assert "networkpolicies/ops/db" in said.out


def test_what_is_missing_is_told_and_the_rest_is_shown(tortie: Tortie) -> None:
    said = tortie("get", "tier/web", "tier/wbe", "np/x", "-o", "name")
    assert (said.status, said.out) == (1, "tiers/web\n")
    assert said.err.splitlines() == [
        "tortie: there is no Tier 'wbe'; did you mean 'web'?",
        "tortie: there is no NetworkPolicy 'x' in namespace 'default'",
    ]


def test_a_misspelt_namespace_is_named_with_the_nearest(tortie: Tortie) -> None:
    said = tortie("get", "np", "-n", "shpo")
    assert (said.status, said.out) == (1, "")
    assert said.err == "tortie: there is no namespace 'shpo'; did you mean 'shop'?\n"


def test_a_wrong_selector_is_told(tortie: Tortie) -> None:
    said = tortie("get", "np", "-A", "--selector", "app = web")
    assert said.status == 1
    assert said.err.startswith("tortie: --selector: ")


def test_tables_say_the_namespace_only_where_there_are_several(tortie: Tortie) -> None:
    assert tortie("get", "np", "-n", "shop").out.split()[:2] == ["NAME", "TIER"]
    assert tortie("get", "np", "-A").out.split()[:2] == ["NAMESPACE", "NAME"]
    assert tortie("get", "np", "-A", "-o", "ps") == tortie("get", "np", "-A")


SHOWN = [
    ("custom-columns=NAME,CIDR", "NAME   CIDR\nmain   10.0.0.0/16\n"),
    ("custom-columns=name,vxlanmode,IPIPMODE", "NAME   VXLANMODE     IPIPMODE\nmain   Cross"),
    ("custom-columns=N:.metadata.name,X:.spec.none", "N      X\nmain   <none>\n"),
    ("custom-columns=U:{.spec.allowedUses[*]}", "U\nWorkload,Tunnel\n"),
    ("custom-columns-file=columns", "N      C\nmain   10.0.0.0/16\n"),
    ("jsonpath={.items[*].spec.cidr}", "10.0.0.0/16"),
    ("jsonpath-file=path", "main"),
    ("go-template={{range .items}}{{.metadata.name}}{{end}}", "main"),
    ("go-template={{range .}}{{range .Items}}{{.Spec.CIDR}}{{end}}{{end}}", "10.0.0.0/16"),
    ("go-template-file=template", "ippool main"),
]


@pytest.mark.parametrize(("output", "text"), SHOWN)
def test_every_form_of_output(output: str, text: str, tortie: Tortie, write: Write) -> None:
    write("columns", "N C\n.metadata.name .spec.cidr\n")
    write("path", "{.items[0].metadata.name}")
    write("template", "{{range .items}}ippool {{.metadata.name}}{{end}}")
    said = tortie("get", "ippools", "-o", output)
    assert (said.status, said.err) == (0, "")
    assert said.out.startswith(text)


@pytest.mark.parametrize(
    ("output", "message"),
    [
        ("go-template={{.x", "go-template:1:1: the action is never closed"),
        ("jsonpath={.x", "jsonpath:1: the { is never closed"),
        ("custom-columns=SIZE", "ippools have no column 'SIZE'; there are NAME, CIDR, VXLAN"),
        ("custom-columns=A:.x[", "custom-columns: jsonpath:3: unexpected '['"),
        ("go-template-file=nowhere", "nowhere: no such file or directory"),
    ],
)
def test_a_wrong_template_is_told(output: str, message: str, tortie: Tortie) -> None:
    said = tortie("get", "ippools", "-o", output)
    assert (said.status, said.out) == (1, "")
    assert message in said.err
    assert said.err.count("\n") == 1


def test_an_export_has_nothing_of_this_cluster(tortie: Tortie, write: Write) -> None:
    said = tortie("get", "ippool", "main", "-o", "yaml", "--export")
    manifest = yaml.safe_load(said.out)
    assert manifest["metadata"] == {"name": "main"}
    assert tortie("diff", "-f", write("exported.yaml", said.out)) == (0, "", "")


def test_an_exported_pod_is_free_of_its_node(tortie: Tortie, write: Write) -> None:
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "p", "annotations": {"cni.projectcalico.org/podIP": "10.0.0.9"}},
        "spec": {"nodeName": "n", "containers": [{"name": "c", "image": "i"}]},
    }
    tortie("apply", "-f", write("pod.json", json.dumps(pod)))
    found = json.loads(tortie("get", "pod", "p", "-o", "json", "--export").out)
    assert "annotations" not in found["metadata"]
    assert "nodeName" not in found["spec"]


def test_tables_fit_eighty_columns(tortie: Tortie) -> None:
    for kind in COLUMNS:
        for line in tortie("get", KINDS[kind].plural, "-A").out.splitlines():
            assert len(line) <= 80


FROM_SCHEMAS = {
    "BGPPeer": "NodeSelector Node LocalASN PeerSelector PeerIP PeerASN",
    "BlockAffinity": "CIDR Node Type",
    "CalicoNodeStatus": "Node Classes",
    "ClusterInformation": "Version Ready Types",
    "GlobalNetworkPolicy": "Tier Order Age",
    "GlobalNetworkSet": "Age",
    "HostEndpoint": "Node Interface",
    "IPAMBlock": "CIDR Affinity ClaimTime",
    "IPAMConfiguration": "StrictAffinity MaxBlocksPerHost AutoAllocateBlocks",
    "IPAMHandle": "ID",
    "IPPool": "CIDR VXLAN IPIP NAT Allocatable Age",
    "NetworkPolicy": "Tier Order",
    "StagedGlobalNetworkPolicy": "Tier Order",
    "StagedNetworkPolicy": "Tier Order",
    "Tier": "Order DefaultAction Status",
}
"""The printer columns of Calico's own definitions."""


@pytest.mark.parametrize("kind", FROM_SCHEMAS)
def test_the_columns_of_calicos_definitions_are_there(kind: str) -> None:
    names = {name.replace("-", "") for name in columns_named(KINDS[kind])}
    assert {name.upper() for name in FROM_SCHEMAS[kind].split()} <= names
