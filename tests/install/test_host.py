"""A host without Kubernetes: files as they have to be, units that systemd takes, and their end."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tortie.cli.main import main
from tortie.install.host.settings import WrongSetting, parsed, settings_text
from tortie.install.host.units import DAEMONS, unit_text

ALL = "agent,bgp,fanout,controllers"
WAIT = 60.0
needs_systemd = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="no systemd-analyze here: install systemd"
)


def host(root, *words):
    return main(["install", "host", "--root", str(root), *words])


def files(root):
    return {
        str(path.relative_to(root)): (path.read_text(), path.stat().st_mode & 0o777)
        for path in sorted(root.rglob("*"))
        if path.is_file()
    }


def test_the_second_time_nothing_changes_and_it_says_so(tmp_path, capsys):
    assert host(tmp_path, "--daemons", ALL, "--check") == 3
    assert files(tmp_path) == {}
    assert host(tmp_path, "--daemons", ALL, "--set", "A=b") == 0
    first = files(tmp_path)
    capsys.readouterr()
    assert host(tmp_path, "--daemons", ALL, "--set", "A=b", "-o", "json") == 0
    report = json.loads(capsys.readouterr().out)
    assert report["changed"] is False
    assert {each["change"] for each in report["files"]} == {"none"}
    assert files(tmp_path) == first
    assert host(tmp_path, "--daemons", ALL, "--check") == 0


def test_what_somebody_changed_is_put_right_and_his_settings_stay(tmp_path, capsys):
    host(tmp_path, "--set", "FELIX_LOGSEVERITYSCREEN=Info")
    settings = tmp_path / "etc/tortie/tortie.env"
    settings.write_text(settings.read_text() + "# mine\nMINE=1\n")
    unit = tmp_path / "etc/systemd/system/tortie-agent.service"
    unit.write_text(unit.read_text() + "User=nobody\n")
    unit.chmod(0o666)
    capsys.readouterr()
    assert host(tmp_path, "--set", "FELIX_LOGSEVERITYSCREEN=Debug") == 0
    said = capsys.readouterr().out
    assert "/etc/systemd/system/tortie-agent.service: changed (change)" in said
    assert "User=nobody" not in unit.read_text()
    assert unit.stat().st_mode & 0o777 == 0o644
    assert settings.read_text().endswith("FELIX_LOGSEVERITYSCREEN=Debug\n# mine\nMINE=1\n")
    assert settings.stat().st_mode & 0o777 == 0o600


def test_removing_takes_away_what_was_installed_and_nothing_else(tmp_path):
    other = tmp_path / "etc/systemd/system/tortie-fanout.service"
    other.parent.mkdir(parents=True)
    other.write_text("[Unit]\nDescription=somebody's own\n")
    host(tmp_path, "--daemons", "agent,bgp")
    assert host(tmp_path, "--remove") == 0
    assert set(files(tmp_path)) == {
        "etc/systemd/system/tortie-fanout.service",
        "etc/tortie/tortie.env",
    }
    assert host(tmp_path, "--remove", "--purge") == 0
    assert set(files(tmp_path)) == {"etc/systemd/system/tortie-fanout.service"}
    assert host(tmp_path, "--remove", "--check") == 0


def test_a_daemon_that_is_not_wanted_any_more_goes(tmp_path):
    host(tmp_path, "--daemons", "agent,bgp")
    host(tmp_path, "--daemons", "agent")
    units = {path.name for path in (tmp_path / "etc/systemd/system").iterdir()}
    assert units == {"tortie-agent.service"}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--set", "novalue"], "NAME=VALUE"),
        (["--set", "A=b\nExecStart=/bin/sh"], "line breaks"),
        (["--set", "A B=c"], "NAME=VALUE"),
        (["--daemons", "agents"], "there is no daemon"),
        (["--purge"], "goes with --remove"),
    ],
)
def test_a_mistake_is_told_in_one_line_and_nothing_is_written(tmp_path, capsys, words, said):
    assert host(tmp_path, *words) == 1
    assert said in capsys.readouterr().err
    assert files(tmp_path) == {}


NAMES = st.text("ABCDEFGHIJ_", min_size=1, max_size=3)
VALUES = st.text("abc #;'$` =", max_size=5)


@given(st.dictionaries(NAMES, VALUES), st.dictionaries(NAMES, VALUES))
def test_settings_are_what_was_said_last_and_saying_it_again_changes_nothing(first, second):
    text = settings_text(settings_text("", first), second)
    assert settings_text(text, second) == text
    wanted = {name: value for name, value in {**first, **second}.items() if value}
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    found = dict(line.split("=", 1) for line in lines)
    for name in ("NO_DEFAULT_POOLS", "CALICO_NETWORKING_BACKEND"):
        assert found.pop(name)
    assert {name: value.strip('"') for name, value in found.items()} == wanted


def test_values_that_an_environment_file_would_read_otherwise_are_refused():
    for word in ('A="b"', "A=b\\c", "A=\x00"):
        with pytest.raises(WrongSetting):
            parsed([word])


@needs_systemd
@pytest.mark.parametrize("daemon", DAEMONS, ids=lambda daemon: daemon.unit)
def test_systemd_takes_the_units_as_they_are(tmp_path, daemon):
    path = tmp_path / f"{daemon.unit}.service"
    path.write_text(unit_text(daemon, "/bin/true"))
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(path)],
        capture_output=True,
        text=True,
        timeout=WAIT,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")


@needs_systemd
@pytest.mark.parametrize(
    ("daemon", "most"), [(daemon, 7.0 if "agent" in daemon.unit else 6.6) for daemon in DAEMONS]
)
def test_units_grant_little_by_systemds_own_measure(tmp_path, daemon, most):
    """0 is nothing, 10 everything; the agent's work is the kernel's configuration."""
    path = tmp_path / f"{daemon.unit}.service"
    path.write_text(unit_text(daemon, "/bin/true"))
    done = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", "--json=short", str(path)],
        capture_output=True,
        text=True,
        timeout=WAIT,
        check=False,
    )
    rows = json.loads(done.stdout)
    exposed = sum(float(row["exposure"] or 0) for row in rows)
    whole = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", str(path)],
        capture_output=True,
        text=True,
        timeout=WAIT,
        check=False,
    ).stdout
    assert exposed > 0
    assert float(whole.strip().rsplit(": ", 1)[1].split()[0]) <= most


@pytest.mark.root
@pytest.mark.skipif(shutil.which("setpriv") is None, reason="no setpriv here (util-linux)")
def test_the_agent_becomes_ready_with_no_more_capabilities_than_its_unit_grants():
    """systemd does not run here: setpriv takes from the process what the unit takes from it."""
    (daemon,) = [one for one in DAEMONS if one.unit == "tortie-agent"]
    caps = ",+".join(
        word.removeprefix("CAP_").lower()
        for word in daemon.service["CapabilityBoundingSet"].split()
    )
    name = f"tortie-ho{os.getpid()}"
    with tempfile.TemporaryDirectory(prefix="tn-") as folder:
        run_dir = Path(folder, "run")
        inside = ["ip", "netns", "exec", name]
        own = [sys.executable, "-m", "tortie.cli"]
        narrow = ["setpriv", "--no-new-privs", f"--bounding-set=-all,+{caps}"]
        where = ["--datastore", f"{folder}/tortie.db", "--address", "10.1.0.1/24"]
        environ = {**os.environ, "FELIX_HEALTHENABLED": "true", "TORTIE_RUN_DIR": str(run_dir)}
        for words in (["netns", "add", name], ["-n", name, "link", "set", "lo", "up"]):
            subprocess.run(["ip", *words], check=True, timeout=WAIT)
        with Path(folder, "log").open("wb") as log:
            agent = subprocess.Popen(
                [*inside, *narrow, *own, "agent", "--node", "n1", *where],
                env=environ,
                stderr=log,
            )
        try:
            deadline = time.monotonic() + WAIT
            ask = [*inside, *own, "node", "health", "--felix-ready"]
            while subprocess.run(
                ask, env=environ, capture_output=True, timeout=WAIT, check=False
            ).returncode:
                assert agent.poll() is None, Path(folder, "log").read_text()
                assert time.monotonic() < deadline, Path(folder, "log").read_text()
                time.sleep(0.1)
            status = Path(f"/proc/{agent.pid}/status").read_text()
            assert "NoNewPrivs:\t1" in status
            tables = subprocess.run(
                [*inside, "nft", "list", "tables"], capture_output=True, text=True, timeout=WAIT
            ).stdout
            assert "calico" in tables
        finally:
            agent.kill()
            agent.wait()
            subprocess.run(["ip", "netns", "del", name], check=False, timeout=WAIT)
