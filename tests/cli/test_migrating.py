"""`tortie datastore migrate`: from one datastore to another, step by step."""

import os
import pty
import stat
import subprocess
import sys

import pytest

from strategies.command_line import Tortie, Write

POOL = """
apiVersion: projectcalico.org/v3
kind: IPPool
metadata: {name: pool}
spec: {cidr: 10.0.0.0/16}
"""


@pytest.fixture
def filled(tortie: Tortie, write: Write) -> Tortie:
    """A datastore with a pool in it."""
    assert tortie("apply", "-f", write("pool.yaml", POOL)).status == 0
    return tortie


@pytest.fixture
def exported(filled: Tortie) -> Tortie:
    """The same, locked, and the file cluster.jsonl."""
    assert filled("datastore", "migrate", "lock").status == 0
    assert filled("datastore", "migrate", "export", "-o", "cluster.jsonl").status == 0
    return filled


def test_a_whole_migration(exported: Tortie, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("TORTIE_DATASTORE", "new.db")
    looked = exported("datastore", "migrate", "import", "-f", "cluster.jsonl", "--dry-run")
    assert (looked.status, "nothing was written" in looked.out) == (0, True)
    assert not os.path.exists("new.db")
    done = exported("datastore", "migrate", "import", "-f", "cluster.jsonl")
    assert done.status == 0
    assert "both sides are equal: 5 objects" in done.out
    assert "migrate unlock" in done.out
    assert "importing IPPool: 1" in done.err  # no bar where nobody looks
    assert "\x1b" not in done.err + done.out
    assert "pool" in exported("get", "ippools").out
    again = exported("datastore", "migrate", "import", "-f", "cluster.jsonl")
    assert (again.status, "equal already" in again.out) == (0, True)
    assert "is unlocked" in exported("datastore", "migrate", "unlock").out
    assert "was not locked" in exported("datastore", "migrate", "unlock").out


def test_an_export_is_for_its_owner_only(exported: Tortie):
    assert stat.S_IMODE(os.stat("cluster.jsonl").st_mode) == 0o600
    assert exported("datastore", "migrate", "lock").out.startswith("the datastore was locked")


def test_nothing_is_left_of_an_export_that_was_refused(filled: Tortie):
    said = filled("datastore", "migrate", "export", "-o", "cluster.jsonl")
    assert said.status == 1
    assert "migrate lock` first" in said.err
    assert not [name for name in os.listdir() if "cluster" in name]


def test_what_is_in_the_way_is_named_with_its_line(exported: Tortie, write: Write):
    other = write("other.yaml", POOL.replace("10.0", "10.9"))
    assert exported("apply", "--datastore", "new.db", "-f", other).status == 0
    words = ("datastore", "migrate", "import", "--datastore", "new.db", "-f", "cluster.jsonl")
    said = exported(*words)
    assert said.status == 1
    assert "in the way: line 6: IPPool(pool): is in the target already" in said.err
    assert "nothing was written" in said.err
    assert "10.9.0.0/16" in exported("get", "--datastore", "new.db", "ippools", "-o", "wide").out


@pytest.mark.parametrize(
    ("text", "said"),
    [("", "the file is empty"), (POOL, "line 1: this is no export"), (None, "missing.jsonl")],
)
def test_a_bad_file_is_told_in_one_line(filled: Tortie, write: Write, text: str | None, said: str):
    name = "missing.jsonl" if text is None else write("bad.jsonl", text)
    done = filled("datastore", "migrate", "import", "--datastore", "new.db", "-f", name)
    assert done.status == 1
    assert said in done.err
    assert "Traceback" not in done.err


def test_what_is_not_there_is_not_made_to_be_locked(tortie: Tortie):
    said = tortie("datastore", "migrate", "lock", "--datastore", "none.db")
    assert said.status == 1
    assert "there is no datastore at none.db" in said.err
    assert not os.path.exists("none.db")


def test_on_a_terminal_there_is_a_bar(exported: Tortie):
    assert exported("datastore", "migrate", "lock").status == 0
    reader, terminal = pty.openpty()
    command = [
        sys.executable,
        "-m",
        "tortie.cli",
        "datastore",
        "migrate",
        "export",
        "-o",
        "b.jsonl",
    ]
    environ = {k: v for k, v in os.environ.items() if k != "NO_COLOR"} | {"TERM": "xterm"}
    shown = b""
    with subprocess.Popen(command, stderr=terminal, env=environ) as process:
        os.close(terminal)
        while part := _read(reader):
            shown += part
        assert process.wait(60) == 0
    os.close(reader)
    assert b"exporting IPPool" in shown
    assert "━".encode() in shown


def _read(descriptor: int) -> bytes:
    try:
        return os.read(descriptor, 65536)
    except OSError:  # the other end of a terminal is closed
        return b""
