"""KubeControllersConfiguration "default": followed by every process, written to by who leads."""

from collections.abc import Callable, Mapping

import structlog
from msgspec.structs import replace

from tortie.api import Key, ObjectMeta, Resource
from tortie.api.calico.cluster_information import ClusterInformation
from tortie.api.calico.kube_controllers import (
    KubeControllersConfiguration,
    KubeControllersConfigurationStatus,
)
from tortie.controllers.controller import Context, Controller
from tortie.controllers.feed import Feed
from tortie.controllers.live import Live
from tortie.controllers.settings import Settings, default_spec, merged
from tortie.datastore import AlreadyExists, Conflict, Datastore, Forbidden, NotFound, update_with
from tortie.datastore.cluster import CLUSTER

KEY = Key("KubeControllersConfiguration", "", "default")
KINDS = ("ClusterInformation", "KubeControllersConfiguration")

_log = structlog.get_logger(__name__)


def follow(
    feed: Feed, environ: Mapping[str, str], backend: str, told: Callable[[Settings], None]
) -> Live[Settings]:
    """The settings, which follow the feed. `told` hears of each change before others do."""
    live = Live(merged(None, environ, backend))

    def read(_: Key) -> None:
        found = feed.get(KEY)
        spec = found.spec if isinstance(found, KubeControllersConfiguration) else None
        settings = merged(spec, environ, backend)
        if settings != live.current:
            told(settings)
            live.put(settings)

    feed.subscribe((KEY.kind,), read)
    return live


def is_locked(feed: Feed) -> bool:
    """Whether somebody has locked the datastore, to move it elsewhere."""
    found = feed.get(CLUSTER)
    return isinstance(found, ClusterInformation) and found.spec.datastore_ready is False


async def _run(context: Context) -> None:
    """Say in its status what is in force, after each change; make it where there is none."""
    store, settings = context.datastore.store, context.settings
    while True:
        told = settings.current
        try:
            await _written(store, told, context.sides.backend)
            context.waiting("")
        except Forbidden as refusal:  # somebody else's, then
            _log.warning("the configuration's status can't be written", problem=str(refusal))
            context.waiting("")
        if settings.current == told:
            await settings.changed()


async def _written(store: Datastore, settings: Settings, backend: str) -> None:
    status = KubeControllersConfigurationStatus(
        running_config=settings.running, environment_vars=dict(settings.environment)
    )

    def change(found: Resource) -> Resource | None:
        assert isinstance(found, KubeControllersConfiguration)
        return None if found.status == status else replace(found, status=status)

    try:
        await update_with(store, KEY, change)
    except NotFound:
        await _made(store, backend)
        await update_with(store, KEY, change)


async def _made(store: Datastore, backend: str) -> None:
    fresh = KubeControllersConfiguration(
        metadata=ObjectMeta(name=KEY.name), spec=default_spec(backend)
    )
    try:
        await store.create(fresh)
    except (AlreadyExists, Conflict):
        return


CONTROLLER = Controller(name="configuration", switch="", run=_run)
