"""Kubeconfig files: which server, which user. Errors name the file and the field."""

import base64
import binascii
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

from tortie.datastore.contract import DatastoreError
from tortie.datastore.kubernetes.access import Access, Plugin

LARGEST = 4 << 20  # bytes
_AUTHENTICATION = "client.authentication.k8s.io/"


class _Fields:
    """A mapping of the file, and where it stands in it."""

    def __init__(self, value: Any, origin: str, at: str, folder: Path) -> None:
        self.origin, self.at, self.folder = origin, at, folder
        if value is None:
            value = {}
        if not isinstance(value, dict):
            self.fail("", "must be a mapping")
        self._value = value

    def fail(self, field: str, reason: str) -> NoReturn:
        where = ".".join(filter(None, (self.at, field))) or "the file"
        raise DatastoreError(f"kubeconfig {self.origin}: {where}: {reason}")

    def text(self, field: str) -> str:
        found = self._value.get(field)
        if found is None:
            return ""
        if not isinstance(found, str):
            self.fail(field, f"must be text, not {type(found).__name__}")
        return found

    def flag(self, field: str) -> bool:
        found = self._value.get(field)
        if found not in (None, True, False):
            self.fail(field, "must be true or false")
        return bool(found)

    def items(self, field: str) -> list[Any]:
        found = self._value.get(field) or []
        if not isinstance(found, list):
            self.fail(field, "must be a list")
        return found

    def inner(self, field: str) -> "_Fields":
        return _Fields(self._value.get(field), self.origin, f"{self.at}.{field}", self.folder)

    def has(self, field: str) -> bool:
        return self._value.get(field) is not None

    def path(self, field: str) -> str:
        """A file's path; a relative one starts at the kubeconfig's folder."""
        found = self.text(field)
        return str(self.folder / found) if found else ""

    def data(self, field: str) -> bytes:
        """`<field>-data`, which is base64, else the bytes of the file that `field` names."""
        inline = self.text(f"{field}-data")
        if inline:
            try:
                return base64.b64decode(inline, validate=True)
            except (binascii.Error, ValueError):
                self.fail(f"{field}-data", "is no base64")
        path = self.path(field)
        if not path:
            return b""
        try:
            return Path(path).read_bytes()
        except OSError as error:
            self.fail(field, f"{path} can't be read: {error.strerror}")


def read_kubeconfig(path: str, text: str = "", context: str = "") -> Access:
    """The access of a context (empty: the current one) of the file, or of `text` if given.

    `path` may be several, as KUBECONFIG may be: what an earlier file says counts, and those that
    are not there are passed over. Raises DatastoreError that names the file and the field.
    """
    roots = [_root(text, "given as text", Path.cwd())] if text else _files(path)
    name = context or next(filter(None, (root.text("current-context") for root in roots)), "")
    if not name:
        roots[0].fail("current-context", "is not set: set it, or give K8S_CURRENT_CONTEXT")
    chosen = _named(roots, "contexts", "context", name)
    cluster = _named(roots, "clusters", "cluster", chosen.text("cluster"), chosen, "cluster")
    user_name = chosen.text("user")
    user = _named(roots, "users", "user", user_name, chosen, "user") if user_name else None
    access = _with_cluster(cluster, chosen.text("namespace"))
    return _with_user(access, user, user_name) if user else access


def _files(path: str) -> list[_Fields]:
    paths = [each for each in path.split(os.pathsep) if each]
    there = [each for each in paths if Path(each).exists()] or paths[:1] or [path]
    return [_root(_content(each), each, Path(each).parent) for each in there]


def _root(content: str, origin: str, folder: Path) -> _Fields:
    return _Fields(_parsed(content, origin), origin, "", folder)


def _content(path: str) -> str:
    try:
        with Path(path).open(encoding="utf-8") as file:
            content = file.read(LARGEST + 1)
    except OSError as error:
        raise DatastoreError(f"kubeconfig {path} can't be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise DatastoreError(f"kubeconfig {path} is not UTF-8 text") from None
    if len(content) > LARGEST:
        raise DatastoreError(f"kubeconfig {path} is larger than {LARGEST >> 20} MiB")
    return content


def _parsed(content: str, origin: str) -> Any:
    import yaml  # here: a pod needs none

    try:
        return yaml.safe_load(content)
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f" at line {mark.line + 1}" if mark else ""
        raise DatastoreError(f"kubeconfig {origin} is no YAML{where}") from None


def _named(
    roots: Sequence[_Fields],
    field: str,
    body: str,
    name: str,
    user: _Fields | None = None,
    by: str = "",
) -> _Fields:
    names = []
    for root in roots:
        for index, item in enumerate(root.items(field)):
            entry = _Fields(item, root.origin, f"{field}[{index}]", root.folder)
            if entry.text("name") == name and name:
                return entry.inner(body)
            names.append(entry.text("name"))
    known = ", ".join(sorted(filter(None, names))) or "none"
    reason = f"there is no {body} {name!r} in {field}; there are: {known}"
    return (user or roots[0]).fail(by or "context", reason)


def _with_cluster(cluster: _Fields, namespace: str) -> Access:
    server = cluster.text("server")
    if not server:
        cluster.fail("server", "is not set")
    insecure = cluster.flag("insecure-skip-tls-verify")
    return Access(
        server=server,
        origin=f"kubeconfig {cluster.origin}: {cluster.at}.server",
        ca=b"" if insecure else cluster.data("certificate-authority"),
        insecure=insecure,
        tls_name=cluster.text("tls-server-name"),
        proxy=cluster.text("proxy-url"),
        namespace=namespace,
    )


def _with_user(access: Access, user: _Fields, name: str) -> Access:
    from msgspec.structs import replace

    certificate, key = user.data("client-certificate"), user.data("client-key")
    if bool(certificate) != bool(key):
        user.fail("client-key" if certificate else "client-certificate", "is missing")
    token, token_file = user.text("token"), user.path("tokenFile")
    plugin = _plugin(user.inner("exec")) if user.has("exec") else None
    if user.has("auth-provider"):
        user.fail("auth-provider", "is no longer supported by Kubernetes: use exec")
    return replace(
        access,
        certificate=certificate,
        key=key,
        token="" if token_file else token,
        token_file=token_file,
        plugin=None if token or token_file else plugin,
        username=user.text("username"),
        password=user.text("password"),
        identity=f"user {name!r} of kubeconfig {user.origin} ({_means(user)})",
    )


def _means(user: _Fields) -> str:
    for field in ("tokenFile", "token", "exec", "client-certificate", "client-certificate-data"):
        if user.has(field):
            shown = user.path(field) if field in ("tokenFile", "client-certificate") else ""
            return f"{field} {shown}".rstrip()
    return "username" if user.has("username") else "no credentials"


def _plugin(fields: _Fields) -> Plugin:
    command, version = fields.text("command"), fields.text("apiVersion")
    if not command:
        fields.fail("command", "is not set")
    if not version.startswith(_AUTHENTICATION):
        fields.fail("apiVersion", f"must begin with {_AUTHENTICATION}, not be {version!r}")
    pairs = [
        _Fields(item, fields.origin, f"{fields.at}.env[{index}]", fields.folder)
        for index, item in enumerate(fields.items("env"))
    ]
    arguments = fields.items("args")
    if not all(isinstance(argument, str) for argument in arguments):
        fields.fail("args", "must be texts")
    return Plugin(
        command=command,
        arguments=tuple(arguments),
        environment=tuple((pair.text("name"), pair.text("value")) for pair in pairs),
        api_version=version,
        folder=str(fields.folder),
        provide_cluster=fields.flag("provideClusterInfo"),
        hint=fields.text("installHint"),
    )
