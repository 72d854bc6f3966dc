"""Requests to the API server: pooled, bounded in rate and time, retried where that is safe."""

import asyncio
import os
import random
import socket
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import NamedTuple

import httpx

from tortie.datastore.contract import Closed, DatastoreError, Unavailable
from tortie.datastore.kubernetes.access import Access
from tortie.datastore.kubernetes.credentials import Credential, Credentials, Pair
from tortie.datastore.kubernetes.errors import Asked, Status, one_line, refusal, status_of
from tortie.datastore.kubernetes.limiter import Limiter
from tortie.datastore.kubernetes.tls import tls_context

CONNECT_SECONDS = 10.0
ANSWER_SECONDS = 65.0  # a server ends requests of its own after 60
ATTEMPTS = 5
LONGEST_WAIT = 30.0  # seconds, whatever Retry-After says
_BUSY = frozenset({429, 503})
_BROKEN = frozenset({500, 502, 504})

# A peer that vanished is noticed after about a minute, also where nothing is sent.
_SOCKET = (
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 20),
    (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 10),
    (socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 3),
    (socket.IPPROTO_TCP, socket.TCP_NODELAY, 1),
)


class Request(NamedTuple):
    """One request. `about` is what an error calls its object: a key or a kind."""

    about: str
    path: str
    parameters: tuple[tuple[str, str], ...] = ()
    method: str = "GET"
    body: bytes = b""
    content_type: str = "application/json"


class Refused(DatastoreError):
    """The server answered with a Status; `error` is what it means by the contract."""

    def __init__(self, status: Status, error: DatastoreError) -> None:
        super().__init__(str(error))
        self.status = status
        self.error = error


class Client:
    """One server, one identity, one event loop."""

    def __init__(self, access: Access, qps: float, burst: int) -> None:
        self.access = access
        self._credentials = Credentials(access)
        self._limiter = Limiter(qps, burst)
        pair = Pair(access.certificate, access.key) if access.certificate else None
        self._pair = pair
        self._context = tls_context(access, pair)  # here: what can never work is told at once
        self._http: httpx.AsyncClient | None = None
        self._closed = False
        self.before_write: Callable[[], None] = _nothing
        """Called right before anything is sent that may change something; may raise."""

    async def send(self, request: Request) -> bytes:
        """The body of the answer. Raises Refused, Unavailable, Forbidden, Closed."""
        renewed = False
        for attempt in range(ATTEMPTS):
            response = await self._once(request, attempt)
            if response is None:
                continue
            if response.status_code < 300:
                return response.content
            status = status_of(response.status_code, response.content)
            if status.code == 401 and not renewed and self._credentials.stale():
                renewed = True
                continue
            wait = _wait_before(request, status, response.headers.get("retry-after"), attempt)
            if wait is None or attempt == ATTEMPTS - 1:
                raise self._refused(request, status)
            await asyncio.sleep(wait)
        raise Unavailable(f"the API server {self.access.server} does not answer")

    async def _once(self, request: Request, attempt: int) -> httpx.Response | None:
        """The answer; None where the connection broke and asking again is safe."""
        await self._limiter.turn()
        http, credential = await self._ready()
        if request.method != "GET":
            self.before_write()
        try:
            return await http.request(
                request.method,
                self.access.server + request.path,
                params=request.parameters,
                content=request.body or None,
                headers=self._headers(credential, request),
                extensions=self._extensions(),
            )
        except httpx.TransportError as error:
            kept_alive = isinstance(error, httpx.RemoteProtocolError | httpx.ReadError)
            if kept_alive and request.method == "GET" and attempt == 0 and not self._closed:
                return None
            raise self._unreachable(error, request) from None
        except RuntimeError:
            if self._closed:
                raise self._gone() from None
            raise

    @asynccontextmanager
    async def stream(self, request: Request, silence: float) -> AsyncIterator[AsyncIterator[bytes]]:
        """The answer's bytes as they come; more than `silence` seconds without one is an error.

        Raises as `send` does, on entering and while reading.
        """
        await self._limiter.turn()
        http, credential = await self._ready()
        timeout = httpx.Timeout(ANSWER_SECONDS, connect=CONNECT_SECONDS, read=silence)
        try:
            async with http.stream(
                "GET",
                self.access.server + request.path,
                params=request.parameters,
                headers=self._headers(credential, request),
                timeout=timeout,
                extensions=self._extensions(),
            ) as response:
                if response.status_code >= 300:
                    status = status_of(response.status_code, await response.aread())
                    if status.code == 401:
                        self._credentials.stale()
                    raise self._refused(request, status)
                yield response.aiter_raw()
        except (httpx.TransportError, httpx.StreamError) as error:
            raise self._unreachable(error, request) from None

    async def close(self) -> None:
        """End all connections."""
        self._closed = True
        if self._http is not None:
            await self._http.aclose()

    async def _ready(self) -> tuple[httpx.AsyncClient, Credential]:
        if self._closed:
            raise self._gone()
        credential = await self._credentials.current()
        if credential.pair != self._pair:
            self._context, self._pair = tls_context(self.access, credential.pair), credential.pair
            self._http = None  # streams under way go on with the old one
        if self._http is None:
            self._http = _http_client(self.access, self._context)
        return self._http, credential

    def _gone(self) -> Closed:
        return Closed(f"the datastore {self.access.server} is closed here")

    def _headers(self, credential: Credential, request: Request) -> dict[str, str]:
        headers = {"Accept": "application/json", "User-Agent": "tortie"}
        if request.body:
            headers["Content-Type"] = request.content_type
        if credential.header:
            headers["Authorization"] = credential.header
        return headers

    def _extensions(self) -> dict[str, str]:
        return {"sni_hostname": self.access.tls_name} if self.access.tls_name else {}

    def _refused(self, request: Request, status: Status) -> Refused:
        access = self.access
        asked = Asked(request.about, access.server, access.identity, request.method != "GET")
        return Refused(status, refusal(status, asked))

    def _unreachable(self, error: Exception, request: Request) -> DatastoreError:
        if self._closed:
            return self._gone()
        doubt = ""
        if request.method != "GET" and not isinstance(error, httpx.ConnectError):
            doubt = f"; {request.about} may or may not have been written"
        server = self.access.server
        return Unavailable(f"the API server {server} can't be reached: {_reason(error)}{doubt}")


def _nothing() -> None:
    """Whoever asks may write."""


def _http_client(access: Access, context: ssl.SSLContext) -> httpx.AsyncClient:
    transport = httpx.AsyncHTTPTransport(
        verify=context,
        trust_env=False,
        limits=httpx.Limits(
            max_connections=None, max_keepalive_connections=20, keepalive_expiry=60
        ),
        proxy=access.proxy or None,
        socket_options=_SOCKET,
    )
    timeout = httpx.Timeout(ANSWER_SECONDS, connect=CONNECT_SECONDS)
    # Compression would cost the server more than the network gains between machines of a cluster.
    headers = {"Accept-Encoding": "identity"}
    return httpx.AsyncClient(transport=transport, trust_env=False, timeout=timeout, headers=headers)


def _wait_before(
    request: Request, status: Status, retry_after: str | None, attempt: int
) -> float | None:
    """Seconds until the request may be sent again; None: never."""
    told = status.details.retry_after_seconds if status.details else 0
    if retry_after and retry_after.isascii() and retry_after.isdigit():
        told = int(retry_after)
    own = 0.1 * float(2**attempt) * (0.5 + random.random() / 2)
    if status.code in _BUSY and (told or status.code == 429):  # refused before anything was done
        return min(LONGEST_WAIT, max(float(told), own))
    if request.method == "GET" and status.code in _BUSY | _BROKEN:
        return own
    return None


def _reason(error: BaseException) -> str:
    """Why there was no answer, in the words of what lies deepest."""
    if isinstance(error, httpx.TimeoutException):
        return "no answer in time"
    found: BaseException | None = error
    while found is not None:
        if isinstance(found, ssl.SSLCertVerificationError):
            return (
                f"its certificate is not trusted ({found.verify_message}): check the "
                "certificate authority (certificate-authority, K8S_CA_FILE) and the address"
            )
        if isinstance(found, ssl.SSLError) and found.reason:
            return f"TLS failed: {found.reason.replace('_', ' ').lower()}"
        if isinstance(found, OSError) and found.errno and not isinstance(found, ssl.SSLError):
            return os.strerror(found.errno) if found.errno > 0 else str(found.strerror)
        found = found.__cause__ or found.__context__
    return one_line(str(error)) or type(error).__name__
