"""Who we are changes while we run: token files, programs, and what they may not do."""

import asyncio
import json
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tortie.datastore import DatastoreError, Forbidden
from tortie.datastore.kubernetes import credentials
from tortie.datastore.kubernetes.access import Access, Plugin
from tortie.datastore.kubernetes.credentials import Credentials
from tortie.datastore.kubernetes.limiter import Limiter
from tortie.datastore.kubernetes.locating import find_access
from tortie.datastore.kubernetes.tls import tls_context
from tortie.datastore.settings import EtcdSettings, KubernetesSettings

VERSION = "client.authentication.k8s.io/v1"
NOW = datetime(2026, 1, 1, tzinfo=UTC)


def _access(**fields: object) -> Access:
    return Access(server="https://a", identity="user 'me'", **fields)  # type: ignore[arg-type]


def _header(credentials: Credentials) -> str:
    return asyncio.run(credentials.current()).header


def test_a_token_file_is_read_again_when_it_changes(tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.write_text("one\n")
    found = Credentials(_access(token_file=str(path)))
    assert _header(found) == "Bearer one"
    new = tmp_path / "new"
    new.write_text("two\n")
    new.rename(path)  # as the kubelet does
    assert _header(found) == "Bearer two"


@pytest.mark.parametrize("content", [None, "", " \n", "a\nb", "ключ"])
def test_a_token_file_without_a_token_is_named(tmp_path: Path, content: str | None) -> None:
    path = tmp_path / "token"
    if content is not None:
        path.write_text(content)
    with pytest.raises(Forbidden, match=f"the token file {path}"):
        _header(Credentials(_access(token_file=str(path))))


def test_nothing_secret_is_shown(tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.write_text("hunter2")
    found = asyncio.run(Credentials(_access(token_file=str(path))).current())
    shown = repr(found) + repr(credentials.Pair(b"hunter2", b"hunter2"))
    assert "hunter2" not in shown


@pytest.mark.parametrize("token", ["hunter2\nx", "hunter2é", "hunter2\x00"])
def test_a_token_that_no_header_can_hold_is_refused_unseen(token: str) -> None:
    settings = KubernetesSettings(api_endpoint="https://127.0.0.1:1", token=token)
    with pytest.raises(DatastoreError, match="the given token has characters") as found:
        find_access(settings)
    assert "hunter2" not in str(found.value)


def test_neither_is_one_that_a_program_gave(tmp_path: Path) -> None:
    access = _access(plugin=_program(tmp_path, {"token": "hunter2é"}))
    with pytest.raises(Forbidden, match="gave a token with characters") as refused:
        _header(Credentials(access))
    assert "hunter2" not in str(refused.value)


def test_white_space_around_a_token_is_none_of_it() -> None:
    settings = KubernetesSettings(api_endpoint="https://127.0.0.1:1", token="hunter2\n")
    assert find_access(settings).token == "hunter2"


def test_a_password_in_an_address_is_never_shown() -> None:
    address = "https://me:hunter2@127.0.0.1:x"
    settings = KubernetesSettings(api_endpoint=address)
    with pytest.raises(DatastoreError) as found:
        find_access(settings)
    shown = repr(settings) + repr(EtcdSettings(endpoints=(address,))) + str(found.value)
    assert "hunter2" not in shown


def _program(folder: Path, status: object, version: str = VERSION, code: int = 0) -> Plugin:
    """A program that counts its runs and prints what is given."""
    answer = json.dumps({"apiVersion": version, "kind": "ExecCredential", "status": status})
    path = folder / "plugin"
    path.write_text(
        f"#!/bin/sh\necho run >> {folder}/runs\necho '{answer}'\necho no >&2\nexit {code}\n"
    )
    path.chmod(0o700)
    return Plugin(command="./plugin", api_version=VERSION, folder=str(folder))


def _runs(folder: Path) -> int:
    return (folder / "runs").read_text().count("run")


def test_what_a_program_gave_is_kept_until_it_expires(tmp_path: Path) -> None:
    now = [NOW]
    end = (NOW + timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
    plugin = _program(tmp_path, {"token": "one", "expirationTimestamp": end})
    found = Credentials(_access(plugin=plugin), lambda: now[0])
    assert [_header(found), _header(found)] == ["Bearer one"] * 2
    assert _runs(tmp_path) == 1
    now[0] = NOW + timedelta(minutes=59, seconds=55)
    assert _header(found) == "Bearer one"
    assert _runs(tmp_path) == 2


def test_a_refused_credential_is_asked_for_again_once(tmp_path: Path) -> None:
    found = Credentials(_access(plugin=_program(tmp_path, {"token": "one"})))
    _header(found)
    assert found.stale()
    assert not found.stale()
    _header(found)
    assert _runs(tmp_path) == 2


def test_a_program_is_not_run_by_a_shell_and_learns_what_it_may(tmp_path: Path) -> None:
    plugin = _program(tmp_path, {"token": "one"})
    script = tmp_path / "plugin"
    body = script.read_text().replace(
        "echo run", f'printf "%s" "$1$WHAT" > {tmp_path}/seen; echo run'
    )
    script.write_text(body.replace("exit", f'echo "$KUBERNETES_EXEC_INFO" > {tmp_path}/info; exit'))
    plugin = Plugin(
        command="./plugin",
        api_version=VERSION,
        folder=str(tmp_path),
        arguments=("$(touch x); ",),
        environment=(("WHAT", "this"),),
        provide_cluster=True,
    )
    _header(Credentials(_access(plugin=plugin, ca=b"CA")))
    assert (tmp_path / "seen").read_text() == "$(touch x); this"
    info = json.loads((tmp_path / "info").read_text())
    assert info["spec"]["cluster"]["server"] == "https://a"
    assert info["spec"]["interactive"] is False


@pytest.mark.parametrize(
    ("status", "version", "code", "reason"),
    [
        ({"token": "secret"}, "client.authentication.k8s.io/v9", 0, "of client.authentication"),
        ({}, VERSION, 0, "neither a token nor a certificate"),
        ({"clientCertificateData": "secret"}, VERSION, 0, "a certificate without its key"),
        ({"token": "secret"}, VERSION, 3, "ended with status 3: no"),
        ("secret", VERSION, 0, "did not print an ExecCredential"),
    ],
)
def test_a_program_that_fails_is_named(
    tmp_path: Path, status: object, version: str, code: int, reason: str
) -> None:
    plugin = _program(tmp_path, status, version, code)
    with pytest.raises(Forbidden, match=f"user 'me': the program ./plugin .*{reason}") as found:
        _header(Credentials(_access(plugin=plugin)))
    assert "secret" not in str(found.value)


def test_a_program_that_is_not_there_is_named_with_its_hint() -> None:
    plugin = Plugin(command="no-such-program-anywhere", hint="install it\nfrom x")
    with pytest.raises(Forbidden, match=r"No such file.*\(install it from x\)"):
        _header(Credentials(_access(plugin=plugin)))


def test_a_program_that_hangs_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, told = tmp_path / "plugin", tmp_path / "pid"
    path.write_text(f"#!/bin/sh\necho $$ > {tmp_path}/pid\nexec sleep 60\n")
    path.chmod(0o700)
    for seconds in (0.2, 5, 30):  # on a busy machine it takes some to begin
        monkeypatch.setattr(credentials, "PLUGIN_SECONDS", seconds)
        with pytest.raises(Forbidden, match="no answer within"):
            _header(Credentials(_access(plugin=Plugin(command=str(path)))))
        if told.exists() and told.read_text():
            break
    with pytest.raises(ProcessLookupError):
        os.kill(int(told.read_text()), 0)


def test_a_certificate_that_is_none_is_told_at_once() -> None:
    with pytest.raises(DatastoreError, match="certificate authority of https://a is no PEM"):
        tls_context(_access(ca=b"nonsense"), None)
    with pytest.raises(DatastoreError, match="user 'me': the client certificate and key"):
        tls_context(_access(), credentials.Pair(b"nonsense", b"nonsense"))


def test_requests_come_at_their_rate_after_the_first_ones() -> None:
    now = [100.0]
    limiter = Limiter(10, 3, lambda: now[0])
    delays = [round(limiter.delay(), 3) for _ in range(5)]
    assert delays == [0, 0, 0, 0.1, 0.2]
    now[0] += 10
    assert [round(limiter.delay(), 3) for _ in range(4)] == [0, 0, 0, 0.1]


def test_no_rate_is_no_bound() -> None:
    limiter = Limiter(0, 0, lambda: 0.0)
    assert [limiter.delay() for _ in range(100)] == [0.0] * 100
