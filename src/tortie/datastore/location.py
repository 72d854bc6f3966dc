"""From what names a datastore, text or settings, to an open one."""

from pathlib import Path

from tortie.datastore.contract import Datastore, DatastoreError
from tortie.datastore.settings import (
    DatastoreSettings,
    EtcdSettings,
    KubernetesSettings,
    MemorySettings,
    SqliteSettings,
)

MEMORY = "memory:"


def sqlite_path(location: str | Path) -> Path | None:
    """The file that "sqlite:PATH" or a bare path names; None for `MEMORY`.

    Raises DatastoreError for any other scheme.
    """
    scheme, colon, rest = str(location).partition(":")
    if not colon or "/" in scheme:
        scheme, rest = "sqlite", str(location)
    if scheme == "sqlite" and rest:
        return Path(rest)
    if str(location) == MEMORY:
        return None
    raise DatastoreError(
        f"{str(location)!r} names no datastore: use sqlite:PATH, a path, or memory:"
    )


async def open_datastore(wanted: str | Path | DatastoreSettings) -> Datastore:
    """Open what settings say, or "sqlite:PATH", "memory:", or a bare path, which means SQLite.

    Backends are loaded when asked for: a command that looks into a file pays for no network.
    A server that is away is found out by the first operation. Raises DatastoreError for a scheme
    that is none of these and for settings that can never work, Unavailable for a file that can't
    be opened.
    """
    match wanted if not isinstance(wanted, str | Path) else _settings(wanted):
        case SqliteSettings(path=path):
            from tortie.datastore.sqlite import SqliteDatastore

            return await SqliteDatastore.open(path)
        case EtcdSettings() as settings:
            from tortie.datastore.etcd import EtcdDatastore

            return await EtcdDatastore.open(settings)
        case KubernetesSettings() as settings:
            from tortie.datastore.kubernetes import KubernetesDatastore

            return await KubernetesDatastore.open(settings)
        case MemorySettings():
            from tortie.datastore.memory import MemoryDatastore

            return MemoryDatastore()


def _settings(location: str | Path) -> SqliteSettings | MemorySettings:
    path = sqlite_path(location)
    return MemorySettings() if path is None else SqliteSettings(path=str(path))
