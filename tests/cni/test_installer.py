"""`tortie cni install` and `remove` on a host of a test's own: files whole, ours alone removed."""

import errno
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest

from cni.node import until
from tortie.cli.main import main
from tortie.cni.installer import files
from tortie.cni.installer.kubeconfig import NAME as KUBECONFIG
from tortie.cni.installer.record import NAME as RECORD
from tortie.cni.installer.record import Record

BUSYBOX = shutil.which("busybox")


@pytest.fixture
def host(tmp_path, monkeypatch):
    """Folders of a host, and a way to run commands on it: (status, files by name, warnings)."""
    for name in [name for name in os.environ if name.startswith(("CNI_", "KUBERNETES_"))]:
        monkeypatch.delenv(name)
    monkeypatch.delenv("SLEEP", raising=False)
    return Host(tmp_path, monkeypatch)


class Host:
    def __init__(self, folder, monkeypatch):
        self.root = folder
        self.bin, self.conf = folder / "opt/cni/bin", folder / "etc/cni/net.d"
        self._monkeypatch = monkeypatch

    def run(self, capsys, *words, **environ):
        with self._monkeypatch.context() as patch:
            for name, value in environ.items():
                patch.setenv(name, str(value))
            status = main(["cni", *words, *self.options, "-o", "json"])
        captured = capsys.readouterr()
        if status:
            return status, {}, captured.err
        report = json.loads(captured.out)
        return (
            0,
            {Path(one["path"]).name: one["what"] for one in report["files"]},
            report["warnings"],
        )

    @property
    def options(self):
        return ["--bin-dir", str(self.bin), "--conf-dir", str(self.conf)]

    def names(self, folder):
        return {path.name for path in folder.iterdir()}


def test_plugin_and_configuration_are_installed_and_again_is_harmless(host, capsys):
    status, done, warnings = host.run(capsys, "install")
    assert (status, done["calico"], done["10-calico.conflist"]) == (0, "written", "written")
    assert warnings == []
    assert host.names(host.conf) == {"10-calico.conflist", RECORD}
    for name in ("calico", "calico-ipam"):
        answer = subprocess.run(
            [host.bin / name], env={"CNI_COMMAND": "VERSION"}, input=b"{}", capture_output=True
        )
        assert "1.1.0" in json.loads(answer.stdout)["supportedVersions"]
    _, again, _ = host.run(capsys, "install")
    assert set(again.values()) == {"unchanged"}
    host.run(capsys, "remove")
    assert host.names(host.bin) == set()


def test_an_interpreter_of_another_version_runs_the_plugin_as_well(host, capsys):
    host.run(capsys, "install")
    text = (host.bin / "calico").read_bytes()
    (host.bin / "calico").write_bytes(text.replace(b"MAGIC_NUMBER == b'", b"MAGIC_NUMBER == b'x"))
    answer = subprocess.run(
        [host.bin / "calico"], env={"CNI_COMMAND": "VERSION"}, input=b"{}", capture_output=True
    )
    assert "1.1.0" in json.loads(answer.stdout)["supportedVersions"]


def test_a_template_is_filled_and_an_earlier_name_of_ours_goes(host, capsys):
    template = '{"name": "n", "type": "calico", "mtu": __CNI_MTU__}'
    host.run(capsys, "install", CNI_NETWORK_CONFIG=template, CNI_MTU="1400")
    assert json.loads((host.conf / "10-calico.conflist").read_text())["mtu"] == 1400
    _, done, _ = host.run(capsys, "install", CNI_CONF_NAME="05-calico.conflist")
    assert done["10-calico.conflist"] == "removed"
    (host.conf / "07-old.conf").write_text("{}")
    host.run(capsys, "install", CNI_OLD_CONF_NAME="07-old.conf")
    assert host.names(host.conf) == {"10-calico.conflist", RECORD}


def test_what_runtimes_would_read_instead_is_told(host, capsys):
    host.conf.mkdir(parents=True)
    (host.conf / "05-other.conflist").write_text("{}")
    _, _, warnings = host.run(capsys, "install")
    assert any("05-other.conflist sorts before 10-calico.conflist" in one for one in warnings)
    assert (host.conf / "05-other.conflist").read_text() == "{}"


def test_a_chained_plugin_that_is_not_there_is_told(host, capsys):
    template = '{"name": "n", "plugins": [{"type": "calico"}, {"type": "nosuch"}]}'
    _, _, warnings = host.run(capsys, "install", CNI_NETWORK_CONFIG=template)
    assert any("nosuch, which is not in" in one for one in warnings)


def test_a_folder_without_any_standard_plugin_is_told(host, capsys):
    _, _, warnings = host.run(capsys, "install", "--plugins", "/nosuch")
    assert any(one.startswith("/nosuch has no program bandwidth, host-local") for one in warnings)
    assert host.run(capsys, "install", "--plugins", str(host.bin))[2] == []  # as on Debian


def test_binaries_can_be_left_alone(host, capsys):
    host.bin.mkdir(parents=True)
    (host.bin / "calico").write_text("mine")
    _, done, _ = host.run(capsys, "install", UPDATE_CNI_BINARIES="false")
    assert "UPDATE_CNI_BINARIES" in done["calico"]
    _, done, _ = host.run(capsys, "install", SKIP_CNI_BINARIES="calico,portmap")
    assert "SKIP_CNI_BINARIES" in done["calico"]
    assert (host.bin / "calico").read_text() == "mine"
    host.run(capsys, "remove")
    assert (host.bin / "calico").read_text() == "mine"


def test_only_what_was_made_is_removed(host, capsys):
    plugins = host.root / "image"
    plugins.mkdir()
    for name in ("portmap", "tuning"):
        (plugins / name).write_text(f"#!/bin/sh\necho {name}\n")
        (plugins / name).chmod(0o755)
    host.bin.mkdir(parents=True)
    (host.bin / "tuning").write_text("the host's")
    (host.bin / "bridge").write_text("the host's")
    _, done, _ = host.run(capsys, "install", "--plugins", str(plugins))
    assert (done["portmap"], done["tuning"]) == ("written", "written")
    (host.bin / "portmap").write_text("changed since")
    _, done, _ = host.run(capsys, "remove")
    assert done["portmap"] == "left: somebody changed it since"
    assert host.names(host.bin) == {"portmap", "tuning", "bridge"}
    assert host.names(host.conf) == set()
    assert host.run(capsys, "remove") == (0, {}, [])


def test_the_configuration_goes_first_and_what_it_names_after_it(host, capsys):
    host.run(capsys, "install")
    Record(host.conf).put(KUBECONFIG, b"a token", 0o600)
    _, done, _ = host.run(capsys, "remove")
    assert list(done)[:2] == ["10-calico.conflist", KUBECONFIG]
    assert {"calico", "calico-ipam"} <= set(list(done)[2:])
    assert host.names(host.conf) == host.names(host.bin) == set()


@pytest.mark.root
def test_modes_owners_and_links_are_put_right(host, capsys):
    host.run(capsys, "install")
    config, record, plugin = (
        host.conf / "10-calico.conflist",
        host.conf / RECORD,
        host.bin / "calico",
    )
    data = config.read_bytes()
    modes = {path: path.stat().st_mode & 0o777 for path in (config, record, plugin)}
    assert modes == {config: 0o644, record: 0o600, plugin: 0o755}
    config.chmod(0o666)
    os.chown(plugin, 12345, 12345)
    _, done, _ = host.run(capsys, "install")
    assert (done["10-calico.conflist"], done["calico"]) == ("written", "written")
    assert {path: path.stat().st_mode & 0o777 for path in modes} == modes
    assert plugin.stat().st_uid == os.geteuid()
    elsewhere = host.root / "elsewhere"
    elsewhere.write_bytes(data)
    elsewhere.chmod(0o644)
    config.unlink()
    config.symlink_to(elsewhere)
    _, done, _ = host.run(capsys, "install")
    assert done["10-calico.conflist"] == "written"
    assert not config.is_symlink()
    assert elsewhere.read_bytes() == data


def test_a_file_is_nobody_elses_to_read_before_it_has_its_mode(tmp_path, monkeypatch):
    modes = []
    set_mode = os.fchmod

    def watched(descriptor, mode):
        modes.append(os.fstat(descriptor).st_mode & 0o777)
        set_mode(descriptor, mode)

    monkeypatch.setattr(files.os, "fchmod", watched)
    before = os.umask(0)
    try:
        files.write(tmp_path / "secret", b"a token", 0o600)
    finally:
        os.umask(before)
    assert modes == [0o600]


def test_what_got_its_name_just_before_a_crash_is_removed_with_the_rest(host, capsys, monkeypatch):
    sync = os.fsync

    def lost(descriptor):
        if (host.conf / "10-calico.conflist").exists():
            raise OSError(errno.EIO, "Input/output error")
        sync(descriptor)

    with monkeypatch.context() as patch:
        patch.setattr(files.os, "fsync", lost)
        status, _, said = host.run(capsys, "install")
    config = host.conf / "10-calico.conflist"
    assert (status, said) == (1, f"tortie: {config}: input/output error\n")
    assert (host.conf / "10-calico.conflist").exists()
    host.run(capsys, "remove")
    assert host.names(host.conf) == host.names(host.bin) == set()


def test_an_older_name_that_is_the_same_removes_nothing(host, capsys):
    name = "10-calico.conflist"
    _, done, _ = host.run(capsys, "install", CNI_CONF_NAME=name, CNI_OLD_CONF_NAME=name)
    assert done[name] == "written"
    assert (host.conf / name).exists()


def test_a_wrong_setting_is_told_before_anything_is_written(host, capsys):
    status, _, said = host.run(capsys, "install", CNI_CONF_NAME="../x.conf")
    assert status == 1
    assert said.startswith("tortie: CNI_CONF_NAME is '../x.conf': use a file's name")
    assert not host.bin.exists()


def test_a_record_that_names_other_files_removes_none(host, capsys):
    host.run(capsys, "install")
    outside = host.root / "precious"
    outside.write_text("x")
    (host.conf / RECORD).write_text('{"files": {"../../../precious": "0"}, "folders": []}')
    status, _, said = host.run(capsys, "remove")
    assert (status, outside.exists()) == (1, True)
    assert "is no file of its folder" in said


def test_a_file_is_whole_whoever_reads_it_while_it_is_replaced(tmp_path):
    path, ends, seen = tmp_path / "conf", threading.Event(), set()
    contents = [bytes([65 + number]) * 200_000 for number in range(4)]
    files.write(path, contents[0], 0o644)

    def read():
        while not ends.is_set():
            seen.add(path.read_bytes())

    reader = threading.Thread(target=read)
    reader.start()
    try:
        for number in range(40):
            files.write(path, contents[number % 4], 0o644)
            until(partial(_more_than, seen, min(number, 1)), "the reader's turn")
    finally:
        ends.set()
        reader.join()
    assert seen <= set(contents)


def test_an_installer_killed_at_any_moment_leaves_whole_files_and_the_next_one_tidies(host, capsys):
    command = [sys.executable, "-m", "tortie.cli", "cni", "install", *host.options]
    environ = {name: value for name, value in os.environ.items() if not name.startswith("CNI_")}
    for number in range(6):
        process = subprocess.Popen(
            command, env={**environ, "CNI_MTU": str(1400 + number)}, stdout=subprocess.DEVNULL
        )
        if number % 2:  # else it comes to its end
            until(partial(_works, host, process), "its work")
            process.send_signal(signal.SIGKILL)
        process.wait(60)
        for path in (host.bin / "calico", host.conf / "10-calico.conflist"):
            assert not path.exists() or path.read_bytes()[-2:] in (b"}\n", b")\n")
        if (host.conf / "10-calico.conflist").exists():
            json.loads((host.conf / "10-calico.conflist").read_text())
    host.run(capsys, "install")
    assert host.names(host.conf) == {"10-calico.conflist", RECORD}
    host.run(capsys, "remove")
    assert host.names(host.bin) == host.names(host.conf) == set()


def _works(host, process):
    folders = [folder for folder in (host.bin, host.conf) if folder.exists()]
    return process.poll() is not None or any(files.left_behind(folder) for folder in folders)


@pytest.mark.root
@pytest.mark.skipif(BUSYBOX is None, reason="no busybox: apt-get install busybox-static")
def test_the_plugin_runs_on_a_host_that_has_no_python_and_no_c_library(host, capsys):
    """A root with busybox alone, to which the folders are mounted in Kubernetes."""
    status, done, _ = host.run(
        capsys, "install", "--own-interpreter", CNI_BIN_DIR="/opt/cni/bin", SLEEP="false"
    )
    assert status == 0, done
    shutil.copy(BUSYBOX, host.root / "busybox")
    answer = in_root(host.root, "VERSION", b"{}")
    assert (answer.returncode, answer.stderr) == (0, b"")
    assert "1.1.0" in json.loads(answer.stdout)["supportedVersions"]
    with agent(host.root / "a.sock", b'{"exit":0,"output":{"ips":[]}}\n'):
        answer = in_root(host.root, "ADD", b'{"agent_socket":"/a.sock","cniVersion":"1.0.0"}')
    assert (answer.returncode, json.loads(answer.stdout)) == (0, {"ips": []})


@pytest.mark.root
@pytest.mark.skipif(BUSYBOX is None, reason="no busybox: apt-get install busybox-static")
@pytest.mark.skipif(not Path("/usr/lib/cni/loopback").exists(), reason="no reference plugins")
def test_standard_plugins_run_there_too(host, capsys):
    options = ("--own-interpreter", "--plugins", "/usr/lib/cni")
    host.run(capsys, "install", *options, CNI_BIN_DIR="/opt/cni/bin")
    shutil.copy(BUSYBOX, host.root / "busybox")
    for name in ("portmap", "host-local"):
        answer = in_root(host.root, "VERSION", b'{"cniVersion":"1.0.0"}', name)
        assert "1.0.0" in json.loads(answer.stdout)["supportedVersions"], answer.stderr


def in_root(root, command, config, name="calico"):
    """Call a plugin with `root` as the whole machine."""
    return subprocess.run(
        ["/busybox", "env", f"CNI_COMMAND={command}", f"/opt/cni/bin/{name}"],
        input=config,
        capture_output=True,
        timeout=60,
        check=False,
        env={"LC_ALL": "de_DE.ISO-8859-1"},
        cwd="/",
        preexec_fn=lambda: os.chroot(root),
    )


@contextmanager
def agent(path, answer):
    """Answers one request on a socket."""

    def serve():
        connection, _ = server.accept()
        with connection:
            data = b""
            while not data.endswith(b"\n"):
                data += connection.recv(65536)
            connection.sendall(answer)

    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        server.listen(1)
        server.settimeout(30)
        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield
        finally:
            thread.join(30)


def test_a_plugin_that_is_replaced_answers_whoever_starts_it_in_that_moment(host, capsys):
    host.run(capsys, "install")
    ends, answers = threading.Event(), []

    def ask():
        while not ends.is_set():
            environ = {"CNI_COMMAND": "VERSION"}
            done = subprocess.run(
                [host.bin / "calico"], env=environ, input=b"{}", capture_output=True, timeout=60
            )
            answers.append((done.returncode, done.stderr))

    asking = threading.Thread(target=ask)
    asking.start()
    try:
        for number in range(8):
            host.run(capsys, "install", *(["--own-interpreter"] if number % 2 else []))
            until(partial(_more_than, answers, len(answers) + 2), "answers")
    finally:
        ends.set()
        asking.join()
    assert set(answers) == {(0, b"")}


def _more_than(answers, number):
    return len(answers) > number


def test_an_interpreter_that_lost_a_file_gets_it_back(host, capsys):
    host.run(capsys, "install", "--own-interpreter")
    (folder,) = host.bin.glob(".tortie-python-*")
    before = {path.name for path in folder.rglob("*")}
    (folder / "lib/loader").unlink()
    host.run(capsys, "install", "--own-interpreter")
    assert {path.name for path in folder.rglob("*")} == before
    answer = subprocess.run(
        [host.bin / "calico"], env={"CNI_COMMAND": "VERSION"}, input=b"{}", capture_output=True
    )
    assert answer.returncode == 0


def test_an_interpreter_stays_for_one_change_more_than_it_is_used(host, capsys):
    """Whoever started the plugin a moment before its change still finds it."""
    folders = []
    for number in range(3):
        called = f"/opt/cni/bin{number}"
        host.run(capsys, "install", "--own-interpreter", CNI_BIN_DIR=called)
        present = {name for name in host.names(host.bin) if name.startswith(".tortie-python-")}
        folders.append(present)
        line = (host.bin / "calico").read_text().splitlines()[0]
        assert line.startswith(f"#!{called}/.tortie-python-")
    assert [len(one) for one in folders] == [1, 2, 2]
    assert not folders[0] & folders[2]
    host.run(capsys, "remove")
    assert host.names(host.bin) == set()
