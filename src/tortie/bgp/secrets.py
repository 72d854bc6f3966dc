"""Passwords from Secrets: from the Kubernetes API, or from files where there is none.

Only the keys that sessions need are read. A Secret that could be read once keeps its value while
its source is away; one that is known to be gone has none.
"""

import asyncio
import os
from collections.abc import Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Protocol, runtime_checkable

from tortie.bgp.passwords import MISSING, Passwords, SecretRef, Unknown
from tortie.bgp.words import Password

_LARGEST = 1 << 20  # bytes, of a Secret
_PATIENCE = 10.0  # seconds with one Secret: the others must not wait for ever
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
        self._reader = ThreadPoolExecutor(max_workers=1)  # a dead network's files never answer

    async def read(self, wanted: SecretRef) -> bytes | None:
        """See `SecretSource`."""
        if not all(part and set(part) <= _NAME and part.strip(".") for part in wanted):
            return None  # no path is made of anything but names
        path = self._folder / wanted.name / wanted.key
        return await asyncio.get_running_loop().run_in_executor(self._reader, _content, path)


def _content(path: Path) -> bytes | None:
    """None where there is no such file. Raises SourceAway."""
    try:
        with open(path, "rb", opener=_open) as file:
            return file.read(_LARGEST)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as problem:
        raise SourceAway(f"{path}: {problem.strerror}") from None


def _open(path: str, flags: int) -> int:
    """A pipe that nobody writes to must not stop all the rest."""
    return os.open(path, flags | os.O_NONBLOCK)


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
    """The last known values of what is wanted."""

    def __init__(self, source: SecretSource) -> None:
        self._source = source
        self._known: dict[SecretRef, Password | Unknown | str] = {}
        self._looking = asyncio.Lock()

    @property
    def passwords(self) -> Passwords:
        """What is known now."""
        return dict(self._known)

    @property
    def away(self) -> bool:
        """Whether any value was never known, though it may be there."""
        return any(isinstance(each, Unknown) for each in self._known.values())

    async def look(self, wanted: Collection[SecretRef]) -> bool:
        """Read what is wanted; forget the rest. Whether anything is another than before."""
        async with self._looking:
            before = self._known
            refs = sorted(wanted)
            found = await asyncio.gather(*(self._value(each, before.get(each)) for each in refs))
            self._known = dict(zip(refs, found, strict=True))
            return self._known != before

    async def look_at_new(self, wanted: Collection[SecretRef]) -> None:
        """Look only where something is wanted that was never looked at."""
        if not self._known.keys() >= set(wanted):
            await self.look(wanted)

    async def _value(
        self, wanted: SecretRef, before: Password | Unknown | str | None
    ) -> Password | Unknown | str:
        try:
            async with asyncio.timeout(_PATIENCE):
                value = await self._source.read(wanted)
            return MISSING if value is None else Password(value)
        except TimeoutError:
            return self._unread(before, f"no answer within {_PATIENCE:g} s")
        except SourceAway as problem:
            return self._unread(before, str(problem))
        except ValueError as problem:
            return str(problem)

    def _unread(self, before: Password | Unknown | str | None, why: str) -> Password | Unknown:
        return before if isinstance(before, Password) else Unknown(f"it can't be read: {why}")
