"""Who waits for an endpoint to be ready, or for a revision to be in the kernel."""

import asyncio
from collections import defaultdict
from collections.abc import Mapping

from tortie.policy.program import EndpointId


class NotReady(Exception):
    """The time is up. `str()` says what was still missing."""


class Waiters:
    """Futures that the end of a turn resolves."""

    def __init__(self) -> None:
        self._endpoints: defaultdict[EndpointId, set[asyncio.Future[None]]] = defaultdict(set)
        self._reasons: dict[EndpointId, str] = {}
        self._revisions: set[tuple[int, asyncio.Future[None]]] = set()
        self.revision = 0  # in the kernel

    @property
    def watched(self) -> frozenset[EndpointId]:
        """The endpoints that somebody waits for."""
        return frozenset(self._endpoints)

    async def endpoint(self, endpoint_id: EndpointId, within: float) -> None:
        """Return once a turn finds the endpoint ready. Raises NotReady after `within` seconds."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._endpoints[endpoint_id].add(future)
        try:
            await asyncio.wait_for(future, within)
        except TimeoutError:
            reason = self._reasons.get(endpoint_id, "the agent did not come to look at it")
            raise NotReady(
                f"workload {endpoint_id} was not ready after {within:g} s: {reason}"
            ) from None
        finally:
            self._forget(endpoint_id, future)

    async def applied(self, revision: int, within: float) -> None:
        """Return once `revision` is in the kernel. Raises NotReady after `within` seconds."""
        if self.revision >= revision:
            return
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._revisions.add((revision, future))
        try:
            await asyncio.wait_for(future, within)
        except TimeoutError:
            raise NotReady(
                f"revision {revision} of the datastore was not applied after {within:g} s:"
                f" the agent is at {self.revision}"
            ) from None
        finally:
            self._revisions.discard((revision, future))

    def close(self) -> None:
        """No turn comes any more: whoever waits is told so."""
        futures = [future for _, future in self._revisions]
        futures += [future for waiting in self._endpoints.values() for future in waiting]
        for future in futures:
            if not future.done():
                future.set_exception(NotReady("the agent is stopping: try again later"))

    def turned(self, waiting_for: Mapping[EndpointId, str], revision: int) -> None:
        """A turn ended: `revision` is in the kernel, and endpoints wait for this or nothing."""
        self.revision = max(self.revision, revision)
        for wanted, future in self._revisions:
            if wanted <= self.revision and not future.done():
                future.set_result(None)
        for endpoint_id, reason in waiting_for.items():
            self._reasons[endpoint_id] = reason
            if not reason:
                self._release(endpoint_id)

    def _release(self, endpoint_id: EndpointId) -> None:
        for future in self._endpoints.get(endpoint_id, ()):
            if not future.done():
                future.set_result(None)

    def _forget(self, endpoint_id: EndpointId, future: asyncio.Future[None]) -> None:
        self._endpoints[endpoint_id].discard(future)
        if not self._endpoints[endpoint_id]:
            del self._endpoints[endpoint_id]
            self._reasons.pop(endpoint_id, None)
