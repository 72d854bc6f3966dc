"""Host endpoints that nodes get by themselves, if that is switched on. People's own stay as is."""

from collections import defaultdict
from collections.abc import Hashable, Iterable

import structlog
from msgspec.structs import replace

from tortie.api import Key, Node
from tortie.api.calico.host_endpoint import HostEndpoint
from tortie.api.codec import with_metadata
from tortie.controllers.controller import Context, Controller
from tortie.controllers.feed import Feed
from tortie.controllers.host_endpoints import is_automatic, wanted_endpoints
from tortie.controllers.node_deletion import is_gone
from tortie.controllers.reconciling import Job, Watched, reconcile_all

_NAME = "automatic host endpoints"
_log = structlog.get_logger(__name__)


class Automatic:
    """The automatic host endpoints of each node, as far as a feed has told."""

    def __init__(self, feed: Feed) -> None:
        self._feed = feed
        self._node: dict[Key, str] = {}
        self._of: defaultdict[str, set[Key]] = defaultdict(set)
        for key in feed.objects("HostEndpoint"):
            self.note(key)

    def note(self, key: Key) -> Iterable[str]:
        """A HostEndpoint has changed; gives the nodes that it was of, and is of."""
        found = self._feed.get(key)
        before = self._node.pop(key, "")
        self._of[before].discard(key)
        now = found.spec.node if isinstance(found, HostEndpoint) else ""
        if isinstance(found, HostEndpoint) and is_automatic(found):
            self._node[key] = now
            self._of[now].add(key)
        return {name for name in (before, now) if name}

    def nodes(self) -> set[str]:
        """All nodes that have any."""
        return {node for node, keys in self._of.items() if keys}

    def of(self, node: str) -> dict[str, HostEndpoint]:
        """A node's, by name."""
        found = (self._feed.get(key) for key in self._of.get(node, ()))
        return {one.metadata.name: one for one in found if isinstance(one, HostEndpoint)}


class _Endpoints:
    def __init__(self, context: Context) -> None:
        self._context = context
        self._data = context.datastore
        self.automatic = Automatic(self._data.feed)
        self._said: set[str] = set()

    def everything(self) -> Iterable[str]:
        return self.automatic.nodes() | {key.name for key in self._data.feed.objects("Node")}

    async def reconcile(self, item: Hashable) -> None:
        """Raises DatastoreError."""
        name = str(item)
        wanted = await self._wanted(name)
        there = self.automatic.of(name)
        for endpoint in wanted.values():
            await self._put(endpoint)
        for endpoint in there.values():
            if endpoint.metadata.name not in wanted:
                revision = int(endpoint.metadata.resource_version)
                await self._data.store.delete(endpoint.key, revision)

    async def _wanted(self, name: str) -> dict[str, HostEndpoint]:
        key = Key("Node", "", name)
        node = self._data.feed.get(key)
        if not isinstance(node, Node):
            if await is_gone(self._data, key):
                return {}
            raise ValueError(f"{key} is there, but is not known yet: nothing is changed")
        wanted, problems = wanted_endpoints(node, self._context.settings.current)
        for problem in problems:
            self._say(problem)
        return wanted

    async def _put(self, wanted: HostEndpoint) -> None:
        there = self._data.feed.get(wanted.key)
        if there is None:
            await self._data.store.create(wanted)
        elif not isinstance(there, HostEndpoint) or not is_automatic(there):
            self._say(f"{wanted.key} is somebody's own, no automatic one can have its name")
        elif changed := updated(there, wanted):
            await self._data.store.update(changed)

    def _say(self, problem: str) -> None:
        """Once."""
        if problem not in self._said:
            self._said.add(problem)
            _log.warning(problem)


def updated(there: HostEndpoint, wanted: HostEndpoint) -> HostEndpoint | None:
    """What is there, as it is wanted; None where nothing differs. Others' annotations stay."""
    annotations = {**there.metadata.annotations, **wanted.metadata.annotations}
    labels = wanted.metadata.labels
    changed = with_metadata(
        replace(there, spec=wanted.spec), labels=labels, annotations=annotations
    )
    return None if changed == there else changed


async def _run(context: Context) -> None:
    endpoints = _Endpoints(context)
    side = context.datastore
    job = Job(
        name=_NAME,
        watched=(
            Watched(side, ("Node",), lambda key: (key.name,)),
            Watched(side, ("HostEndpoint",), endpoints.automatic.note),
        ),
        everything=endpoints.everything,
        reconcile=endpoints.reconcile,
        period=lambda: context.settings.current.periods.get("node", 0.0),
    )
    await reconcile_all(context, job)


CONTROLLER = Controller(name=_NAME, switch="node", run=_run, follows=("Node", "HostEndpoint"))
