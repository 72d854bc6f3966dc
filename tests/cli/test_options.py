"""What all commands take: files, the datastore, options before the command; how it is called."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from strategies.command_line import Tortie, Write
from tortie.cli.main import main

TIER = "{apiVersion: projectcalico.org/v3, kind: Tier, metadata: {name: %s}, spec: {order: 5}}\n"


def config(**spec: str) -> str:
    """A CalicoAPIConfig."""
    fields = ", ".join(f"{name}: {value}" for name, value in spec.items())
    return (
        f"apiVersion: projectcalico.org/v3\nkind: CalicoAPIConfig\nmetadata:\nspec: {{{fields}}}\n"
    )


def test_directories_are_read_flat_or_whole(tortie: Tortie, write: Write) -> None:
    write("d/a.yaml", TIER % "a")
    (Path("d") / "deep").mkdir()
    write("d/deep/b.yml", TIER % "b")
    assert tortie("validate", "-f", "d").out == "1 resource valid\n"
    assert tortie("validate", "-R", "-f", "d").out == "2 resources valid\n"
    assert tortie("apply", "--recursive", "-f", "d").out.endswith("2 resources: 2 created\n")
    assert tortie("delete", "-R", "-f", "d").status == 0


def test_what_is_empty_is_an_error_unless_it_may_be(tortie: Tortie, write: Write) -> None:
    files = ["-f", write("empty.yaml", "# nothing\n"), "-f", write("a.yaml", TIER % "a")]
    for verb in ("create", "apply", "replace", "validate", "delete", "get"):
        said = tortie(verb, *files)
        assert said.status == 1
        assert "error: empty.yaml: document 1: there is no resource in it" in said.err
    assert tortie("apply", "--skip-empty", *files).status == 0
    Path("none").mkdir()
    assert tortie("apply", "-f", "none").err.startswith("tortie: none: no file in it ends with")
    assert tortie("apply", "-f", "none", "--skip-empty") == (0, "", "")


def test_a_configuration_names_the_datastore(tortie: Tortie, write: Write, tmp_path: Path) -> None:
    file = write("cfg", config(datastoreType="sqlite", sqlitePath=str(tmp_path / "other.db")))
    assert tortie("apply", "-c", file, "-f", write("a.yaml", TIER % "a")).status == 0
    assert tortie("get", "tiers", "--config", file, "-o", "name").out == "tiers/a\n"
    assert tortie("get", "tiers").status == 1  # not where the environment points
    assert tortie("get", "tiers", "--datastore", "other.db", "-o", "name").out == "tiers/a\n"
    assert tortie("-c", file, "get", "tiers", "-o", "name").out == "tiers/a\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (config(datastoreType="etcdv3"), "cfg: spec.etcdEndpoints: no endpoint of etcd is given"),
        (config(datastoreType="mongo"), "spec.datastoreType: there is no datastore 'mongo'"),
        ("kind: Tier", "cfg is no configuration"),
        ("[1", "cfg is no YAML"),
        ("", "cfg is no configuration"),
    ],
)
def test_a_configuration_that_leads_nowhere_is_told(
    text: str, message: str, tortie: Tortie, write: Write
) -> None:
    said = tortie("get", "tiers", "-c", write("cfg", text))
    assert said.status == 1
    assert message in said.err
    assert said.err.count("\n") == 1


def test_calicoctls_environment_is_not_passed_over(
    tortie: Tortie, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TORTIE_DATASTORE")
    monkeypatch.setenv("DATASTORE_TYPE", "kubernetes")
    monkeypatch.setenv("KUBECONFIG", "/nowhere/config")
    said = tortie("get", "tiers")
    assert said.err.startswith("tortie: $KUBECONFIG: /nowhere/config: no such file or directory")


def test_a_context_needs_kubernetes(tortie: Tortie) -> None:
    said = tortie("get", "tiers", "--context", "prod")
    assert said.status == 1
    assert "--context prod is for the Kubernetes datastore" in said.err


def test_the_log_level_debug_says_which_datastore(tortie: Tortie, write: Write) -> None:
    file = write("a.yaml", TIER % "a")
    assert "debug: datastore " in tortie("-l", "debug", "apply", "-f", file).err
    assert "from $TORTIE_DATASTORE" in tortie("get", "tiers", "--log-level=debug").err
    assert tortie("get", "tiers", "-l", "info").err == ""
    assert tortie("get", "tiers", "-l", "loud").status == 2


def test_options_may_stand_before_the_command(tortie: Tortie, write: Write) -> None:
    tortie("apply", "-f", write("a.yaml", TIER % "a"))
    words = ("--allow-version-mismatch", "-l", "warn", "get", "tiers", "-o", "name")
    assert tortie(*words).out == "tiers/a\n"
    assert tortie("get", "tiers", "--allow-version-mismatch", "-o", "name").out == "tiers/a\n"
    assert tortie("--log-level=debug", "get", "tiers").err.startswith("debug: ")


@pytest.mark.parametrize(
    ("program", "name"),
    [
        ("kubectl-tortie", "kubectl tortie"),
        ("kubectl-calico", "kubectl calico"),
        ("calicoctl", "calicoctl"),
        ("tortie", "tortie"),
        ("__main__.py", "tortie"),
    ],
)
def test_it_calls_itself_as_it_was_called(
    program: str, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--help"], program) == 0
    said = capsys.readouterr().out
    assert said.startswith(f"usage: {name} COMMAND")
    assert "kubectl calico" in said
    assert main(["lba"], program) == 1
    assert f"'{name} lab'" in capsys.readouterr().err


def test_the_version_of_the_cluster(tortie: Tortie, write: Write) -> None:
    assert tortie("version", "--client") == tortie("version")
    tortie(
        "apply",
        "-f",
        write(
            "info.yaml",
            "apiVersion: projectcalico.org/v3\nkind: ClusterInformation\n"
            "metadata: {name: default}\nspec: {calicoVersion: v3.32.0, clusterType: 'k8s,bgp'}\n",
        ),
    )
    said = tortie("version", "--cluster")
    assert said.out.splitlines()[1:] == ["cluster v3.32.0", "type k8s,bgp"]
    assert '"clusterVersion": "v3.32.0"' in tortie("version", "--cluster", "-o", "json").out
    assert "a time is like 10s" in tortie("version", "--poll", "soon").err


COMPLETED = [
    (["ge"], ["get"]),
    (["lab", "st"], ["status"]),
    (["get", "ippo"], ["ippools"]),
    (["get", "gn"], ["gnp", "gns"]),
    (["get", "tiers,ippo"], ["tiers,ippools"]),
    (["get", "tiers", ""], ["alpha", "beta"]),
    (["get", "-o", "yaml", "tiers", "a"], ["alpha"]),
    (["get", "tier/b"], ["tier/beta"]),
    (["get", "tier/alpha", "tier/"], ["tier/alpha", "tier/beta"]),
    (["get", "np", "-n", "s"], ["shop"]),
    (["get", "-o", "cus"], ["custom-columns="]),
    (["get", "--output=js"], ["--output=json", "--output=jsonpath="]),
    (["get", "--exp"], ["--export"]),
    (["get", "-l", "d"], ["debug"]),
    (["patch", "tiers", "alpha", "-t", ""], ["json", "merge", "strategic"]),
    (["label", "tiers", "a"], ["alpha"]),
    (["explain", "tier"], ["tiers"]),
    (["apply", "-f", ""], [":files"]),
    (["completion", ""], ["bash", "fish", "zsh"]),
    (["get", "nothing", ""], []),
    (["nothing", ""], []),
]


@pytest.mark.parametrize(("words", "found"), COMPLETED)
def test_words_are_completed(
    words: list[str], found: list[str], tortie: Tortie, write: Write
) -> None:
    namespace = "---\n{apiVersion: v1, kind: Namespace, metadata: {name: shop}}\n"
    text = TIER % "alpha" + "---\n" + TIER % "beta" + namespace
    tortie("apply", "-f", write("all.yaml", text))
    assert tortie("__complete", *words).out.split() == found


def test_completing_without_a_datastore_says_nothing(tortie: Tortie) -> None:
    assert tortie("__complete", "get", "tiers", "") == (1, "", "")


def test_kubectl_completes_the_plugin(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["get", "ippo"], "kubectl_complete-tortie") == 0
    assert capsys.readouterr().out == "ippools\n:4\n"
    assert main(["get", "-f", ""], "kubectl_complete-calico") == 0
    assert capsys.readouterr().out == ":0\n"


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_shell_gets_a_script_that_calls_back(shell: str, tortie: Tortie) -> None:
    said = tortie("completion", shell)
    assert said.status == 0
    assert "tortie __complete" in said.out


BASH = """source <(tortie completion bash)
COMP_WORDS=({words}); COMP_CWORD={last}; _tortie; printf '%s\\n' "${{COMPREPLY[@]}}"
"""


def test_bash_completes_with_the_script(tmp_path: Path) -> None:
    program = tmp_path / "tortie"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m tortie.cli "$@"\n')
    program.chmod(0o755)
    ran = subprocess.run(
        ["bash", "-c", BASH.format(words="tortie get ippo", last=2)],
        env={**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert ran.stdout == "ippools\n"
