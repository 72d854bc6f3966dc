"""What the controllers ask to lead, to tell of their settings, and for nodes' host endpoints."""

import asyncio

from strategies.controllers import eventually
from tortie.api import Key, ObjectMeta
from tortie.api.calico.host_endpoint import HostEndpoint, HostEndpointSpec
from tortie.api.calico.kube_controllers import KubeControllersConfiguration
from tortie.controllers.configuration import KEY
from tortie.controllers.controller import Sides
from tortie.controllers.host_endpoints import CONTROLLERS, CREATED_BY
from tortie.controllers.live import Live
from tortie.controllers.metrics import Metrics
from tortie.controllers.running import Reign
from tortie.controllers.seats import NAME
from tortie.controllers.settings import merged
from tortie.daemon.health import Health
from tortie.datastore import Datastore
from tortie.datastore.cluster import check_unlocked
from tortie.datastore.kubernetes import KubernetesDatastore
from tortie.datastore.kubernetes.seats import KubernetesSeat

KINDS = ("ClusterInformation", "KubeControllersConfiguration", "HostEndpoint", "Node")


async def leading(admin: Datastore, store: Datastore) -> None:
    """Lead; with one endpoint of a node that is gone, and one that is not as it should be."""
    assert isinstance(store, KubernetesDatastore)
    seat = KubernetesSeat(store._client, NAME, "me", 2, "kube-system")
    await seat._made()  # a Lease of another test may be there already
    await eventually(lambda: _taken(seat))
    assert await seat.renew()
    await check_unlocked(store)
    await store.list(KEY.kind)
    await admin.create(_endpoint("gone", "gone-auto-hep"))
    await admin.create(_endpoint("node-1", "node-1-old-auto-hep"))
    await admin.create(_endpoint("node-1", "node-1-auto-hep"))
    await _made_right(admin, store)
    await admin.delete(Key("HostEndpoint", "", "node-1-auto-hep"))
    await _made_right(admin, store)


async def _made_right(admin: Datastore, store: Datastore) -> None:
    variables = {"ENABLED_CONTROLLERS": "node", "AUTO_HOST_ENDPOINTS": "enabled"}
    settings = Live(merged(None, variables, "kubernetes"))
    reign = Reign(Sides("kubernetes", True), store, None, settings, Health(), Metrics())
    running = asyncio.ensure_future(reign.run())
    try:
        await eventually(lambda: _is_right(admin))
    finally:
        running.cancel()
        await asyncio.wait([running])


async def _taken(seat: KubernetesSeat) -> bool:
    return await seat.take() is None


async def _is_right(admin: Datastore) -> bool:
    found = {one.metadata.name: one for one in (await admin.list("HostEndpoint")).resources}
    told = (await admin.list(KEY.kind)).resources
    return (
        set(found) == {"node-1-auto-hep"}
        and getattr(found["node-1-auto-hep"], "spec").interface_name == "*"  # noqa: B009
        and any(isinstance(one, KubeControllersConfiguration) and one.status for one in told)
    )


def _endpoint(node: str, name: str) -> HostEndpoint:
    return HostEndpoint(
        metadata=ObjectMeta(name=name, labels={CREATED_BY: CONTROLLERS}),
        spec=HostEndpointSpec(node=node, interface_name="eth0"),
    )
