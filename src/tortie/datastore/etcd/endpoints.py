"""From settings to gRPC channels, one for each member of the cluster."""

import os
import re
import ssl
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

import grpc
import grpc.aio

from tortie.datastore.contract import DatastoreError
from tortie.datastore.settings import EtcdSettings

PORT = 2379
CONNECT_SECONDS = 2.0
_OPTIONS = (
    # A member that is cut off answers nothing, not even with a reset: pings find that out. etcd
    # closes connections that ping more often than every 5 s.
    ("grpc.keepalive_time_ms", 6_000),
    ("grpc.keepalive_timeout_ms", 3_000),
    ("grpc.http2.max_pings_without_data", 0),
    # The shortest wait between attempts is also the limit of one attempt.
    ("grpc.min_reconnect_backoff_ms", int(1_000 * CONNECT_SECONDS)),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 500),
    ("grpc.max_receive_message_length", -1),
    ("grpc.max_send_message_length", -1),
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.enable_retries", 0),  # which failures are safe to retry is decided by us
    ("grpc.enable_http_proxy", 0),
)


class Endpoint(NamedTuple):
    """Where a member listens. `url` is for people."""

    url: str
    host: str
    port: int


def endpoints(settings: EtcdSettings) -> tuple[Endpoint, ...]:
    """Every member of the settings. Raises DatastoreError for what is no address of etcd."""
    if not settings.endpoints:
        raise DatastoreError("no etcd endpoint is given: name at least one, as https://host:2379")
    schemes = {urlsplit(url).scheme for url in settings.endpoints}
    if len(schemes) > 1:
        raise DatastoreError(
            f"the etcd endpoints {', '.join(settings.endpoints)} mix http and https: use one"
        )
    return tuple(_endpoint(url) for url in settings.endpoints)


def _endpoint(url: str) -> Endpoint:
    if "@" in url:  # not repeated: what stands before it may be a password
        raise DatastoreError(
            "an etcd endpoint has no user in it: write it as https://host:2379, and the user into "
            "ETCD_USERNAME and ETCD_PASSWORD"
        )
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port or PORT
    except ValueError:
        host, port = None, 0
    if not host or parts.scheme not in ("http", "https") or parts.path not in ("", "/"):
        raise DatastoreError(f"{url!r} is no etcd endpoint: write it as https://host:{PORT}")
    return Endpoint(url.rstrip("/"), host, port)


def uses_tls(settings: EtcdSettings) -> bool:
    """Whether the members speak TLS."""
    return settings.endpoints[0].startswith("https:")


def tls_context(settings: EtcdSettings) -> ssl.SSLContext | None:
    """What Python's TLS checks as gRPC's does; None without TLS.

    Raises DatastoreError for an authority, certificate or key that can't be used.
    """
    if not uses_tls(settings):
        return None
    context = ssl.create_default_context()
    try:
        if settings.ca:
            context = ssl.create_default_context(cadata=settings.ca.decode())
    except (ssl.SSLError, ValueError) as error:
        raise DatastoreError(
            f"the etcd CA certificate can't be used ({_reason(error)}): give one in PEM"
        ) from None
    if bool(settings.certificate) != bool(settings.key):
        raise DatastoreError("an etcd client certificate and its key belong together: give both")
    if settings.certificate:
        _load_pair(context, settings)
    context.set_alpn_protocols(["h2"])
    return context


def _load_pair(context: ssl.SSLContext, settings: EtcdSettings) -> None:
    """Python takes files only; these exist in memory, for us alone."""
    descriptor = os.memfd_create("etcd-client", os.MFD_CLOEXEC)
    try:
        os.write(descriptor, settings.key.rstrip() + b"\n" + settings.certificate)
        context.load_cert_chain(f"/proc/self/fd/{descriptor}", password=_no_password)
    except (ssl.SSLError, OSError, ValueError) as error:
        raise DatastoreError(
            f"the etcd client certificate and key can't be used ({_reason(error)}): give both in "
            "PEM, the key without a password"
        ) from None
    finally:
        os.close(descriptor)


def _no_password() -> str:
    raise ValueError("the key is encrypted")


def _reason(error: Exception) -> str:
    return re.sub(r"\[[A-Z0-9][^]]*\] ?| \(_ssl\.c:\d+\)", "", str(error))


def channel(endpoint: Endpoint, settings: EtcdSettings) -> grpc.aio.Channel:
    """A channel to one member; it connects when it is first used."""
    host = f"[{endpoint.host}]" if ":" in endpoint.host else endpoint.host
    target = f"dns:///{host}:{endpoint.port}"
    if not uses_tls(settings):
        return grpc.aio.insecure_channel(target, options=_OPTIONS)
    credentials = grpc.ssl_channel_credentials(
        settings.ca or _system_authorities(), settings.key or None, settings.certificate or None
    )
    return grpc.aio.secure_channel(target, credentials, options=_OPTIONS)


def _system_authorities() -> bytes | None:
    """gRPC would trust a list of its own."""
    found: str | None = ssl.get_default_verify_paths().cafile
    return Path(found).read_bytes() if found else None
