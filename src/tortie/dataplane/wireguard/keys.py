"""A node's private keys: in a file that only root reads, the one in use and those to come.

Which one is in use is what the Node publishes. So a key changes on this node at the moment at which
the others learn of it, and not before.
"""

import os
from base64 import b64decode, b64encode
from pathlib import Path

from tortie.linux.wireguard import KEY_LENGTH, PrivateKey

_HEADER = "# Private keys of WireGuard, the newest first. Made by tortie; keep them secret.\n"


def new_key() -> PrivateKey:
    """A key that nobody has had."""
    return PrivateKey(os.urandom(KEY_LENGTH))


def public_key(key: PrivateKey) -> str:
    """The public half of a key, in base64 as in a Node."""
    from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

    made = X25519PrivateKey.from_private_bytes(key.secret).public_key()
    return b64encode(made.public_bytes_raw()).decode()


def public_bytes(text: str) -> bytes:
    """A public key of a Node as bytes. Raises ValueError."""
    return b64decode(text, validate=True)


class Keys:
    """The keys in a file, the newest first. Raises OSError, ValueError for a file that is none."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._keys = self._load()

    @property
    def newest(self) -> PrivateKey:
        """The key to publish; made now where there is none."""
        if not self._keys:
            self._keep([new_key()])
        return self._keys[0]

    def holding(self, public: str) -> PrivateKey | None:
        """The private half of a public key, where it is here."""
        return next((key for key in self._keys if public_key(key) == public), None)

    def has(self, key: PrivateKey | None) -> bool:
        """Whether a private key is one of these."""
        return key is not None and self.holding(public_key(key)) is not None

    def rotate(self) -> str:
        """Make another key to be published; those before stay until it is. Its public half.

        All of them, since any may be the one in use: this may be asked again before others heard.
        """
        self._keep([new_key(), *self._keys])
        return public_key(self._keys[0])

    def settle(self, public: str) -> None:
        """This one is published: what was made before it is of no more use."""
        used = next((at for at, key in enumerate(self._keys, 1) if public_key(key) == public), 0)
        if 0 < used < len(self._keys):
            self._keep(self._keys[:used])

    def forget(self) -> None:
        """Keys that are published nowhere any more are kept nowhere."""
        self._keys = []
        self._path.unlink(missing_ok=True)

    def _load(self) -> list[PrivateKey]:
        try:
            lines = self._path.read_text().splitlines()
        except FileNotFoundError:
            return []
        try:
            return [PrivateKey(public_bytes(line)) for line in lines if line and line[0] != "#"]
        except ValueError:  # its text must not end up in an error
            raise ValueError(
                f"{self._path} does not hold keys of WireGuard: remove it, and others are made"
            ) from None

    def _keep(self, keys: list[PrivateKey]) -> None:
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        staging = self._path.with_suffix(".new")
        descriptor = os.open(staging, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with open(descriptor, "w") as file:
            file.write(_HEADER)
            file.writelines(f"{b64encode(key.secret).decode()}\n" for key in keys)
            file.flush()
            os.fsync(descriptor)
        staging.replace(self._path)
        self._keys = keys
