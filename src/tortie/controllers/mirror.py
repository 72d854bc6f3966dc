"""What follows from objects of Kubernetes, kept in a datastore that is not Kubernetes.

A target is ours by its name, as in Calico: that name can be nobody else's. It is written only where
it differs, and deleted only when Kubernetes itself says that its source is gone: a policy that is
deleted for less opens what it closed.
"""

from collections.abc import Callable, Hashable, Iterable
from typing import Any, NamedTuple

import structlog
from msgspec.structs import replace

from tortie.api import Key, ObjectMeta, Resource
from tortie.api.codec import with_metadata
from tortie.controllers.controller import Context, Controller, Side
from tortie.controllers.node_deletion import is_gone
from tortie.controllers.reconciling import Job, Watched, reconcile_all
from tortie.datastore import AlreadyExists, DatastoreError, NotFound, Unavailable

_log = structlog.get_logger(__name__)


class Mirrored(NamedTuple):
    """What stands for a source (None: nothing does), and what of it could not be taken over."""

    value: Resource | None
    warnings: tuple[str, ...] = ()


class Mirror(NamedTuple):
    """Which sources there are, and what follows from each. All functions are pure."""

    name: str
    switch: str
    sources: tuple[str, ...]
    targets: tuple[str, ...]
    mirrored: Callable[[Resource], Mirrored]
    target_of: Callable[[Key], Key]
    source_of: Callable[[Key], Key | None]
    """The source of a target; None for an object that is not ours."""


class _Mirroring:
    def __init__(self, mirror: Mirror, data: Side, kubernetes: Side) -> None:
        self._mirror, self._data, self._kubernetes = mirror, data, kubernetes
        self._said: dict[Key, tuple[str, ...]] = {}

    def sources_of(self, target: Key) -> tuple[Key, ...]:
        source = self._mirror.source_of(target)
        return (source,) if source is not None else ()

    def everything(self) -> Iterable[Key]:
        """All sources that are there, and those of all targets that are."""
        for kind in self._mirror.sources:
            yield from self._kubernetes.feed.objects(kind)
        for kind in self._mirror.targets:
            for target in list(self._data.feed.objects(kind)):
                yield from self.sources_of(target)

    async def reconcile(self, item: Hashable) -> None:
        """Raises DatastoreError, and whatever a conversion raises: what is there stays then."""
        assert isinstance(item, Key)
        source = self._kubernetes.feed.get(item)
        target = self._mirror.target_of(item)
        there = self._data.feed.get(target)
        wanted = None if source is None else self._converted(source)
        if wanted is not None:
            await self._put(target, there, wanted)
        elif there is not None and (source is not None or await is_gone(self._kubernetes, item)):
            self._said.pop(item, None)
            await self._data.store.delete(target, int(there.metadata.resource_version))

    def _converted(self, source: Resource) -> Resource | None:
        value, warnings = self._mirror.mirrored(source)
        if warnings != self._said.get(source.key, ()):
            self._said[source.key] = warnings
            for warning in warnings:
                _log.warning(warning)
        return value

    async def _put(self, target: Key, there: Resource | None, wanted: Resource) -> None:
        wanted = _plain(wanted, target)
        if there is not None:
            changed = _over(there, wanted)
            if changed is not None:
                await self._data.store.update(changed)
            return
        try:
            await self._data.store.create(wanted)
        except AlreadyExists:
            if await self._can_be_read(target):
                raise  # the feed is a moment behind
            await self._data.store.update(wanted)

    async def _can_be_read(self, target: Key) -> bool:
        try:
            await self._data.store.get(target)
        except (NotFound, Unavailable):
            raise
        except DatastoreError:
            return False
        return True


def _plain(wanted: Resource, target: Key) -> Resource:
    """Under its own name, and with nothing of its source's bookkeeping."""
    metadata = ObjectMeta(
        name=target.name, namespace=target.namespace, labels=wanted.metadata.labels
    )
    return replace(wanted, metadata=metadata)


def _over(there: Resource, wanted: Resource) -> Resource | None:
    """What is there, as it is wanted; None where nothing differs."""
    spec: Any = getattr(wanted, "spec", None)
    changed = with_metadata(replace(there, spec=spec), labels=wanted.metadata.labels)
    return None if changed == there else changed


def controller_of(mirror: Mirror) -> Controller:
    """The controller that keeps a mirror."""

    async def run(context: Context) -> None:
        assert context.kubernetes is not None
        mirroring = _Mirroring(mirror, context.datastore, context.kubernetes)
        job = Job(
            name=mirror.name,
            watched=(
                Watched(context.kubernetes, mirror.sources, lambda key: (key,)),
                Watched(context.datastore, mirror.targets, mirroring.sources_of),
            ),
            everything=mirroring.everything,
            reconcile=mirroring.reconcile,
            period=lambda: context.settings.current.periods.get(mirror.switch, 0.0),
        )
        await reconcile_all(context, job)

    return Controller(
        name=mirror.name,
        switch=mirror.switch,
        run=run,
        follows=mirror.targets,
        follows_kubernetes=mirror.sources,
        belongs=lambda sides: sides.beside,
    )
