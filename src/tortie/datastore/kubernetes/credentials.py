"""Who we are, as it is now: tokens from files and programs change while we run."""

import asyncio
import base64
import os
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import msgspec
from msgspec import Struct

from tortie.datastore.contract import Forbidden, Unavailable
from tortie.datastore.kubernetes.access import Access, Plugin, is_token
from tortie.datastore.kubernetes.errors import one_line

PLUGIN_SECONDS = 60.0
_EARLY = 10.0  # seconds before its end that a credential counts as expired


class Pair(NamedTuple):
    """A client certificate and its key, PEM."""

    certificate: bytes
    key: bytes

    def __repr__(self) -> str:
        return "Pair(...)"


class Credential(NamedTuple):
    """What to show the server now."""

    header: str = ""  # of Authorization; empty: none
    pair: Pair | None = None

    def __repr__(self) -> str:
        return "Credential(...)"


class Credentials:
    """The credential of one access; `stale` says that the server no longer accepts it."""

    def __init__(self, access: Access, now: Callable[[], datetime] = lambda: datetime.now(UTC)):
        self._access = access
        self._file = _TokenFile(access.token_file) if access.token_file else None
        self._plugin = _Program(access.plugin, access, now) if access.plugin else None
        self._pair = Pair(access.certificate, access.key) if access.certificate else None

    async def current(self) -> Credential:
        """What to show now. Raises Forbidden where there is none to be had."""
        access = self._access
        if self._file is not None:
            return Credential(f"Bearer {self._file.read()}", self._pair)
        if access.token:
            return Credential(f"Bearer {access.token}", self._pair)
        if self._plugin is not None:
            found = await self._plugin.current()
            return Credential(found.header, found.pair or self._pair)
        if access.username:
            both = f"{access.username}:{access.password}".encode()
            return Credential(f"Basic {base64.b64encode(both).decode()}", self._pair)
        return Credential("", self._pair)

    def stale(self) -> bool:
        """The server refused it; true where another one may be had by asking again."""
        if self._file is not None:
            self._file.forget()
            return True
        if self._plugin is not None:
            return self._plugin.forget()
        return False


class _TokenFile:
    """A token that somebody else renews in place (kubelet does, each hour)."""

    def __init__(self, path: str) -> None:
        self._path = Path(path)
        self._seen: tuple[int, int, int] | None = None
        self._token = ""

    def read(self) -> str:
        """The token as it is in the file now: looked at each time, read when it changed."""
        try:
            found = self._path.stat()
            seen = (found.st_mtime_ns, found.st_ino, found.st_size)
            if seen != self._seen:
                self._token, self._seen = self._path.read_text().strip(), seen
        except (OSError, UnicodeDecodeError) as error:
            reason = getattr(error, "strerror", None) or "it is no text"
            raise Forbidden(f"the token file {self._path} can't be read: {reason}") from None
        if not self._token or not is_token(self._token):
            self._seen = None
            raise Forbidden(f"the token file {self._path} holds no token")
        return self._token

    def forget(self) -> None:
        self._seen = None


class _ExecStatus(Struct, frozen=True, rename="camel"):
    token: str = ""
    client_certificate_data: str = ""
    client_key_data: str = ""
    expiration_timestamp: datetime | None = None


class _ExecCredential(Struct, frozen=True, rename="camel"):
    api_version: str = ""
    kind: str = ""
    status: _ExecStatus | None = None


class _Program:
    """The credential that a program prints, kept until it expires or is refused."""

    def __init__(self, plugin: Plugin, access: Access, now: Callable[[], datetime]) -> None:
        self._plugin = plugin
        self._access = access
        self._now = now
        self._credential: Credential | None = None
        self._expires: datetime | None = None
        self._lock: asyncio.Lock | None = None

    async def current(self) -> Credential:
        self._lock = self._lock or asyncio.Lock()
        async with self._lock:
            if self._credential is None or self._has_expired():
                self._keep(self._decoded(await self._run()))
            assert self._credential is not None
            return self._credential

    def forget(self) -> bool:
        had, self._credential = self._credential is not None, None
        return had

    def _has_expired(self) -> bool:
        if self._expires is None:
            return False
        return (self._expires - self._now()).total_seconds() < _EARLY

    def _keep(self, status: _ExecStatus) -> None:
        pair = None
        if status.client_certificate_data:
            pair = Pair(status.client_certificate_data.encode(), status.client_key_data.encode())
        header = f"Bearer {status.token}" if status.token else ""
        self._credential = Credential(header, pair)
        expires = status.expiration_timestamp
        self._expires = expires.replace(tzinfo=expires.tzinfo or UTC) if expires else None

    async def _run(self) -> bytes:
        plugin = self._plugin
        relative = "/" in plugin.command and not plugin.command.startswith("/")
        command = str(Path(plugin.folder) / plugin.command) if relative else plugin.command
        try:
            process = await asyncio.create_subprocess_exec(
                command,
                *plugin.arguments,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                env={
                    **os.environ,
                    **dict(plugin.environment),
                    "KUBERNETES_EXEC_INFO": self._info(),
                },
            )
        except OSError as error:
            hint = f" ({one_line(plugin.hint)})" if plugin.hint else ""
            raise self._failed(f"can't be run: {error.strerror}{hint}") from None
        try:
            async with asyncio.timeout(PLUGIN_SECONDS):
                output, errors = await process.communicate()
        except TimeoutError:
            raise self._failed(f"gave no answer within {PLUGIN_SECONDS:g} s") from None
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        if process.returncode:
            said = one_line(errors.decode(errors="replace"))[-300:]
            raise self._failed(f"ended with status {process.returncode}: {said}")
        return output

    def _info(self) -> str:
        spec: dict[str, object] = {"interactive": False}
        if self._plugin.provide_cluster:
            access = self._access
            spec["cluster"] = {
                "server": access.server,
                "tls-server-name": access.tls_name,
                "insecure-skip-tls-verify": access.insecure,
                "certificate-authority-data": base64.b64encode(access.ca).decode(),
            }
        info = {"apiVersion": self._plugin.api_version, "kind": "ExecCredential", "spec": spec}
        return msgspec.json.encode(info).decode()

    def _decoded(self, output: bytes) -> _ExecStatus:
        try:
            found = msgspec.json.decode(output, type=_ExecCredential)
        except (msgspec.DecodeError, UnicodeDecodeError):
            raise self._failed("did not print an ExecCredential") from None  # it may be a secret
        status = found.status
        if found.kind != "ExecCredential" or found.api_version != self._plugin.api_version:
            raise self._failed(f"did not print an ExecCredential of {self._plugin.api_version}")
        if status is None or not (status.token or status.client_certificate_data):
            raise self._failed("gave neither a token nor a certificate")
        if not is_token(status.token):
            raise self._failed("gave a token with characters that no token has")
        if bool(status.client_certificate_data) != bool(status.client_key_data):
            raise self._failed("gave a certificate without its key, or a key alone")
        return status

    def _failed(self, reason: str) -> Forbidden | Unavailable:
        return Forbidden(f"{self._access.identity}: the program {self._plugin.command} {reason}")
