"""Bundles as files: whole, bounded, for their owner alone, whatever went wrong on the way."""

import stat
import tarfile
from pathlib import Path

import pytest

from strategies.command_line import Tortie, Write
from tortie.diagnostics import items
from tortie.diagnostics.bundle import write_bundle
from tortie.diagnostics.items import Item, command, file

CLUSTER = """
apiVersion: projectcalico.org/v3
kind: Node
metadata: {name: node-1, annotations: {note: "password: hunter2"}}
spec: {bgp: {ipv4Address: 172.16.1.1/24}}
---
apiVersion: projectcalico.org/v3
kind: BGPPeer
metadata: {name: peer}
spec:
  peerIP: 172.16.1.9
  asNumber: 64512
  password: {secretKeyRef: {name: bgp-secrets, key: peer}}
"""


def contents(path: Path) -> dict[str, str]:
    """What is in a bundle, by names without its own folder."""
    with tarfile.open(path) as archive:
        assert all(member.isfile() and member.mode == 0o600 for member in archive)
        return {
            member.name.split("/", 1)[1]: archive.extractfile(member).read().decode()
            for member in archive
        }


def failing() -> str:
    raise OSError("no such thing; password=hunter2")


def test_what_fails_says_why_and_spoils_nothing(tmp_path: Path):
    told: list[str] = []
    wanted = [
        Item("a/good", lambda: "fine"),
        Item("a/bad", failing),
        command("b/none", "no-such-program-here"),
        command("b/fails", "sh", "-c", "echo out; echo wrong >&2; exit 3"),
        file("c/none", tmp_path / "none"),
    ]
    done = write_bundle(tmp_path, "test", wanted, told.append)
    found = contents(done.path)
    assert found["a/good"] == "fine"
    assert "no such thing; password=[redacted]" in found["a/bad"]
    assert "there is no no-such-program-here" in found["b/none"]
    assert found["b/fails"].split() == [
        "out",
        "[exit",
        "status",
        "3]",
        "[standard",
        "error]",
        "wrong",
    ]
    assert [one.name for one in done.problems] == ["a/bad", "b/none", "c/none"]
    assert sorted(told) == sorted(one.name for one in wanted)
    assert "hunter2" not in str(found)
    assert stat.S_IMODE(done.path.stat().st_mode) == 0o600


def test_what_never_ends_or_is_too_long_is_cut(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(items, "SECONDS", 0.2)
    monkeypatch.setattr(items, "LARGEST", 10)
    (tmp_path / "log").write_text("0123456789last lines")
    wanted = [command("ever", "sleep", "60"), file("log", tmp_path / "log")]
    done = write_bundle(tmp_path, "test", wanted, lambda _: None)
    found = contents(done.path)
    assert "had not ended" in found["ever"]
    assert found["log"] == "last lines"


def test_a_bundle_of_the_cluster_has_its_resources_and_no_secret(
    tortie: Tortie, write: Write, tmp_path: Path
):
    tortie("apply", "-f", write("cluster.yaml", CLUSTER))
    said = tortie("cluster", "diags", "--output-dir", str(tmp_path))
    assert said.status == 0
    (path,) = tmp_path.glob("tortie-cluster-diags-*.tar.gz")
    assert str(path) in said.out
    found = contents(path)
    assert "node-1" in found["resources/Node.yaml"]
    assert "secretKeyRef" in found["resources/BGPPeer.yaml"]
    assert "its agent has never reported" in found["status"]
    assert "ipam-check" in found
    assert "hunter2" not in str(found)


def test_a_folder_that_can_not_be_written_is_told(tortie: Tortie, write: Write):
    tortie("apply", "-f", write("cluster.yaml", CLUSTER))
    said = tortie("cluster", "diags", "--output-dir", "/proc/nowhere")
    assert said.status == 1
    assert "/proc/nowhere can't be written to" in said.err


@pytest.mark.root
def test_a_bundle_of_a_node_has_its_kernel_and_says_which_daemons_are_not_there(
    tortie: Tortie, tmp_path: Path
):
    said = tortie("node", "diags", "--output-dir", str(tmp_path), "--run-dir", str(tmp_path))
    assert said.status == 0
    (path,) = tmp_path.glob("tortie-node-diags-*.tar.gz")
    found = contents(path)
    assert "tortie " in found["machine/versions"]
    assert "lo" in found["network/links"]
    assert "is `tortie agent` running on this node?" in found["agent/status.json"]
    assert "agent/status.json" in found["README"]
