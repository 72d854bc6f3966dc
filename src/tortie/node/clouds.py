"""A node on a cloud: which one is found out once, pools are judged by it, Amazon is asked.

Runs beside the agent and sees its updates. Which cloud it is the machine's firmware says, or else
the Node's providerID, asked of Kubernetes once.
"""

import asyncio
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import structlog

from tortie.api import Key, Resource
from tortie.cloud.detect import DMI, Cloud, cloud_of, firmware
from tortie.cloud.source_check import PART, WAITING, SourceCheck, ask_amazon
from tortie.cloud.watching import PoolWatch
from tortie.daemon.health import Health
from tortie.datastore import DatastoreError
from tortie.datastore.settings import DatastoreSettings
from tortie.node.api_server import kubernetes_of

VARIABLE = "TORTIE_DMI_DIR"  # where the firmware's words are, if elsewhere
_log = structlog.get_logger(__name__)


class Clouds:
    """`setting` is AWSSrcDstCheck."""

    def __init__(
        self,
        node: str,
        datastore: DatastoreSettings,
        setting: str,
        warn: Callable[[str], None],
        health: Health,
        environ: Mapping[str, str] = os.environ,
    ) -> None:
        self._node, self._datastore, self._environ = node, datastore, environ
        self._health = health
        self._pools = PoolWatch(warn)
        self._check = SourceCheck(setting, ask_amazon, self._tell)
        self._pools.configure(setting)
        health.register(PART, 0, "" if setting == "DoNothing" else WAITING)

    def saw(self, updates: Sequence[tuple[Key, Resource | None]]) -> None:
        """The agent's observer: pools changed."""
        self._pools.saw(updates)

    def configure(self, setting: str) -> None:
        """AWSSrcDstCheck has another value."""
        self._pools.configure(setting)
        self._check.configure(setting)

    async def run(self) -> None:
        """Until cancelled."""
        cloud = await find_cloud(self._node, self._datastore, self._environ)
        if cloud is not None:
            _log.info("this machine is of a cloud", cloud=cloud.value)
        self._pools.found(cloud)
        await self._check.run()

    def _tell(self, waiting_for: str) -> None:
        self._health.waiting(PART, waiting_for)


async def find_cloud(
    node: str, datastore: DatastoreSettings, environ: Mapping[str, str] = os.environ
) -> Cloud | None:
    """The cloud that the machine is of; None: none that differs, or nobody says so."""
    said = await asyncio.to_thread(firmware, Path(environ.get(VARIABLE) or DMI))
    found = cloud_of(said)
    return found if found is not None else cloud_of({}, await _provider(node, datastore))


async def _provider(node: str, datastore: DatastoreSettings) -> str:
    """The Node's providerID; "" where Kubernetes does not say, or there is none."""
    api = None
    try:
        api = kubernetes_of(datastore)
        return "" if api is None else (await api.machine(node)).provider_id
    except DatastoreError as problem:
        _log.debug("Kubernetes does not say which cloud this is", reason=str(problem))
        return ""
    finally:
        if api is not None:
            await api.close()
