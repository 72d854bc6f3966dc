"""Signature Version 4, by which Amazon's APIs know who asks. Pure.

The signature covers method, host, path, headers and the body's hash; the secret key goes into it
and nowhere else.
"""

import hashlib
import hmac
from collections.abc import Mapping
from datetime import UTC, datetime

from msgspec import Struct

_ALGORITHM = "AWS4-HMAC-SHA256"


class Credentials(Struct, frozen=True):
    """Those of a role, for some hours. Never shown."""

    key_id: str
    secret: str
    token: str = ""

    def __repr__(self) -> str:
        return "Credentials(…)"


class Call(Struct, frozen=True):
    """A POST of a form to `host` at "/"."""

    host: str
    body: bytes
    region: str
    service: str = "ec2"


def signed_headers(call: Call, credentials: Credentials, now: datetime) -> dict[str, str]:
    """The headers to send, the signature among them."""
    moment = now.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")
    headers = {
        "content-type": "application/x-www-form-urlencoded",
        "host": call.host,
        "x-amz-date": moment,
    }
    if credentials.token:
        headers["x-amz-security-token"] = credentials.token
    scope = f"{moment[:8]}/{call.region}/{call.service}/aws4_request"
    names = ";".join(sorted(headers))
    canonical = _canonical(headers, names, call.body)
    to_sign = "\n".join((_ALGORITHM, moment, scope, _hash(canonical.encode())))
    key = _key(credentials.secret, moment[:8], call.region, call.service)
    signature = hmac.new(key, to_sign.encode(), hashlib.sha256).hexdigest()
    headers["authorization"] = (
        f"{_ALGORITHM} Credential={credentials.key_id}/{scope}, SignedHeaders={names},"
        f" Signature={signature}"
    )
    return headers


def _canonical(headers: Mapping[str, str], names: str, body: bytes) -> str:
    lines = "".join(f"{name}:{headers[name]}\n" for name in sorted(headers))
    return "\n".join(("POST", "/", "", lines, names, _hash(body)))


def _hash(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _key(secret: str, day: str, region: str, service: str) -> bytes:
    key = f"AWS4{secret}".encode()
    for part in (day, region, service, "aws4_request"):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    return key
