"""What people write: read whole, or refused with the place, the fault and what to do."""

from textwrap import dedent

import pytest

from tortie.api import IPPool, Key
from tortie.api.manifests import MOST_ERRORS, read_all, read_manifests

POLICY = """\
apiVersion: projectcalico.org/v3
kind: NetworkPolicy
metadata: {name: a, namespace: b}
spec:
  ingress:
  - action: Allow
"""


def errors_of(text):
    found = read_manifests("f.yaml", dedent(text))
    assert found.resources == ()
    return [str(error) for error in found.errors]


def keys_of(text):
    found = read_manifests("f.yaml", dedent(text))
    assert found.errors == ()
    return [located.resource.key for located in found.resources]


def test_an_ordinary_pod_is_read_with_what_networking_has_no_use_for():
    text = """\
    apiVersion: v1
    kind: Pod
    metadata:
      name: web
      creationTimestamp: null
      ownerReferences: [{apiVersion: apps/v1, kind: ReplicaSet, name: r, uid: u}]
    spec:
      restartPolicy: Never
      tolerations: [{operator: Exists}]
      containers:
      - name: c
        image: nginx
        command: [sleep, "1"]
        env: [{name: A, value: "1"}]
        resources: {limits: {cpu: 1}}
        ports: [{containerPort: 80, name: http}]
    status: {}
    """
    (located,) = read_manifests("f.yaml", dedent(text), namespace="shop").resources
    assert located.resource.key == Key("Pod", "shop", "web")
    assert located.resource.spec.containers[0].ports[0].name == "http"
    assert located.resource.spec.containers[0].resources == {"limits": {"cpu": 1}}


def test_lists_of_both_sorts_are_read():
    text = """\
    apiVersion: v1
    kind: List
    items:
    - {apiVersion: v1, kind: Namespace, metadata: {name: x}}
    ---
    apiVersion: projectcalico.org/v3
    kind: GlobalNetworkSetList
    items:
    - {metadata: {name: y}, spec: {nets: [10.0.0.0/8]}}
    """
    assert keys_of(text) == [Key("Namespace", "", "x"), Key("GlobalNetworkSet", "", "y")]


def test_the_older_group_holds_the_same_kinds():
    assert keys_of(POLICY.replace("projectcalico.org/v3", "crd.projectcalico.org/v1")) == [
        Key("NetworkPolicy", "b", "a")
    ]


def test_two_groups_have_a_network_policy():
    text = """\
    apiVersion: networking.k8s.io/v1
    kind: NetworkPolicy
    metadata: {name: a, namespace: b}
    spec: {podSelector: {}}
    """
    assert keys_of(text) == [Key("KubernetesNetworkPolicy", "b", "a")]
    assert keys_of(POLICY) == [Key("NetworkPolicy", "b", "a")]


def test_defaults_are_filled_in():
    text = """\
    apiVersion: projectcalico.org/v3
    kind: IPPool
    metadata: {name: p}
    spec: {cidr: "10.0.0.0/16"}
    """
    (located,) = read_manifests("f.yaml", dedent(text)).resources
    assert isinstance(located.resource, IPPool)
    spec = located.resource.spec
    assert (spec.block_size, spec.vxlan_mode, spec.node_selector) == (26, "Never", "all()")
    assert spec.allowed_uses == ("Workload", "Tunnel")


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (
            "action: Allow",
            "action: allow",
            'f.yaml:6: document 1: spec.ingress[0].action: "allow" is not one of '
            'Allow, Deny, Log, Pass; did you mean "Allow"?',
        ),
        (
            "ingress:",
            "ingres:",
            'f.yaml:5: document 1: spec.ingres: unknown field; did you mean "ingress"?',
        ),
        (
            "action: Allow",
            "source: {}",
            "f.yaml:6: document 1: spec.ingress[0].action: is required",
        ),
        (
            "action: Allow",
            "{action: Allow, source: {nets: [10.0.0.0/33]}}",
            "f.yaml:6: document 1: spec.ingress[0].source.nets[0]: "
            "'10.0.0.0/33': the prefix length is above 32",
        ),
        (
            "action: Allow",
            "{action: Allow, source: {nets: 10.0.0.0/8}}",
            "f.yaml:6: document 1: spec.ingress[0].source.nets: expected a list, found text "
            '("10.0.0.0/8"); put it in a list: ["10.0.0.0/8"]',
        ),
        (
            "name: a,",
            "name: a, labels: {on: true},",
            "f.yaml:3: document 1: metadata.labels.on: expected text, found true or false (true); "
            'quote it, as in "true"',
        ),
        (
            "name: a,",
            "name: a, labels: {x.y/z: 1},",
            'f.yaml:3: document 1: metadata.labels["x.y/z"]: expected text, '
            'found a whole number (1); quote it, as in "1"',
        ),
        (
            "kind: NetworkPolicy",
            "kind: NetworkPolcy",
            "f.yaml:2: document 1: kind: unknown kind 'NetworkPolcy' of 'projectcalico.org/v3'; "
            "did you mean projectcalico.org/v3/NetworkPolicy or "
            "networking.k8s.io/v1/NetworkPolicy?",
        ),
        (
            "apiVersion: projectcalico.org/v3",
            "apiversion: projectcalico.org/v3",
            'f.yaml:1: document 1: apiVersion: is required, as text; did you mean "apiversion"?',
        ),
        ("name: a,", "name: A_,", "metadata.name: 'A_' is no policy name"),
        ("spec:\n", "spec:\n  order: .inf\n", "spec.order: inf is not a finite number"),
        ("spec:\n", "spec:\n  order: '1'\n", 'spec.order: expected a number, found text ("1")'),
        ("metadata: {name: a, namespace: b}", "metadata:", "metadata.name: is required"),
        ("action: Allow", "[", "broken YAML"),
    ],
)
def test_one_fault_gives_one_message(old, new, said):
    (message,) = errors_of(POLICY.replace(old, new))
    assert said in message


def test_all_faults_of_a_document_come_at_once():
    text = """\
    apiVersion: projectcalico.org/v3
    kind: NetworkPolicy
    metadata: {name: a}
    spec:
      selector: "a = b"
      ordr: 1
      ingress:
      - action: allow
        source: {nets: [x, 10.0.0.0/8], notNets: [0.0.0.0/0]}
      - action: Deny
        icmp: {code: 1}
    """
    paths = [error.path for error in read_manifests("f.yaml", dedent(text)).errors]
    assert paths == [
        "spec.ordr",
        "spec.ingress[0].action",
        "spec.selector",
        "spec.ingress[0].source.nets[0]",
        "spec.ingress[0].source.notNets[0]",
        "spec.ingress[1].icmp.code",
        "spec.ingress[1].icmp",
    ]


def test_a_document_with_an_error_gives_nothing_and_others_all():
    text = POLICY + "---\n" + POLICY.replace("name: a", "name: c") + "  typo: 1\n---\n"
    found = read_manifests("f.yaml", text + POLICY.replace("name: a", "name: d"))
    assert [located.resource.metadata.name for located in found.resources] == ["a", "d"]
    (error,) = found.errors
    assert (error.document, error.line, error.path) == (2, 14, "spec.typo")


def test_a_list_with_one_bad_item_gives_nothing():
    text = """\
    apiVersion: v1
    kind: List
    items:
    - {apiVersion: v1, kind: Namespace, metadata: {name: x}}
    - {apiVersion: v1, kind: Namespace, metadata: {nam: x}}
    """
    unknown, missing = errors_of(text)
    assert unknown.startswith("f.yaml:5: document 1: items[1].metadata.nam: unknown field")
    assert missing == "f.yaml:5: document 1: items[1].metadata.name: is required"


def test_a_name_may_be_there_once_in_all_files():
    found = read_all([("a.yaml", POLICY), ("b.yaml", "---\n" + POLICY)])
    assert len(found.resources) == 1
    (error,) = found.errors
    assert str(error) == (
        "b.yaml:4: document 1: metadata.name: NetworkPolicy(b/a) is there twice, first in a.yaml:1"
    )


def test_a_name_twice_in_one_list_is_refused():
    text = """\
    apiVersion: v1
    kind: List
    items:
    - {apiVersion: v1, kind: Namespace, metadata: {name: x}}
    - {apiVersion: v1, kind: Namespace, metadata: {name: x}}
    """
    assert errors_of(text) == [
        "f.yaml:5: document 1: items[1].metadata.name: "
        "Namespace(x) is there twice, first in f.yaml:4"
    ]


def test_a_cluster_wide_kind_has_no_namespace():
    (message,) = errors_of("{apiVersion: v1, kind: Namespace, metadata: {name: a, namespace: b}}")
    assert message.endswith(
        'metadata.namespace: the kind is cluster-wide (found "b"); leave it out'
    )


def test_others_can_speak_of_a_place_in_the_same_words():
    (located,) = read_manifests("f.yaml", POLICY).resources
    error = located.place.error("metadata.namespace", "there is no namespace 'b'", "create it")
    assert str(error) == (
        "f.yaml:3: document 1: metadata.namespace: there is no namespace 'b'; create it"
    )


@pytest.mark.parametrize("text", ["x", "1", "[]", "[{}]", "{}", "{kind: List, items: [1]}"])
def test_what_is_no_object_is_refused(text):
    assert errors_of(text)


def test_bytes_that_are_no_text_are_refused():
    (error,) = read_manifests("f.yaml", b"a: \xff").errors
    assert "is no UTF-8 text" in str(error)


def test_a_small_file_can_not_make_millions_of_errors():
    fields = ", ".join(f"field{number}: 1" for number in range(100))
    item = f"{{apiVersion: v1, kind: Namespace, metadata: {{name: a, {fields}}}}}"
    text = f"apiVersion: v1\nkind: List\nitems: [&a {item}{', *a' * 1000}]"
    found = read_manifests("f.yaml", text)
    assert found.resources == ()
    assert len(found.errors) == MOST_ERRORS + 1
    assert "the others are left out" in str(found.errors[-1])
