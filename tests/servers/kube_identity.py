"""Who asks an API server: service accounts' tokens of any lifetime, kubeconfig files."""

import base64
import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

ISSUER = "https://kubernetes.default.svc"
_LEEWAY = 60  # seconds for which API servers take a token beyond its end


class Signer:
    """The key with which an API server signs tokens; here it also makes what none would give out:
    tokens that expire in a second, or have done so.
    """

    def __init__(self, folder: Path) -> None:
        self._key = rsa.generate_private_key(65537, 2048)
        self.file = folder / "service-accounts.key"
        self.file.touch(mode=0o600)
        self.file.write_bytes(
            self._key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )

    def token(self, account: Mapping[str, Any], seconds: float) -> str:
        """A token of the ServiceAccount object, refused after `seconds` (at once if negative).

        A server that took it may go on to do so for 10 seconds, from its memory.
        """
        name, namespace = account["metadata"]["name"], account["metadata"]["namespace"]
        now = time.time()
        claims = {
            "iss": ISSUER,
            "aud": [ISSUER],
            "sub": f"system:serviceaccount:{namespace}:{name}",
            "iat": int(now) - 3600,
            "nbf": int(now) - 3600,
            "exp": now + seconds - _LEEWAY,
            "kubernetes.io": {
                "namespace": namespace,
                "serviceaccount": {"name": name, "uid": account["metadata"]["uid"]},
            },
        }
        signed = f"{_encoded({'alg': 'RS256', 'typ': 'JWT'})}.{_encoded(claims)}"
        signature = self._key.sign(signed.encode(), padding.PKCS1v15(), hashes.SHA256())
        return f"{signed}.{_base64(signature)}"


def _encoded(value: Mapping[str, Any]) -> str:
    return _base64(json.dumps(value).encode())


def _base64(value: bytes) -> str:
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode()


def kubeconfig(endpoint: str, ca_file: Path, user: Mapping[str, str]) -> str:
    """The text of a kubeconfig with one context, `tests`; `user` has the fields of its user."""
    parts = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "tests",
        "clusters": [
            {
                "name": "tests",
                "cluster": {"server": endpoint, "certificate-authority": str(ca_file)},
            }
        ],
        "users": [{"name": "tests", "user": dict(user)}],
        "contexts": [{"name": "tests", "context": {"cluster": "tests", "user": "tests"}}],
    }
    return json.dumps(parts, indent=1)  # JSON is YAML
