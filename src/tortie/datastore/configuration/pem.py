"""Whether PEM can be used for TLS, asked of the library that will use it. Loaded only for TLS."""

import os
import ssl
from collections.abc import Iterator
from contextlib import contextmanager


def problem_with_authorities(ca: bytes) -> str:
    """What is wrong with certificates of authorities; nothing if they can be used."""
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cadata=ca.decode("ascii"))
    except (ssl.SSLError, ValueError):
        return "it holds no certificate that can be read: it must be PEM, BEGIN CERTIFICATE"
    return ""


def problem_with_pair(certificate: bytes, key: bytes) -> str:
    """What is wrong with a client's certificate and key; nothing if they can be used."""
    if b"ENCRYPTED" in key:
        return "the key is encrypted by a password, which nobody is there to type: decrypt it"
    try:
        with _file(certificate) as first, _file(key) as second:
            ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_cert_chain(first, second, _no_password)
    except ssl.SSLError as error:
        if error.reason == "KEY_VALUES_MISMATCH":
            return "the key is not the certificate's: they must be a pair"
        return "they are no certificate and key in PEM that can be read"
    return ""


def _no_password() -> str:
    """In place of OpenSSL's question on the terminal."""
    return ""


@contextmanager
def _file(data: bytes) -> Iterator[str]:
    """The bytes as a path, since the library takes only paths; in memory, never on a disk."""
    descriptor = os.memfd_create("pem", os.MFD_CLOEXEC)
    try:
        os.write(descriptor, data)
        yield f"/proc/self/fd/{descriptor}"
    finally:
        os.close(descriptor)
