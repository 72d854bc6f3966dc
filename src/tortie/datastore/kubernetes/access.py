"""One way to one API server: where it is, who we are, and whether that can be."""

from pathlib import Path
from urllib.parse import urlsplit

from msgspec import Struct
from msgspec.structs import replace

from tortie.datastore.contract import DatastoreError
from tortie.datastore.settings import without_user


class Plugin(Struct, frozen=True, kw_only=True):
    """A program that gives credentials (client.authentication.k8s.io), run without a shell."""

    command: str
    arguments: tuple[str, ...] = ()
    environment: tuple[tuple[str, str], ...] = ()
    api_version: str = "client.authentication.k8s.io/v1"
    folder: str = ""  # of the kubeconfig: a relative path starts here
    provide_cluster: bool = False
    hint: str = ""

    def __repr__(self) -> str:
        return f"Plugin({self.command})"  # arguments and environment may hold secrets


class Access(Struct, frozen=True, kw_only=True):
    """One way to one API server. `identity` is what an error calls us: never a secret."""

    server: str
    identity: str = "nobody: no credentials are configured"
    origin: str = "the settings"
    ca: bytes = b""
    certificate: bytes = b""
    key: bytes = b""
    token: str = ""
    token_file: str = ""
    plugin: Plugin | None = None
    username: str = ""
    password: str = ""
    insecure: bool = False
    tls_name: str = ""
    proxy: str = ""
    namespace: str = ""

    def __repr__(self) -> str:
        return f"Access({self.server}, {self.identity})"


def read_bytes(path: Path, whose: str) -> bytes:
    """A file that configuration names. Raises DatastoreError."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise DatastoreError(f"{whose} {path} can't be read: {error.strerror}") from None


def checked(access: Access) -> Access:
    """The same, if its address can be one. Raises DatastoreError."""
    wrong = f"{access.origin}: {without_user(access.server)!r} is no API server's address"
    try:
        parts = urlsplit(access.server if "://" in access.server else f"https://{access.server}")
        good = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        good = None
    if not good:
        raise DatastoreError(f"{wrong}: write it as https://HOST:PORT")
    if parts.username or parts.password or parts.query or parts.fragment:
        raise DatastoreError(f"{access.origin}: the API server's address can only have a path")
    if access.proxy and not access.proxy.startswith(("http://", "https://")):
        raise DatastoreError(f"{access.origin}: proxy-url must begin with http:// or https://")
    secret = access.token or access.token_file or access.plugin or access.username
    if (
        parts.scheme == "http"
        and secret
        and parts.hostname not in ("127.0.0.1", "::1", "localhost")
    ):
        raise DatastoreError(f"{wrong} to send credentials to: it is not encrypted, use https://")
    token = access.token.strip()
    if not is_token(token):
        raise DatastoreError(f"{access.identity} has characters that no token has")
    return replace(access, server=parts.geturl().rstrip("/"), token=token)


def is_token(text: str) -> bool:
    """Whether a header can hold it; else the error that says so would show it."""
    return text.isascii() and (not text or text.isprintable())
