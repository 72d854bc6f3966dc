"""Passwords from Secrets: from the Kubernetes API, or from files where there is none.

Only the keys that sessions need are read. A Secret that could be read once keeps its value while
its source is away; one that is known to be gone has none.
"""

import os
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Protocol, runtime_checkable

from tortie.bgp.passwords import MISSING, Passwords, SecretRef
from tortie.bgp.words import Password

_LARGEST = 1 << 20  # bytes, of a Secret
_NAME = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._")


class SourceAway(Exception):
    """Whether there is such a Secret can't be known now; the message says why."""


class SecretSource(Protocol):
    """Where Secrets are."""

    async def read(self, wanted: SecretRef) -> bytes | None:
        """The value; None where there is none. Raises SourceAway."""
        ...


@runtime_checkable
class HoldsSecrets(Protocol):
    """A datastore that has Kubernetes' Secrets beside the resources."""

    async def secret(self, namespace: str, name: str) -> Mapping[str, bytes] | None:
        """A Secret's data; None where there is none. Raises DatastoreError."""
        ...


class FileSecrets:
    """A folder of Secrets as a kubelet mounts them: NAME/KEY is a file."""

    def __init__(self, folder: str) -> None:
        self._folder = Path(folder)

    async def read(self, wanted: SecretRef) -> bytes | None:
        """See `SecretSource`."""
        if not all(part and set(part) <= _NAME and part.strip(".") for part in wanted):
            return None  # no path is made of anything but names
        try:
            descriptor = os.open(
                self._folder / wanted.name / wanted.key, os.O_RDONLY | os.O_CLOEXEC
            )
            with os.fdopen(descriptor, "rb") as file:
                return file.read(_LARGEST)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as problem:
            raise SourceAway(f"{problem.filename}: {problem.strerror}") from None


class KubernetesSecrets:
    """The Secrets of one namespace: the daemon's own."""

    def __init__(self, store: HoldsSecrets, namespace: str) -> None:
        self._store = store
        self._namespace = namespace

    async def read(self, wanted: SecretRef) -> bytes | None:
        """See `SecretSource`."""
        from tortie.datastore import DatastoreError

        try:
            found = await self._store.secret(self._namespace, wanted.name)
        except DatastoreError as problem:
            raise SourceAway(str(problem)) from None
        return None if found is None else found.get(wanted.key)


class SecretKeeper:
    """The last known values of what is wanted.

    `away` says why the value of any was never known, though it may be there; "" for none.
    """

    def __init__(self, source: SecretSource) -> None:
        self._source = source
        self._known: dict[SecretRef, Password | str] = {}
        self.away = ""

    @property
    def passwords(self) -> Passwords:
        """What is known now."""
        return dict(self._known)

    async def look(self, wanted: Collection[SecretRef]) -> bool:
        """Read what is wanted; forget the rest. Whether anything is another than before."""
        before, self.away = self._known, ""
        self._known = {each: await self._value(each, before.get(each)) for each in sorted(wanted)}
        return self._known != before

    async def _value(self, wanted: SecretRef, before: Password | str | None) -> Password | str:
        try:
            value = await self._source.read(wanted)
            return MISSING if value is None else Password(value)
        except SourceAway as problem:
            if isinstance(before, Password):
                return before
            self.away = f"Secret {wanted.name!r} can't be read: {problem}"
            return self.away
        except ValueError as problem:
            return str(problem)
