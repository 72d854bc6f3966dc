"""What builds the programs that tests run: once, and never leaving half of one.

A stand-in for Go, since what fails here is what a real one does rarely.
"""

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from servers.go_programs import NotBuilt, Program, cache, run_go
from servers.kube_build import cached
from servers.progress import Report

TESTS = Path(__file__).parents[1]
GO = """#!/bin/sh
[ "$1" = env ] && { echo "${FAKE_VERSION:-go1.26.8}"; exit 0; }
echo built >>"$FAKE_LOG"
echo 'go: downloading k8s.io/kubernetes v1.30.14' >&2
while [ "$1" != -o ]; do shift; done
printf half >"$2"
[ -z "$FAKE_FAULT" ] || { echo "main.go:10:2: $FAKE_FAULT" >&2; exit 1; }
sleep 0.3
printf whole >"$2"
"""


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """A machine with an empty cache and the stand-in as its only Go."""
    tools = tmp_path / "bin"
    tools.mkdir()
    go = tools / "go"
    go.write_text(GO)
    go.chmod(go.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{tools}:/usr/bin:/bin")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("FAKE_LOG", str(tmp_path / "log"))
    monkeypatch.setenv("PYTHONPATH", str(TESTS))
    monkeypatch.delenv("TORTIE_REQUIRE_KUBE", raising=False)
    return tmp_path


def start():
    return subprocess.Popen(
        [sys.executable, "-m", "servers.kube_build"], stderr=subprocess.PIPE, text=True
    )


def build():
    """(Exit status, what it said)."""
    process = start()
    _, said = process.communicate(timeout=60)
    return process.returncode, said


def test_it_is_built_once_and_found_again(machine):
    with pytest.raises(NotBuilt, match="run `make kube-apiserver`"):
        cached()
    assert build()[0] == 0
    assert cached().read_text() == "whole"
    assert build() == (0, "")
    assert (machine / "log").read_text() == "built\n"


def test_of_two_at_once_one_builds_and_both_have_it(machine):
    both = [start(), start()]
    said = [each.communicate(timeout=60)[1] for each in both]
    assert [each.returncode for each in both] == [0, 0]
    assert sum("another build of it is running" in text for text in said) <= 1
    assert (machine / "log").read_text() == "built\n"


def test_a_build_that_fails_leaves_nothing_and_says_why(machine, monkeypatch):
    monkeypatch.setenv("FAKE_FAULT", "dial tcp: connection refused")
    status, said = build()
    assert status == 0
    assert "WARNING: it can't be built: main.go:10:2: dial tcp: connection refused" in said
    assert "will be skipped" in said
    assert list(machine.glob("cache/tortie/**/kube-apiserver*")) == [
        machine / "cache/tortie/kube-apiserver"
    ]
    monkeypatch.delenv("FAKE_FAULT")
    assert build()[0] == 0
    assert cached().read_text() == "whole"


def test_a_build_that_is_demanded_must_not_fail(machine, monkeypatch):  # noqa: ARG001 - set up
    monkeypatch.setenv("FAKE_FAULT", "no network")
    monkeypatch.setenv("TORTIE_REQUIRE_KUBE", "1")
    status, said = build()
    assert status == 1
    assert "ERROR" in said


@pytest.mark.parametrize("version", ["go1.19.8", ""])
def test_too_old_a_go_is_none(machine, monkeypatch, version):  # noqa: ARG001 - set up
    monkeypatch.setenv("FAKE_VERSION", version or "what")
    status, said = build()
    assert status == 0
    assert "no Go toolchain here: install Go 1.22 or later" in said


def test_another_version_of_go_builds_another_one(machine, monkeypatch):
    assert build()[0] == 0
    monkeypatch.setenv("FAKE_VERSION", "go1.27.1")
    with pytest.raises(NotBuilt):
        cached()
    assert build()[0] == 0
    assert (machine / "log").read_text() == "built\nbuilt\n"


def test_a_machine_without_go_uses_what_is_in_its_cache(machine, monkeypatch):
    assert build()[0] == 0
    os.unlink(machine / "bin" / "go")
    monkeypatch.setenv("PATH", str(machine / "bin"))
    assert cached().read_text() == "whole"


def test_a_cache_that_cannot_be_written_is_said(machine, monkeypatch):
    (machine / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(machine / "file"))
    status, said = build()
    assert status == 0
    assert "can't be built" in said
    assert "Traceback" not in said


def program() -> Program:
    """Of two files, the first of which Go makes."""

    def make(made: Path, work: Path, report: Report) -> None:
        run_go(["build", "-o", str(made / "one"), "."], work, report, 60.0)
        (made / "two").write_text("")

    return Program("thing", "v1", ("one", "two"), (1, 22), "nothing", make)


def test_a_program_of_several_files_is_there_whole_or_not_at_all(machine, monkeypatch):
    one = program()
    assert "run `make thing`" in one.lacking()
    monkeypatch.setenv("FAKE_FAULT", "no network")
    with pytest.raises(NotBuilt, match="no network"):
        one.built(Report("thing"))
    assert [path.name for path in cache("thing").iterdir()] == ["lock"]
    monkeypatch.delenv("FAKE_FAULT")
    (cache("thing") / "v1").mkdir()
    (cache("thing") / "v1" / "one").write_text("half")
    place = one.built(Report("thing"))
    assert place == one.cached() == one.built(Report("thing"))
    assert (place / "one").read_text() == "whole"
    assert (machine / "log").read_text() == "built\n" * 2


def test_a_program_is_used_where_there_is_no_go_any_more(machine, monkeypatch):
    program().built(Report("thing"))
    os.unlink(machine / "bin" / "go")
    monkeypatch.setenv("PATH", str(machine / "bin"))
    assert program().lacking() == ""
    monkeypatch.setenv("XDG_CACHE_HOME", str(machine / "other"))
    assert "install Go 1.22 or later" in program().lacking()
