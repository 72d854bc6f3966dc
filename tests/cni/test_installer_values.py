"""What the installer reads and writes, as values: variables, templates, programs' bytes."""

import json
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tortie.cni.installer import conflist, elf, token
from tortie.cni.installer.errors import InstallError
from tortie.cni.installer.interpreter import shebang
from tortie.cni.installer.kubeconfig import kubeconfig
from tortie.cni.installer.settings import Server, read_settings
from tortie.cni.request import parse_config
from tortie.datastore import DatastoreError
from tortie.datastore.kubernetes.kubeconfig import read_kubeconfig

TEMPLATE = """{
  "name": "k8s-pod-network", "cniVersion": "0.3.1",
  "plugins": [
    {"type": "calico", "log_level": "__LOG_LEVEL__", "nodename": "__KUBERNETES_NODE_NAME__",
     "mtu": __CNI_MTU__, "datastore_type": "__DATASTORE_TYPE__", "ipam": {"type": "calico-ipam"},
     "kubernetes": {"kubeconfig": "__KUBECONFIG_FILEPATH__"}},
    {"type": "portmap", "capabilities": {"portMappings": true}}
  ]
}"""


def values(**given):
    read = read_settings({}, {}, Path("/nowhere"))
    usual = {**dict(read.values), "CNI_MTU": "0", "KUBECONFIG_FILEPATH": "/k"}
    return {**usual, **given}


@given(st.text())
def test_no_value_ends_the_text_that_it_stands_in(text):
    found = json.loads(conflist.filled(TEMPLATE, values(KUBERNETES_NODE_NAME=text)))
    assert found["plugins"][0]["nodename"] == text
    assert found["plugins"][1] == {"type": "portmap", "capabilities": {"portMappings": True}}


def test_every_placeholder_of_calicos_manifest_is_filled():
    found = json.loads(conflist.filled(TEMPLATE, values(CNI_MTU="1440", LOG_LEVEL="debug")))
    own = found["plugins"][0]
    assert (own["mtu"], own["log_level"], own["datastore_type"]) == (1440, "debug", "kubernetes")
    assert own["kubernetes"] == {"kubeconfig": "/k"}


@pytest.mark.parametrize(
    ("template", "reason"),
    [
        ("{", "is not JSON"),
        ("[]", "has no name"),
        ('{"name": ""}', "has no name"),
        ('{"name": "n", "plugins": []}', "at least one plugin"),
        ('{"name": "n", "plugins": [{}]}', "needs a type"),
        ('{"name": "n", "plugins": [3]}', "needs a type"),
        ('{"name": "n", "plugins": {}}', "has to be a list"),
        ('{"name": "n", "type": "../../bin/sh"}', "needs a type"),
        ('{"name": "n", "type": "calico", "ipam": "host-local"}', "ipam of calico has to be"),
        ('{"name": "n", "type": "calico", "ipam": {"type": ["x"]}}', "ipam of calico has to be"),
        ('{"name": "n", "type": "calico", "ipam": {"type": "../sh"}}', "ipam of calico has to"),
        ('{"name": "n", "type": "calico", "cniVersion": "9.9.9"}', "cniVersion is '9.9.9': use"),
        ('{"name": "n", "type": "calico", "cniVersion": 1}', "cniVersion is 1: use one of"),
        ('{"name": "n", "type": "calico", "x": "__NO_SUCH__"}', "__NO_SUCH__, which stands for"),
    ],
)
def test_a_template_that_no_runtime_could_use_is_refused(template, reason):
    with pytest.raises(InstallError, match=reason):
        conflist.filled(template, values())


def test_a_number_can_only_be_a_number():
    with pytest.raises(InstallError, match="CNI_MTU is"):
        conflist.filled(TEMPLATE, values(CNI_MTU='1, "type": "sh"'))


@given(st.integers(0, 9000), st.sets(st.sampled_from(["portmap", "bandwidth", "tuning"])))
def test_what_is_made_without_a_template_is_what_the_plugin_takes(mtu, chained):
    made = conflist.made("/etc/k", values(), mtu, "/run/a.sock", chained)
    found = json.loads(made)
    own = {**found["plugins"][0], "name": found["name"], "cniVersion": found["cniVersion"]}
    assert parse_config(json.dumps(own).encode()).mtu == mtu
    assert conflist.programs(made) == sorted({"calico", *(chained - {"tuning"})})


def test_programs_are_those_that_a_runtime_or_a_plugin_starts():
    found = '{"name": "n", "plugins": [{"type": "bridge", "ipam": {"type": "host-local"}}]}'
    assert conflist.programs(found.encode()) == ["bridge", "host-local"]


def test_what_sorts_before_is_what_runtimes_would_read():
    present = ["05-other.conflist", "10-calico.conflist", "99-loopback.conf", "00-note.txt", ".x"]
    assert conflist.before("10-calico.conflist", present) == ["05-other.conflist"]


def test_variables_are_read_as_calico_does():
    environ = {
        "CNI_NET_DIR": "/etc/rancher/net.d",
        "CNI_CONF_NAME": "05-calico.conflist",
        "CNI_OLD_CONF_NAME": "10-calico.conflist",
        "SKIP_CNI_BINARIES": "bandwidth, tuning,",
        "UPDATE_CNI_BINARIES": "False",
        "CNI_MTU": "1440",
        "SLEEP": "true",
        "KUBERNETES_SERVICE_HOST": "fd00::1",
        "KUBERNETES_SERVICE_PORT": "6443",
        "KUBECONFIG_MODE": "0640",
    }
    found = read_settings(environ, {}, Path("/nowhere"))
    assert found.conf_dir == found.host_conf_dir == Path("/etc/rancher/net.d")
    assert (found.conf_name, found.old_conf_name) == ("05-calico.conflist", "10-calico.conflist")
    assert found.skip == {"bandwidth", "tuning"}
    assert (found.update, found.watch, found.mtu) == (False, True, 1440)
    assert found.server.url == "https://[fd00::1]:6443"
    assert found.kubeconfig_mode == 0o640


def test_a_container_writes_where_it_sees_the_hosts_folders(tmp_path):
    for folder in ("opt/cni/bin", "etc/cni/net.d"):
        (tmp_path / folder).mkdir(parents=True)
    found = read_settings({"CNI_BIN_DIR": "/var/lib/cni/bin"}, {}, tmp_path)
    assert (found.bin_dir, found.host_bin_dir) == (
        tmp_path / "opt/cni/bin",
        Path("/var/lib/cni/bin"),
    )
    assert (found.conf_dir, found.host_conf_dir) == (
        tmp_path / "etc/cni/net.d",
        Path("/etc/cni/net.d"),
    )
    assert found.own_interpreter


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("CNI_NET_DIR", "relative"),
        ("CNI_NET_DIR", "/etc/../../root"),
        ("CNI_BIN_DIR", "/opt/a b"),
        ("CNI_BIN_DIR", "/opt/x\n#!"),
        ("CNI_CONF_NAME", "../../etc/passwd"),
        ("CNI_CONF_NAME", "10-calico"),
        ("CNI_CONF_NAME", ".hidden.conf"),
        ("CNI_OLD_CONF_NAME", "/etc/shadow.conf"),
        ("SKIP_CNI_BINARIES", "a/b"),
        ("UPDATE_CNI_BINARIES", "maybe"),
        ("CNI_MTU", "1e3"),
        ("CNI_MTU", "65536"),
        ("KUBERNETES_SERVICE_HOST", "host/path"),
        ("KUBERNETES_SERVICE_HOST", "user@host"),
        ("KUBERNETES_SERVICE_PORT", "0"),
        ("KUBERNETES_SERVICE_PROTOCOL", "file"),
        ("CALICO_CNI_SERVICE_ACCOUNT", "../secrets"),
        ("CNI_TOKEN_REFRESH_INTERVAL", "-1"),
        ("CNI_TOKEN_LIFETIME", "10"),
        ("KUBECONFIG_MODE", "666"),
        ("TORTIE_AGENT_SOCKET", "agent.sock"),
    ],
)
def test_what_can_be_no_value_is_refused_by_its_name(variable, value):
    environ = {"KUBERNETES_SERVICE_HOST": "10.0.0.1", variable: value}
    with pytest.raises(InstallError, match=f"^{variable} is "):
        read_settings(environ, {}, Path("/nowhere"))


def test_a_socket_that_is_no_absolute_path_is_refused():
    with pytest.raises(InstallError, match=r"^--agent-socket is 'agent\.sock'"):
        read_settings({}, {"agent_socket": "agent.sock"}, Path("/nowhere"))


@given(st.dictionaries(st.sampled_from(["CNI_NET_DIR", "CNI_CONF_NAME"]), st.text()))
def test_nothing_of_the_environment_leads_out_of_its_folder(environ):
    try:
        found = read_settings(environ, {}, Path("/nowhere"))
    except InstallError:
        return
    path = found.conf_dir / found.conf_name
    assert path.parent == found.conf_dir
    assert ".." not in path.parts


def test_a_kubeconfig_is_what_clients_read(tmp_path):
    file = tmp_path / "k"
    file.write_bytes(kubeconfig(Server("https", "fd00::1", 443), b"PEM", "abc.def"))
    found = read_kubeconfig(str(file), "", "")
    assert (found.server, found.ca, found.token) == ("https://[fd00::1]:443", b"PEM", "abc.def")


@pytest.mark.parametrize(
    "text", ["", "a\nuser: root", "a\0", "\u00e9"], ids=["none", "line", "nul", "accent"]
)
def test_a_token_with_what_no_token_has_is_refused(text):
    status = {"token": text, "expirationTimestamp": "2026-01-01T00:00:00Z"}
    with pytest.raises(DatastoreError, match="token"):
        token.answered(json.dumps({"status": status}).encode())


def test_a_time_without_a_zone_is_utc():
    status = {"token": "abc.def", "expirationTimestamp": "2026-01-01T00:00:00"}
    found = token.answered(json.dumps({"status": status}).encode())
    assert found.expires.isoformat() == "2026-01-01T00:00:00+00:00"


def test_no_token_shows_in_what_python_shows_of_it():
    status = {"token": "abc.def", "expirationTimestamp": "2026-01-01T00:00:00Z"}
    found = token.answered(json.dumps({"status": status}).encode())
    assert found.text == "abc.def"
    assert "abc.def" not in f"{found} {found!r}"


def test_a_program_is_made_to_name_its_own_loader():
    data = Path(sys.executable).resolve().read_bytes()
    found = elf.relocated(data, "/opt/cni/bin/x/loader", "$ORIGIN/../lib")
    assert elf.loader(found) == "/opt/cni/bin/x/loader"
    assert elf.needed(found) == elf.needed(data)
    assert elf.relocated(found, "/y", "$ORIGIN") != found  # again is possible
    assert len(found) < len(data) + 2**20


@pytest.mark.parametrize("path", ["/" + "a" * 250, "/opt/a b/python3"])
def test_an_interpreter_that_no_kernel_would_start_is_refused(path):
    with pytest.raises(InstallError, match="a kernel takes no such path"):
        shebang(Path(path))


def test_a_library_forgets_where_it_looked():
    data = Path(sys.executable).resolve().read_bytes()
    moved = elf.relocated(data, elf.loader(data), "/no/such/folder")
    left = elf.without_folders(moved)
    assert elf.needed(left) == elf.needed(data)
    assert len(left) == len(moved)
    assert left != moved
    assert elf.without_folders(left) == left


@given(st.binary(max_size=200), st.integers(0, 2000))
def test_what_is_no_program_is_refused(data, cut):
    program = Path(sys.executable).resolve().read_bytes()[:cut]
    for one in (data, program):
        with pytest.raises(InstallError):
            elf.relocated(one, "/l", "/d")
