"""The local workloads that BGPPeers with a localWorkloadSelector speak with.

All endpoints of the cluster are followed for that, and those of other nodes passed over; so it is
done only once such a BGPPeer is there.
"""

from contextlib import aclosing

from tortie.bgp.service import BgpService
from tortie.datastore import Datastore
from tortie.sync import InSync, Syncer

KINDS = ("WorkloadEndpoint", "Pod")


class WorkloadFollower:
    """Adds the endpoints' updates to the service's own stream."""

    def __init__(self, service: BgpService, store: Datastore) -> None:
        self._service = service
        self._store = store

    async def run(self) -> None:
        """For ever."""
        await self._service.has_workload_peers.wait()
        async with aclosing(Syncer(self._store, KINDS).stream()) as batches:
            async for batch in batches:
                self._service.take(item for item in batch if not isinstance(item, InSync))
                if any(isinstance(item, InSync) for item in batch):
                    self._service.workloads_known()
