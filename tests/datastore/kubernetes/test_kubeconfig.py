"""Kubeconfigs: which server, which user, and errors that name file and field."""

import base64
from pathlib import Path
from typing import Any

import pytest
import yaml

from tortie.datastore import DatastoreError
from tortie.datastore.kubernetes.kubeconfig import read_kubeconfig
from tortie.datastore.kubernetes.locating import find_access, in_cluster
from tortie.datastore.settings import KubernetesSettings


def _config(user: dict[str, Any] | None = None, **cluster: Any) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "here",
        "contexts": [
            {"name": "here", "context": {"cluster": "one", "user": "me", "namespace": "shop"}},
            {"name": "there", "context": {"cluster": "two", "user": "me"}},
            {"name": "lost", "context": {"cluster": "none", "user": "me"}},
        ],
        "clusters": [
            {"name": "one", "cluster": {"server": "https://one:6443", **cluster}},
            {"name": "two", "cluster": {"server": "https://two:6443"}},
        ],
        "users": [{"name": "me", "user": user or {"token": "secret"}}],
    }


def _written(folder: Path, config: Any) -> str:
    path = folder / "kubeconfig"
    path.write_text(config if isinstance(config, str) else yaml.safe_dump(config))
    return str(path)


def test_the_current_context_counts_and_another_where_named(tmp_path: Path) -> None:
    path = _written(tmp_path, _config())
    here, there = read_kubeconfig(path), read_kubeconfig(path, context="there")
    assert (here.server, here.token, here.namespace) == ("https://one:6443", "secret", "shop")
    assert there.server == "https://two:6443"


def test_of_several_files_the_earlier_counts(tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    whole = _config()
    first.write_text(yaml.safe_dump({"users": [{"name": "me", "user": {"token": "first"}}]}))
    second.write_text(yaml.safe_dump(whole))
    access = read_kubeconfig(f"{first}:{tmp_path / 'none'}:{second}")
    assert (access.server, access.token) == ("https://one:6443", "first")
    assert str(first) in access.identity


def test_files_are_read_from_the_folder_of_the_kubeconfig(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_bytes(b"CA")
    (tmp_path / "me.pem").write_bytes(b"CERT")
    key = base64.b64encode(b"KEY").decode()
    user = {"client-certificate": "me.pem", "client-key-data": key, "tokenFile": "token"}
    access = read_kubeconfig(
        _written(tmp_path, _config(user, **{"certificate-authority": "ca.pem"}))
    )
    assert (access.ca, access.certificate, access.key) == (b"CA", b"CERT", b"KEY")
    assert access.token_file == str(tmp_path / "token")


def test_what_a_cluster_says_of_tls_is_kept(tmp_path: Path) -> None:
    says = {
        "insecure-skip-tls-verify": True,
        "tls-server-name": "api.example",
        "proxy-url": "http://proxy:3128",
    }
    access = read_kubeconfig(_written(tmp_path, _config(**says)))
    assert (access.insecure, access.tls_name, access.proxy) == (
        True,
        "api.example",
        "http://proxy:3128",
    )


def test_a_plugin_keeps_its_arguments_out_of_what_is_shown(tmp_path: Path) -> None:
    plugin = {
        "apiVersion": "client.authentication.k8s.io/v1",
        "command": "get-token",
        "args": ["--password", "hunter2"],
        "env": [{"name": "A", "value": "b"}],
    }
    access = read_kubeconfig(_written(tmp_path, _config({"exec": plugin})))
    assert access.plugin is not None
    assert access.plugin.arguments == ("--password", "hunter2")
    assert access.plugin.environment == (("A", "b"),)
    assert "hunter2" not in repr(access) + repr(access.plugin)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"current-context": ""}, "current-context: is not set"),
        ({"current-context": "x"}, "there is no context 'x'.*there are: here, lost, there"),
        ({"current-context": "lost"}, r"contexts\[2\].context.cluster: there is no cluster 'none'"),
        ({"users": []}, "there is no user 'me' in users; there are: none"),
        ({"users": [{"name": "me", "user": {"token": 7}}]}, r"users\[0\].user.token: must be text"),
        (
            {"users": [{"name": "me", "user": {"client-certificate-data": "%"}}]},
            r"users\[0\].user.client-certificate-data: is no base64",
        ),
        (
            {"users": [{"name": "me", "user": {"client-certificate": "none.pem"}}]},
            r"users\[0\].user.client-certificate: .*none.pem can't be read",
        ),
        (
            {"users": [{"name": "me", "user": {"client-key-data": "QQ=="}}]},
            r"users\[0\].user.client-certificate: is missing",
        ),
        (
            {"users": [{"name": "me", "user": {"exec": {"command": "x", "apiVersion": "v1"}}}]},
            r"users\[0\].user.exec.apiVersion: must begin with",
        ),
        (
            {"users": [{"name": "me", "user": {"auth-provider": {"name": "gcp"}}}]},
            "auth-provider: is no longer supported",
        ),
        ({"clusters": [{"name": "one", "cluster": {}}]}, r"clusters\[0\].cluster.server: is not"),
        ({"contexts": "x"}, "contexts: must be a list"),
        ({"contexts": ["x"]}, r"contexts\[0\]: must be a mapping"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, change: dict[str, Any], expected: str) -> None:
    path = _written(tmp_path, {**_config(), **change})
    with pytest.raises(DatastoreError, match=f"^kubeconfig {path}: .*{expected}") as found:
        read_kubeconfig(path)
    assert "\n" not in str(found.value)


@pytest.mark.parametrize("content", ["{", "- [", "\x00", "a: !!python/object:os.system x"])
def test_what_is_no_yaml_is_said_without_a_traceback(tmp_path: Path, content: str) -> None:
    with pytest.raises(DatastoreError, match="is no YAML"):
        read_kubeconfig(_written(tmp_path, content))


def test_a_missing_file_is_named() -> None:
    with pytest.raises(DatastoreError, match="kubeconfig /none/such can't be read: No such file"):
        read_kubeconfig("/none/such")


def test_single_values_stand_over_the_kubeconfig(tmp_path: Path) -> None:
    settings = KubernetesSettings(
        kubeconfig=_written(tmp_path, _config()), api_endpoint="https://other", token="mine"
    )
    access = find_access(settings)
    assert (access.server, access.token) == ("https://other", "mine")
    assert "mine" not in repr(access) + repr(settings)


@pytest.mark.parametrize(
    ("endpoint", "reason"),
    [
        ("https://", "write it as https://HOST:PORT"),
        ("ftp://a", "write it as https://HOST:PORT"),
        ("https://a:99999", "write it as https://HOST:PORT"),
        ("https://user:password@a", "can only have a path"),
        ("http://api.example", "it is not encrypted"),
    ],
)
def test_an_address_that_can_never_work_is_refused(endpoint: str, reason: str) -> None:
    with pytest.raises(DatastoreError, match=reason):
        find_access(KubernetesSettings(api_endpoint=endpoint, token="secret"))


def test_a_certificate_without_its_key_is_refused() -> None:
    with pytest.raises(DatastoreError, match="K8S_KEY_FILE"):
        find_access(KubernetesSettings(api_endpoint="https://a", certificate=b"x"))


@pytest.mark.parametrize(
    ("host", "server"),
    [("10.96.0.1", "https://10.96.0.1:443"), ("fd00::1", "https://[fd00::1]:443")],
)
def test_a_pod_finds_its_server(tmp_path: Path, host: str, server: str) -> None:
    (tmp_path / "ca.crt").write_bytes(b"CA")
    (tmp_path / "namespace").write_text("shop\n")
    environment = {"KUBERNETES_SERVICE_HOST": host, "KUBERNETES_SERVICE_PORT": "443"}
    access = in_cluster(tmp_path, environment)
    assert (access.server, access.ca, access.namespace) == (server, b"CA", "shop")
    assert access.token_file == str(tmp_path / "token")


def test_outside_of_a_pod_the_missing_variables_are_named(tmp_path: Path) -> None:
    with pytest.raises(DatastoreError, match=r"KUBECONFIG.*KUBERNETES_SERVICE_HOST"):
        find_access(KubernetesSettings(), tmp_path, {})
