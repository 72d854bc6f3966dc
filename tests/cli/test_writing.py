"""create, replace, patch, label, diff: what they do, and what they say of each object."""

import json

import pytest
import yaml

from strategies.command_line import Tortie, Write

POOL = """apiVersion: projectcalico.org/v3
kind: IPPool
metadata: {name: main}
spec: {cidr: 10.0.0.0/16, natOutgoing: true}
"""
SETS = """apiVersion: projectcalico.org/v3
kind: GlobalNetworkSet
metadata: {name: a, labels: {app: web}}
spec: {nets: [10.0.0.0/8]}
---
apiVersion: projectcalico.org/v3
kind: GlobalNetworkSet
metadata: {name: b}
spec: {nets: [172.16.0.0/12]}
"""


@pytest.fixture
def sets(tortie: Tortie, write: Write) -> str:
    """A datastore with two sets; the file that made them."""
    file = write("sets.yaml", SETS)
    assert tortie("create", "-f", file).status == 0
    return file


@pytest.fixture
def pool(tortie: Tortie, write: Write) -> str:
    """A datastore with a pool; the file that made it."""
    file = write("pool.yaml", POOL)
    assert tortie("create", "-f", file).status == 0
    return file


def test_creating_what_is_there_fails_and_leaves_it(
    sets: str, tortie: Tortie, write: Write
) -> None:
    said = tortie("create", "-f", write("more.yaml", SETS.replace("name: b", "name: c")))
    assert said.status == 1
    assert "GlobalNetworkSet c: created\n" in said.out
    assert said.err.startswith("tortie: GlobalNetworkSet a: there is one already; apply")
    again = tortie("create", "--skip-exists", "-f", sets)
    assert (again.status, again.err) == (0, "")
    assert "GlobalNetworkSet a: exists\n" in again.out


def test_replacing_needs_what_is_there(sets: str, tortie: Tortie, write: Write) -> None:
    changed = SETS.replace("10.0.0.0/8", "11.0.0.0/8").replace("name: b", "name: c")
    said = tortie("replace", "-f", write("changed.yaml", changed))
    assert said.status == 1
    assert "GlobalNetworkSet a: changed\n" in said.out
    assert said.err == "tortie: GlobalNetworkSet c: there is none; create or apply makes it\n"
    assert tortie("replace", "--skip-not-exists", "-f", "changed.yaml").status == 0
    assert "11.0.0.0/8" in tortie("get", "gns", "a", "-o", "yaml").out
    assert sets


@pytest.mark.usefixtures("sets")
def test_a_replacement_of_an_older_version_fails(tortie: Tortie, write: Write) -> None:
    old = tortie("get", "gns", "a", "-o", "yaml").out
    tortie("label", "gns", "a", "x=y")
    said = tortie("replace", "-f", write("old.yaml", old))
    assert said.status == 1
    assert "GlobalNetworkSet a: " in said.err
    assert "read it again" in said.err
    assert "x" in yaml.safe_load(tortie("get", "gns", "a", "-o", "yaml").out)["metadata"]["labels"]


@pytest.mark.parametrize("verb", ["apply", "replace", "patch", "diff"])
def test_what_never_changes_is_refused(verb: str, pool: str, tortie: Tortie, write: Write) -> None:
    other = POOL.replace("10.0.0.0/16", "10.1.0.0/16")
    words = ["-f", write("other.yaml", SETS + "---\n" + other)]
    if verb == "patch":
        words = ["ippool", "main", "-p", '{"spec": {"cidr": "10.1.0.0/16"}}']
    said = tortie(verb, *words)
    assert said.status == (2 if verb == "diff" else 1)
    assert "spec.cidr: CIDR cannot be changed" in said.err
    assert "10.0.0.0/16" in tortie("get", "-f", pool, "-o", "yaml").out


def test_nothing_of_a_document_with_a_refusal_is_written(
    pool: str, tortie: Tortie, write: Write
) -> None:
    documents = [*yaml.safe_load_all(SETS), yaml.safe_load(POOL)]
    documents[-1]["spec"]["cidr"] = "10.1.0.0/16"
    listed = {"apiVersion": "v1", "kind": "List", "items": documents}
    said = tortie("apply", "-f", write("list.json", json.dumps(listed)))
    assert said.status == 1
    assert "list.json:1: document 1: items[2].spec.cidr: CIDR cannot be changed" in said.err
    assert tortie("get", "gns", "-o", "name").out == ""
    assert pool


@pytest.mark.parametrize("verb", ["create", "apply", "replace"])
def test_a_dry_run_writes_nothing(verb: str, sets: str, tortie: Tortie, write: Write) -> None:
    before = tortie("get", "gns", "-o", "yaml").out
    file = write("x.yaml", SETS.replace("name: b", "name: c").replace("10.", "11."))
    said = tortie(verb, "--dry-run", "-f", file)
    assert "would be " in said.out
    assert tortie("get", "gns", "-o", "yaml").out == before
    assert sets


@pytest.mark.parametrize(
    ("words", "nat"),
    [
        (["-p", '{"spec": {"natOutgoing": false}}'], False),
        (["--type", "merge", "-p", "spec: {natOutgoing: null}"], False),
        (["-t", "strategic", "--patch", "{spec: {disabled: true}}"], True),
        (["-t", "json", "-p", '[{"op": "remove", "path": "/spec/natOutgoing"}]'], False),
        (["--patch-file", "patch.yaml"], False),
        (["--dry-run", "-p", "spec: {natOutgoing: false}"], True),
    ],
)
@pytest.mark.usefixtures("pool")
def test_a_patch_changes_what_it_says(
    words: list[str], nat: bool, tortie: Tortie, write: Write
) -> None:
    write("patch.yaml", "spec:\n  natOutgoing: false\n")
    said = tortie("patch", "ippool", "main", *words)
    assert (said.status, said.err) == (0, "")
    spec = json.loads(tortie("get", "ippool/main", "-o", "json").out)["spec"]
    assert spec.get("natOutgoing", False) is nat
    assert spec["cidr"] == "10.0.0.0/16"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["main", "-p", "spec: {natOutgoin: true}"], "spec.natOutgoin: "),
        (["main", "-p", "spec: {vxlanMode: Sometimes}"], "spec.vxlanMode: "),
        (["main", "-p", "spec: {ipipMode: Always, vxlanMode: Always}"], "cannot both be enabled"),
        (["main", "-p", "metadata: {name: other}"], "can't be changed"),
        (["main", "-p", "kind: Tier"], ""),
        (["main", "-p", "[1]"], "a merge patch is an object"),
        (["main", "-p", "a: [1"], "--patch: line 2: broken YAML"),
        (["main", "-p", ""], "one JSON or YAML document is needed"),
        (["main", "-t", "json", "-p", "{}"], "a patch of type json is a list"),
        (["other", "-p", "spec: {disabled: true}"], "IPPool other: there is none"),
        (["main", "-p", "metadata: {resourceVersion: '999'}"], "read it again"),
    ],
)
@pytest.mark.usefixtures("pool")
def test_a_patch_is_judged_as_a_manifest_is(words: list[str], message: str, tortie: Tortie) -> None:
    before = tortie("get", "ippool/main", "-o", "yaml").out
    said = tortie("patch", "ippool", *words)
    assert said.status == 1
    assert message in said.err
    assert said.err.count("\n") == 1
    assert tortie("get", "ippool/main", "-o", "yaml").out == before


LABELLED = [
    (["a", "x=1"], {"app": "web", "x": "1"}, 0),
    (["a", "app=web"], {"app": "web"}, 0),
    (["a", "app=db"], {"app": "web"}, 1),
    (["a", "app=db", "--overwrite"], {"app": "db"}, 0),
    (["a", "app-"], None, 0),
    (["a", "app", "--remove"], None, 0),
    (["a", "app-", "x=1"], {"x": "1"}, 0),
    (["a", "b", "x=1"], {"app": "web", "x": "1"}, 0),
    (["--all", "x=1"], {"app": "web", "x": "1"}, 0),
    (["-A", "x=1"], {"app": "web", "x": "1"}, 0),
    (["--selector", "app == 'web'", "x=1"], {"app": "web", "x": "1"}, 0),
    (["--selector", "app == 'db'", "x=1"], {"app": "web"}, 0),
    (["a", "x=1", "--dry-run"], {"app": "web"}, 0),
    (["a", "x=not valid"], {"app": "web"}, 1),
    (["a"], {"app": "web"}, 1),
    (["x=1"], {"app": "web"}, 1),
    (["a", "x=1", "x-"], {"app": "web"}, 1),
    (["a", "--all", "x=1"], {"app": "web"}, 1),
]


@pytest.mark.parametrize(("words", "labels", "status"), LABELLED)
@pytest.mark.usefixtures("sets")
def test_labels_are_set_and_removed(
    words: list[str], labels: dict[str, str] | None, status: int, tortie: Tortie
) -> None:
    said = tortie("label", "gns", *words)
    assert said.status == status, said
    found = json.loads(tortie("get", "gns", "a", "-o", "json").out)["metadata"].get("labels")
    assert found == labels


@pytest.mark.usefixtures("sets")
def test_a_difference_is_shown_as_it_would_be_applied(tortie: Tortie, write: Write) -> None:
    same = tortie("diff", "-f", "sets.yaml")
    assert same == (0, "", "")
    changed = SETS.replace("10.0.0.0/8", "11.0.0.0/8").replace("name: b", "name: c")
    said = tortie("diff", "-f", write("changed.yaml", changed))
    assert said.status == 1
    lines = said.out.splitlines()
    assert "--- stored   GlobalNetworkSet a" in lines
    assert "-  - 10.0.0.0/8" in lines
    assert "+  - 11.0.0.0/8" in lines
    assert "--- /dev/null" in lines
    assert "+  name: c" in lines
    assert "11.0" not in tortie("get", "gns", "a", "-o", "yaml").out
    assert tortie("diff", "-f", "nowhere.yaml").status == 2
    wrong = tortie("diff", "-f", write("wrong.yaml", SETS.replace("nets", "netz")))
    assert (wrong.status, wrong.out) == (2, "")


@pytest.mark.usefixtures("sets")
def test_deleting_by_selector_by_words_and_by_dry_run(tortie: Tortie) -> None:
    said = tortie("delete", "gns", "--dry-run", "a", "x")
    assert "GlobalNetworkSet a: would be deleted" in said.out
    assert said.status == 1
    said = tortie("delete", "gns", "--selector", "app == 'web'", "-o", "name")
    assert said.out == "globalnetworksets/a\n"
    assert tortie("delete", "gns/b", "tier/x", "--skip-not-exists").status == 0
    assert tortie("get", "gns").out == ""


@pytest.mark.usefixtures("sets")
def test_a_difference_is_coloured_on_a_terminal(
    tortie: Tortie, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tortie.cli.terminal.wants_colour", lambda _: True)
    said = tortie("diff", "-f", write("changed.yaml", SETS.replace("10.0.0.0/8", "11.0.0.0/8")))
    assert "\x1b[31m-  - 10.0.0.0/8\x1b[0m" in said.out
    assert "\x1b[32m+  - 11.0.0.0/8\x1b[0m" in said.out
