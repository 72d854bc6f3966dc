"""How the connection is protected: whom we trust, and our own certificate."""

import os
import ssl

from tortie.datastore.contract import DatastoreError
from tortie.datastore.kubernetes.access import Access
from tortie.datastore.kubernetes.credentials import Pair


def tls_context(access: Access, pair: Pair | None) -> ssl.SSLContext:
    """The context of one access. Raises DatastoreError for PEM that can't be used."""
    try:
        context = ssl.create_default_context(cadata=access.ca.decode("ascii") or None)
    except (ssl.SSLError, ValueError) as error:
        raise DatastoreError(
            f"the certificate authority of {access.server} is no PEM certificate: {_why(error)}"
        ) from None
    if access.insecure:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if pair is not None:
        _add(context, access, pair)
    return context


def _add(context: ssl.SSLContext, access: Access, pair: Pair) -> None:
    """ssl reads certificates from files only; these never touch a disk."""
    file = os.memfd_create("tortie-client-certificate", os.MFD_CLOEXEC)
    try:
        os.write(file, pair.certificate.rstrip() + b"\n" + pair.key)
        context.load_cert_chain(f"/proc/self/fd/{file}", password=_refuse)
    except (ssl.SSLError, OSError, ValueError) as error:
        raise DatastoreError(
            f"{access.identity}: the client certificate and key can't be used: {_why(error)}"
        ) from None
    finally:
        os.close(file)


def _refuse() -> str:
    """In place of the prompt on the terminal that ssl would show."""
    raise ValueError("the key has a password")


def _why(error: Exception) -> str:
    if isinstance(error, ssl.SSLError):
        return (error.reason or "no PEM").replace("_", " ").lower()
    return str(error) or "no PEM"
