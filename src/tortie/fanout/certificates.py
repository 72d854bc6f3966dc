"""Mutual TLS: contexts from files, and whose certificate a peer has shown.

A certificate of our authority is not enough, since one authority often signs for many: the peer's
common name or one of its URI names must be the one that the settings say, either of them where
both are set (as Calico has it).
"""

import os
import ssl
from collections.abc import Mapping
from typing import Any, NamedTuple

from msgspec import Struct


class TlsFiles(NamedTuple):
    """The names of the settings that a `Tls` comes from, for errors."""

    ca: str
    certificate: str
    key: str
    name: str
    uri: str


class Tls(Struct, frozen=True):
    """Paths of PEM files, and who the peer must be: by common name, or by URI."""

    ca: str
    certificate: str
    key: str
    peer_name: str = ""
    peer_uri: str = ""


class WrongPeer(Exception):
    """The peer's certificate is of our authority, but not that of the peer that we want."""


def server_context(tls: Tls) -> ssl.SSLContext:
    """For accepting: every client must show a certificate. Raises OSError (ssl.SSLError)."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.num_tickets = 0  # clients stay for days; tickets would only cost
    return _completed(context, tls)


def stamp(tls: Tls) -> tuple[int, ...]:
    """Differs once the files are other ones. Raises OSError."""
    found = [os.stat(path) for path in (tls.ca, tls.certificate, tls.key)]
    return tuple(number for file in found for number in (file.st_mtime_ns, file.st_ino))


def client_context(tls: Tls) -> ssl.SSLContext:
    """For connecting. Raises OSError (ssl.SSLError)."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False  # servers are known by name or URI, not by where they run
    return _completed(context, tls)


def _completed(context: ssl.SSLContext, tls: Tls) -> ssl.SSLContext:
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(tls.ca)
    context.load_cert_chain(tls.certificate, tls.key)
    return context


def check_peer(certificate: Mapping[str, Any] | None, tls: Tls) -> None:
    """Raise WrongPeer unless this (of `SSLSocket.getpeercert`) is the wanted peer's."""
    names = _names(certificate or {})
    uris = _uris(certificate or {})
    if (tls.peer_name and tls.peer_name in names) or (tls.peer_uri and tls.peer_uri in uris):
        return
    found = [*(f"CN {name}" for name in names), *(f"URI {uri}" for uri in uris)] or ["no name"]
    wanted = [f"CN {tls.peer_name}"] * bool(tls.peer_name)
    wanted += [f"URI {tls.peer_uri}"] * bool(tls.peer_uri)
    raise WrongPeer(
        f"the certificate has {', '.join(found)}, where {' or '.join(wanted)} is wanted"
    )


def _names(certificate: Mapping[str, Any]) -> list[str]:
    subject = certificate.get("subject", ())
    return [value for part in subject for name, value in part if name == "commonName"]


def _uris(certificate: Mapping[str, Any]) -> list[str]:
    return [value for name, value in certificate.get("subjectAltName", ()) if name == "URI"]
