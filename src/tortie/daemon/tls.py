"""TLS for the pages of a daemon. Loaded only where it is asked for."""

import ssl
from typing import NamedTuple

_ASKS = {
    "NoClientCert": ssl.CERT_NONE,
    "VerifyClientCertIfGiven": ssl.CERT_OPTIONAL,
    "RequireAndVerifyClientCert": ssl.CERT_REQUIRED,
    # OpenSSL has no way to ask for a certificate that it then does not verify.
    "RequireAnyClientCert": ssl.CERT_REQUIRED,
}


class TlsFiles(NamedTuple):
    """Paths of PEM files; `client_auth` is a value of PrometheusMetricsClientAuth."""

    certificate: str
    key: str
    ca: str = ""
    client_auth: str = "NoClientCert"


def server_context(files: TlsFiles) -> ssl.SSLContext:
    """Raises ValueError, for people, where half of it is missing or can't be read."""
    if not files.certificate or not files.key:
        raise ValueError("give both a certificate and its key")
    asks = _ASKS[files.client_auth]
    if asks is not ssl.CERT_NONE and not files.ca:
        raise ValueError(f"{files.client_auth} needs the certificate that clients' are signed by")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(files.certificate, files.key, password=_no_password)
        if files.ca:
            context.load_verify_locations(files.ca)
    except OSError as problem:  # ssl.SSLError is one
        raise ValueError(f"can't be read: {problem}") from None
    context.verify_mode = asks
    return context


def _no_password() -> str:
    """Else the daemon would ask at its terminal."""
    raise ValueError("the key has a password: give one without")
