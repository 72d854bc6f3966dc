"""The executable itself, against sockets that a test plays."""

import json
import os
import socket
import subprocess
import threading
from contextlib import contextmanager

import pytest

from tortie.cni import shim
from tortie.cni.install import install_plugin
from tortie.cni.request import SUPPORTED_VERSIONS


@pytest.fixture(scope="module")
def plugin(tmp_path_factory):
    return install_plugin(tmp_path_factory.mktemp("bin"))


def call(plugin, config, command="ADD", **environ):
    variables = {"CNI_COMMAND": command, "CNI_CONTAINERID": "c1", **environ}
    return subprocess.run(
        [plugin], input=config, env=variables, capture_output=True, timeout=30, check=False
    )


def config(**values):
    return json.dumps({"cniVersion": "0.4.0", "name": "n", **values}, indent=1).encode()


@contextmanager
def peer(path, answer):
    """Take one connection, note its request, send `answer`, hang up."""
    requests = []

    def serve():
        connection, _ = server.accept()
        with connection:
            data = b""
            while not data.endswith(b"\n"):
                data += connection.recv(65536)
            requests.append(json.loads(data))
            connection.sendall(answer)

    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        server.listen(1)
        server.settimeout(30)
        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield requests
        finally:
            thread.join(30)


def test_environment_and_input_reach_the_agent_whatever_bytes_they_hold(plugin, tmp_path):
    path = tmp_path / "a.sock"
    text = config(agent_socket=str(path), note='q"\\\n\u00e9')
    with peer(path, b'{"exit":0,"output":null}\n') as requests:
        done = call(plugin, text, "DEL", CNI_ARGS='A="\\;B=\n', CNI_NETNS="")
    assert (done.returncode, done.stdout) == (0, b"")
    (request,) = requests
    assert request["verb"] == "cni"
    environ = {name: bytes.fromhex(value).decode() for name, value in request["env"].items()}
    assert environ == {
        "CNI_COMMAND": "DEL",
        "CNI_CONTAINERID": "c1",
        "CNI_ARGS": 'A="\\;B=\n',
        "CNI_NETNS": "",
    }
    assert bytes.fromhex(request["config"]) == text


@pytest.mark.parametrize(("status", "output"), [(0, {"ips": []}), (1, {"code": 7, "msg": "x"})])
def test_the_agents_answer_is_printed_and_decides_the_status(plugin, tmp_path, status, output):
    path = tmp_path / "a.sock"
    answer = f'{{"exit":{status},"output":{json.dumps(output)}}}\n'.encode()
    with peer(path, answer):
        done = call(plugin, config(agent_socket=str(path)))
    assert done.returncode == status
    assert json.loads(done.stdout) == output
    assert done.stderr == b""


def test_without_an_agent_the_runtime_is_told_to_try_again(plugin, tmp_path):
    done = call(plugin, config(agent_socket=str(tmp_path / "none.sock")))
    assert done.returncode == 1
    error = json.loads(done.stdout)
    assert (error["code"], error["cniVersion"]) == (11, "0.4.0")
    assert "none.sock" in error["msg"]
    assert done.stderr == b""


def test_an_agent_that_dies_in_the_middle_is_told_as_such(plugin, tmp_path):
    path = tmp_path / "a.sock"
    with peer(path, b'{"exit":0,"out'):
        done = call(plugin, config(agent_socket=str(path)))
    error = json.loads(done.stdout)
    assert (done.returncode, error["code"]) == (1, 11)
    assert "stopped in the middle" in error["msg"]


def test_an_answer_that_is_not_the_agents_is_an_error(plugin, tmp_path):
    path = tmp_path / "a.sock"
    with peer(path, b"HTTP/1.1 400\n"):
        done = call(plugin, config(agent_socket=str(path)))
    assert (done.returncode, json.loads(done.stdout)["code"]) == (1, 5)


@pytest.mark.parametrize("text", [b"", b"nonsense", b"\0\xff", b"[]", b"{" * (2 << 20)])
def test_what_is_no_configuration_is_no_reason_to_try_again(plugin, text):
    error = json.loads(call(plugin, text).stdout)
    assert error["code"] in (6, 7)
    assert "agent" not in error["msg"]


@pytest.mark.parametrize("text", [b"", b"nonsense", config()])
def test_version_needs_no_agent(plugin, text):
    done = call(plugin, text, "VERSION")
    assert done.returncode == 0
    assert json.loads(done.stdout)["supportedVersions"] == list(SUPPORTED_VERSIONS)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b'{"agent_socket":"/a"}', b"/a"),
        (b'{ "agent_socket" :\n "/a b" }', b"/a b"),
        (b'{"x":"agent_socket"}', b""),
        (b'{"agent_socket":3}', b""),
        (b'{"agent_socket":"a\\u0041"}', b""),
        (b'{"agent_socket"', b""),
        (b"", b""),
    ],
)
def test_the_one_field_that_it_needs_is_found(text, expected):
    assert shim.text_of(text, b"agent_socket") == expected


@pytest.mark.parametrize(
    "text", [b'{"agent_socket":"/x\n\x01"}', b'{"agent_socket":"/\xff"}', b'{"cniVersion":"1\n.0"}']
)
@pytest.mark.parametrize("command", ["ADD", "VERSION"])
def test_what_it_prints_is_json_whatever_the_configuration_holds(plugin, text, command):
    assert isinstance(json.loads(call(plugin, text, command).stdout), dict)


def test_it_imports_no_package_and_little_of_the_library(plugin):
    code = (
        "import sys, runpy\n"
        "before = set(sys.modules)\n"
        f"runpy.run_path({str(plugin)!r})\n"
        "print(sorted(set(sys.modules) - before))"
    )
    done = subprocess.run(
        [os.path.realpath("/proc/self/exe"), "-I", "-S", "-c", code],
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    assert "socket" not in done.stdout
    assert "json" not in done.stdout
    assert "tortie" not in done.stdout


def test_installing_again_replaces_the_file(tmp_path):
    first = install_plugin(tmp_path / "bin", "tortie")
    assert install_plugin(tmp_path / "bin", "tortie") == first
    assert set(os.listdir(tmp_path / "bin")) == {"tortie", "calico-ipam"}
    assert os.access(first, os.X_OK)
