"""Why a member can't be reached, in words: gRPC's own tell little of TLS.

A connection is made once more, by Python's TLS with the same certificates, which says what was
wrong with whose. Runs in a thread, and only after a failure.
"""

import socket
import ssl

from tortie.datastore.contract import Forbidden, Unavailable
from tortie.datastore.etcd.endpoints import CONNECT_SECONDS, Endpoint

_SILENCE = 0.3  # seconds in which a server that refuses our certificate has said so


def why_unreachable(
    endpoint: Endpoint, context: ssl.SSLContext | None, reason: str
) -> Unavailable | Forbidden:
    """The error for `endpoint`; `reason` is what gRPC said, for where we find nothing wrong."""
    url = endpoint.url
    try:
        with socket.create_connection((endpoint.host, endpoint.port), CONNECT_SECONDS) as raw:
            if context is not None:
                return _tls_failure(endpoint, context, raw, reason)
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
    return Unavailable(f"etcd at {url} does not answer: {reason}")


def _tls_failure(
    endpoint: Endpoint, context: ssl.SSLContext, raw: socket.socket, reason: str
) -> Unavailable | Forbidden:
    try:
        with context.wrap_socket(raw, server_hostname=endpoint.host) as secured:
            secured.settimeout(_SILENCE)
            secured.recv(1)  # in TLS 1.3 a refused client certificate is told after the handshake
    except ssl.SSLCertVerificationError as error:
        return Unavailable(
            f"the certificate of etcd at {endpoint.url} is not accepted: {error.verify_message}; "
            "check the CA, the address and the certificate's dates"
        )
    except ssl.SSLError as error:
        return _alert(endpoint, error)
    except (TimeoutError, ConnectionError):
        pass
    return Unavailable(f"etcd at {endpoint.url} does not answer: {reason}")


def _alert(endpoint: Endpoint, error: ssl.SSLError) -> Unavailable | Forbidden:
    said = (error.reason or str(error)).replace("_", " ").lower()
    if "wrong version number" in said or "record layer failure" in said:
        return Unavailable(f"etcd at {endpoint.url} speaks no TLS: write its endpoint with http")
    if "alert" in said or "certificate" in said:
        return Forbidden(
            f"etcd at {endpoint.url} does not accept our client certificate ({said}): check its "
            "dates and that the CA that etcd trusts has signed it"
        )
    return Unavailable(f"etcd at {endpoint.url} fails in TLS: {said}")


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
