"""Why a member can't be reached, in words: gRPC's own tell little of TLS.

A connection is made once more, by Python's TLS with the same certificates, which says what was
wrong with whose. Runs in a thread, and only after a failure.
"""

import re
import socket
import ssl
from datetime import UTC, datetime

from tortie.datastore.contract import Forbidden, Unavailable
from tortie.datastore.etcd.endpoints import CONNECT_SECONDS, Endpoint
from tortie.datastore.settings import EtcdSettings

_SILENCE = 0.3  # seconds in which a server that refuses our certificate has said so
_DATES = re.compile(rb"(?:\x17\r|\x18\x0f)\d{12,14}Z(?:\x17\r|\x18\x0f)(\d{12,14})Z")
"""The validity in a certificate's DER: two times, each of one of two forms (RFC 5280, 4.1.2.5)."""


def why_unreachable(
    endpoint: Endpoint, context: ssl.SSLContext | None, settings: EtcdSettings
) -> Unavailable | Forbidden | None:
    """The error for `endpoint`; None where nothing is wrong with the way to it."""
    url = endpoint.url
    try:
        with socket.create_connection((endpoint.host, endpoint.port), CONNECT_SECONDS) as raw:
            if context is not None:
                return _tls_failure(endpoint, context, settings, raw)
            if _speaks_tls(raw):
                return Unavailable(f"etcd at {url} speaks TLS: write its endpoint with https")
    except socket.gaierror as error:
        return Unavailable(f"etcd at {url} can't be found: {error.strerror}; check the name")
    except TimeoutError:
        return Unavailable(f"etcd at {url} does not answer: check the address and the network")
    except OSError as error:
        return Unavailable(
            f"etcd at {url} can't be reached: {error.strerror or error}; is it running?"
        )
    return None


def _tls_failure(
    endpoint: Endpoint,
    context: ssl.SSLContext,
    settings: EtcdSettings,
    raw: socket.socket,
) -> Unavailable | Forbidden | None:
    shaken = False
    try:
        with context.wrap_socket(raw, server_hostname=endpoint.host) as secured:
            shaken = True
            secured.settimeout(_SILENCE)
            secured.recv(1)  # in TLS 1.3 a refused client certificate is told after the handshake
    except ssl.SSLCertVerificationError as error:
        return Unavailable(
            f"the certificate of etcd at {endpoint.url} is not accepted: {error.verify_message}; "
            "check the CA, the address and the certificate's dates"
        )
    except ssl.SSLError as error:
        return _alert(endpoint, error, settings.certificate)
    except ConnectionError:  # as a server without TLS ends it, if it has not read all of ours
        return None if shaken else _ended(endpoint)
    except TimeoutError:
        pass
    return None


def _ended(endpoint: Endpoint) -> Unavailable:
    return Unavailable(
        f"etcd at {endpoint.url} ends the TLS handshake: if it has no TLS, write its endpoint "
        "with http"
    )


def _alert(endpoint: Endpoint, error: ssl.SSLError, certificate: bytes) -> Unavailable | Forbidden:
    said = (error.reason or str(error)).replace("_", " ").lower()
    if "wrong version number" in said or "eof" in said or "record layer" in said:
        return _ended(endpoint)
    if "alert" in said or "certificate" in said:
        return Forbidden(f"etcd at {endpoint.url} {_refused(certificate, said)}")
    return Unavailable(f"etcd at {endpoint.url} fails in TLS: {said}")


def _refused(certificate: bytes, said: str) -> str:
    if not certificate:
        return "wants a client certificate: set ETCD_CERT_FILE and ETCD_KEY_FILE"
    end = _end_of(certificate)
    if end is not None and end < datetime.now(UTC):
        return f"does not accept our client certificate: it expired on {end:%Y-%m-%d}; renew it"
    return (
        f"does not accept our client certificate ({said}): check that the CA that etcd trusts "
        "has signed it"
    )


def _end_of(certificate: bytes) -> datetime | None:
    """When a PEM certificate expires."""
    begin = certificate.find(b"-----BEGIN CERTIFICATE-----")
    pem = certificate[begin:].decode(errors="replace").partition("-----END CERTIFICATE-----")
    try:
        found = _DATES.search(ssl.PEM_cert_to_DER_cert(pem[0] + pem[1]))
    except ValueError:
        return None
    if found is None:
        return None
    text = found[1].decode()
    return datetime.strptime(text if len(text) == 14 else _century(text), "%Y%m%d%H%M%S").replace(
        tzinfo=UTC
    )


def _century(text: str) -> str:
    """The four digits of the year that two of them mean."""
    return ("19" if text[:2] >= "50" else "20") + text


def _speaks_tls(raw: socket.socket) -> bool:
    """Whether a server answers a TLS greeting; whose certificate it has does not matter here."""
    anyone = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    anyone.check_hostname = False
    anyone.verify_mode = ssl.CERT_NONE
    raw.settimeout(1.0)
    try:
        with anyone.wrap_socket(raw) as secured:
            return secured.version() is not None
    except (ssl.SSLError, OSError):
        return False
