"""Installing, keeping it as it should be, and removing it.

The configuration comes last and goes first: a runtime takes a node for ready by it.
"""

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

import structlog

from tortie.cni.installer import conflist, files, interpreter, kubeconfig, plugin
from tortie.cni.installer.errors import InstallError
from tortie.cni.installer.plugin import Done
from tortie.cni.installer.record import Record
from tortie.cni.installer.settings import InstallSettings, Server
from tortie.datastore import DatastoreError

LOOK_SECONDS = 60.0  # between two looks at the files
_RETRY_FIRST, _RETRY_LONGEST = 1.0, 60.0
_AGAIN = 5.0  # seconds until a token is asked for again, while there is one
_OWN_MODE = 0o644

_log = structlog.get_logger(__name__)


class Report(NamedTuple):
    """What was done, and what a person should look at."""

    done: tuple[Done, ...]
    warnings: tuple[str, ...] = ()


class Installer:
    """Installs by one set of settings. All methods raise InstallError, DatastoreError, OSError."""

    def __init__(self, settings: InstallSettings) -> None:
        self._settings = settings
        self._token = ""
        self.due: datetime | None = None  # when another token is to be asked for

    async def install(self) -> Report:
        """Have everything be there."""
        done = [*self.programs(), *await self.access(), *self.configuration()]
        return Report(tuple(done), tuple(self._warnings()))

    def programs(self) -> Iterator[Done]:
        """The plugin, its interpreter, standard plugins."""
        settings = self._settings
        settings.bin_dir.mkdir(parents=True, exist_ok=True)
        _clean(settings.bin_dir)
        yield from plugin.install(settings, Record(settings.bin_dir))

    async def access(self) -> list[Done]:
        """The kubeconfig, with a new token where one is due; nothing outside a cluster."""
        settings = self._settings
        if settings.server is None:
            return []
        from tortie.cni.installer import token  # httpx: only where there is a server

        if self.due is None or datetime.now(UTC) >= self.due:
            await self._renew(settings.server)
        text = kubeconfig.kubeconfig(
            settings.server, token.authority(settings), self._token, insecure=settings.insecure
        )
        settings.conf_dir.mkdir(parents=True, exist_ok=True)
        record = Record(settings.conf_dir)
        return [_put(record, settings, kubeconfig.NAME, text, settings.kubeconfig_mode)]

    async def _renew(self, server: Server) -> None:
        """Another token. As long as there is one, that no other can be had is no reason to stop."""
        from tortie.cni.installer import token

        now = datetime.now(UTC)
        try:
            found = await token.new_token(self._settings, server)
        except (DatastoreError, InstallError) as problem:
            if not self._token:
                raise
            _log.warning("no other token can be had now, will retry", reason=str(problem))
            self.due = now + timedelta(seconds=_AGAIN)
            return
        soon = (found.expires - now) / 2
        if self._settings.refresh_seconds:
            soon = min(soon, timedelta(seconds=self._settings.refresh_seconds))
        self._token, self.due = found.text, now + soon

    def configuration(self) -> Iterator[Done]:
        """The network's configuration, and none of ours under an earlier name."""
        settings = self._settings
        settings.conf_dir.mkdir(parents=True, exist_ok=True)
        _clean(settings.conf_dir)
        record = Record(settings.conf_dir)
        yield _put(record, settings, settings.conf_name, self._network(), _OWN_MODE)
        for name in record.names:
            if name not in (settings.conf_name, kubeconfig.NAME) and record.take_back(name):
                yield Done(str(settings.conf_dir / name), "removed")
        old = settings.old_conf_name
        if old and old != settings.conf_name and files.remove(settings.conf_dir / old):
            yield Done(str(settings.conf_dir / old), "removed: it is CNI_OLD_CONF_NAME")

    def _network(self) -> bytes:
        settings = self._settings
        values = dict(settings.values)
        path = str(settings.host_conf_dir / kubeconfig.NAME)
        if settings.network_config:
            values |= {"KUBECONFIG_FILEPATH": path, "CNI_MTU": str(settings.mtu)}
            return conflist.filled(settings.network_config, values)
        there = [name for name in plugin.STANDARD if (settings.bin_dir / name).exists()]
        known = path if settings.server is not None else ""
        return conflist.made(known, values, settings.mtu, settings.agent_socket, there)

    def _warnings(self) -> Iterator[str]:
        settings = self._settings
        folder, name = settings.conf_dir, settings.conf_name
        if problem := plugin.nothing_to_copy(settings):
            yield problem
        for other in conflist.before(name, (path.name for path in folder.iterdir())):
            yield (
                f"{folder / other} sorts before {name}: runtimes use that one, not ours;"
                " remove it, or choose another name (CNI_CONF_NAME)"
            )
        for program in conflist.programs((folder / name).read_bytes()):
            if not (settings.bin_dir / program).exists():
                yield (
                    f"{folder / name} has runtimes start {program}, which is not in"
                    f" {settings.bin_dir}: every pod's start will fail"
                )

    async def watch(self) -> None:
        """Keep everything as it should be, and the token fresh, until cancelled."""
        wait, warned = _RETRY_FIRST, frozenset[str]()
        while True:
            try:
                report = await self.install()
            except (DatastoreError, OSError, InstallError) as problem:
                _log.warning("can't be installed now, will retry", reason=str(problem))
                await asyncio.sleep(wait)
                wait = min(2 * wait, _RETRY_LONGEST)
                continue
            wait = _RETRY_FIRST
            _tell(report, warned)
            warned = frozenset(report.warnings)
            await asyncio.sleep(self._until_next())

    def _until_next(self) -> float:
        if self.due is None:
            return LOOK_SECONDS
        left = (self.due - datetime.now(UTC)).total_seconds()
        return max(_RETRY_FIRST, min(LOOK_SECONDS, left))


def remove(settings: InstallSettings) -> Report:
    """Remove what was made, and nothing that others changed since. Raises InstallError, OSError."""
    done: list[Done] = []
    for folder in (settings.conf_dir, settings.bin_dir):
        if folder.is_dir():
            _clean(folder)
            done += _emptied(folder)
    return Report(tuple(done))


def _emptied(folder: Path) -> Iterator[Done]:
    record = Record(folder)
    for name in sorted(record.names, key=lambda name: name == kubeconfig.NAME):
        there = (folder / name).exists()
        if record.take_back(name):
            yield Done(str(folder / name), "removed")
        elif there:
            yield Done(str(folder / name), "left: somebody changed it since")
    for name in record.folders:
        interpreter.remove(folder / name)
        record.forget_folder(name)
        yield Done(str(folder / name), "removed")


def _put(record: Record, settings: InstallSettings, name: str, data: bytes, mode: int) -> Done:
    changed = record.put(name, data, mode)
    return Done(str(settings.conf_dir / name), "written" if changed else "unchanged")


def _clean(folder: Path) -> None:
    for path in files.left_behind(folder):
        if path.is_dir():
            interpreter.remove(path)
        else:
            files.remove(path)


def _tell(report: Report, warned: frozenset[str]) -> None:
    """What was done, and what is wrong beyond what was `warned` of already."""
    for path, what in report.done:
        if what not in ("unchanged", "in use"):
            _log.info("installed", path=path, what=what)
    for warning in sorted(set(report.warnings) - warned):
        _log.warning("look at the configuration", problem=warning)
