"""What a person gets wrong is told once, with the place and the nearest valid name."""

import sqlite3
from pathlib import Path

import pytest

from strategies.command_line import Tortie, Write

NAMESPACES = """{apiVersion: v1, kind: Namespace, metadata: {name: shop}}
---
{apiVersion: v1, kind: Namespace, metadata: {name: ops}}
"""
GOOD = """apiVersion: projectcalico.org/v3
kind: GlobalNetworkSet
metadata: {name: good}
spec: {nets: [10.0.0.0/8]}
"""
POLICY = """apiVersion: projectcalico.org/v3
kind: NetworkPolicy
metadata: {name: web, namespace: shop}
spec:
  ingress:
    - action: Allow
      source: {nets: [10.0.0.0/8]}
"""

BAD = {
    "broken YAML": (POLICY.replace("spec:", "spec: ["), ["document 2", "broken YAML"]),
    "unknown field": (
        POLICY.replace("nets:", "netz:"),
        ["document 2", "spec.ingress[0].source.netz", "nets"],
    ),
    "unknown kind": (
        POLICY.replace("kind: NetworkPolicy", "kind: NetworkPolice"),
        ["document 2", "kind", "NetworkPolice", "NetworkPolicy"],
    ),
    "unknown group": (
        POLICY.replace("projectcalico.org/v3", "projectcalico.org/v4"),
        ["document 2", "projectcalico.org/v4", "projectcalico.org/v3"],
    ),
    "wrong CIDR": (
        POLICY.replace("10.0.0.0/8", "10.0.0.0/33"),
        ["document 2", "spec.ingress[0].source.nets[0]", "10.0.0.0/33"],
    ),
    "wrong selector": (
        POLICY.replace("spec:", "spec:\n  selector: app = 'web'"),
        ["document 2", "spec.selector", "app = 'web'"],
    ),
    "duplicate name": (GOOD, ["document 2", "metadata.name", "GlobalNetworkSet(good)", "twice"]),
    "unknown namespace": (
        POLICY.replace("namespace: shop", "namespace: shpo"),
        ["document 2", "metadata.namespace", "there is no namespace 'shpo'", "'shop'"],
    ),
}

ALONE_RIGHT = ("duplicate name", "unknown namespace")  # these need a second document, a datastore


@pytest.mark.parametrize("case", BAD)
def test_a_mistake_names_file_document_path_and_what_would_be_right(
    case: str, tortie: Tortie, write: Write
) -> None:
    text, parts = BAD[case]
    tortie("apply", "-f", write("ns.yaml", NAMESPACES))
    said = tortie("apply", "-f", write("bad.yaml", GOOD + "---\n" + text))
    assert said.status == 1
    assert said.err.startswith("error: bad.yaml:")
    for part in parts:
        assert part in said.err
    # Nothing of that document is applied; the other one is.
    assert tortie("get", "np", "-A").out == ""
    assert "good" in tortie("get", "gns").out


@pytest.mark.parametrize("case", [case for case in BAD if case != "unknown namespace"])
def test_validating_finds_the_same_without_any_datastore(
    case: str, tortie: Tortie, write: Write
) -> None:
    text, parts = BAD[case]
    said = tortie("validate", "-f", write("bad.yaml", GOOD + "---\n" + text))
    assert said.status == 1
    assert all(part in said.err for part in parts)
    assert tortie("get", "gns").status == 1  # no datastore was made


def test_all_mistakes_of_all_files_are_told_at_once(tortie: Tortie, write: Write) -> None:
    texts = [text for text, _ in BAD.values()]
    files = [write(f"{number}.yaml", text) for number, text in enumerate(texts)]
    said = tortie("apply", *(word for file in files for word in ("-f", file)))
    wrong = [file for file, case in zip(files, BAD, strict=True) if case not in ALONE_RIGHT]
    assert len(wrong) > 5
    for file in wrong:
        assert f"error: {file}:" in said.err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["apply", "-f", "nowhere.yaml"], "nowhere.yaml: no such file or directory"),
        (["apply", "-f", "."], ".: no file in it ends with .yaml, .yml, .json"),
        (["get", "podz"], "there is no kind 'podz'; did you mean pod"),
        (["get"], "say what to get: KIND [NAME…], KIND/NAME…, or -f FILE"),
        (["get", "np/a", "b"], "'b': where one word is KIND/NAME, all are"),
        (["get", "np"], "there is no datastore at "),
        (["delete"], "say what to delete: KIND NAME…, or -f FILE"),
        (["delete", "np"], "which networkpolicies? Name one or more"),
        (["get", "np", "--datastore", "mongo:x"], "'mongo:x' names no datastore"),
        (["get", "np", "--datastore", "/proc/version"], "/proc/version"),
    ],
)
def test_a_wrong_command_is_told_in_one_line(
    words: list[str], message: str, tortie: Tortie
) -> None:
    said = tortie(*words)
    assert said.status == 1
    assert said.err.startswith("tortie: ")
    assert message in said.err
    assert said.err.count("\n") == 1
    assert "Traceback" not in said.err


@pytest.mark.parametrize(
    "words", [["apply"], ["get", "np", "-o", "xml"], ["get", "np", "-o", "jsonpath"]]
)
def test_a_wrong_option_has_the_usual_status(words: list[str], tortie: Tortie) -> None:
    said = tortie(*words)
    assert said.status == 2
    assert "usage: tortie" in said.err


def test_a_name_that_is_not_there_names_the_nearest(tortie: Tortie, write: Write) -> None:
    tortie("apply", "-f", write("good.yaml", GOOD))
    said = tortie("get", "gns", "godo")
    assert said.err == "tortie: there is no GlobalNetworkSet 'godo'; did you mean 'good'?\n"


def test_nothing_found_reminds_of_other_namespaces(tortie: Tortie, write: Write) -> None:
    tortie("apply", "-f", write("good.yaml", GOOD))
    said = tortie("get", "pods")
    assert (said.status, said.out) == (0, "")
    assert "in namespace 'default' (-A shows all namespaces)" in said.err


def test_a_lab_without_root_says_what_to_do(
    tortie: Tortie, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    for words in (["up"], ["down"], ["status"], ["probe"], ["demo"]):
        said = tortie("lab", *words)
        assert said.status == 1
        assert "a lab needs root" in said.err
        assert "sudo" in said.err
        assert said.err.count("\n") == 1


def test_a_malformed_object_in_the_store_hides_no_other(
    tortie: Tortie, write: Write, tmp_path: Path
) -> None:
    tortie("apply", "-f", write("good.yaml", GOOD + "---\n" + GOOD.replace("good", "bad")))
    with sqlite3.connect(tmp_path / "store.db") as database:
        database.execute("update objects set value = '{\"spec\": 7}' where name = 'bad'")
    said = tortie("get", "gns")
    assert said.status == 1
    assert "good" in said.out
    assert "GlobalNetworkSet(bad) can't be read: " in said.err


def test_pools_that_share_addresses_are_refused_by_name(tortie: Tortie, write: Write) -> None:
    def pool(name: str, cidr: str) -> str:
        return (
            "{apiVersion: projectcalico.org/v3, kind: IPPool, "
            f"metadata: {{name: {name}}}, spec: {{cidr: {cidr}}}}}\n"
        )

    first = pool("one", "10.0.0.0/16")
    assert tortie("apply", "-f", write("one.yaml", first)).status == 0
    assert tortie("apply", "-f", "one.yaml").status == 0  # a pool may be itself
    said = tortie("apply", "-f", write("two.yaml", pool("two", "10.0.64.0/18")))
    assert said.status == 1
    for part in ("two.yaml", "document 1", "spec.cidr", "10.0.0.0/16", "IPPool(one)"):
        assert part in said.err
    together = pool("three", "10.1.0.0/16") + "---\n" + pool("four", "10.0.0.0/8")
    said = tortie("apply", "-f", write("three.yaml", together))
    assert said.err.count("overlaps with") == 2  # a stored one, and the one above it
    assert "document 2" in said.err
    assert tortie("get", "ippools", "-o", "name").out.split() == ["ippools/one", "ippools/three"]
