"""All that each component asks of the datastore, done once by the component's own code.

A flow gets a store with an administrator's rights to set the scene, the store that is looked at,
and `done`, which says whether all has been asked that is to be asked (bounded by the caller).
"""

import asyncio
from collections.abc import Callable, Collection, Coroutine
from contextlib import aclosing, suppress

from msgspec.structs import replace

from manifests import flows_addresses, flows_leading, flows_node
from tortie.api import KINDS, GlobalNetworkSet, IPPool, IPPoolSpec, Key, NetworkSetSpec, ObjectMeta
from tortie.api.crds import CUSTOM_KINDS
from tortie.cni.records import Records
from tortie.cni.workload import Workload
from tortie.controllers.collector import Collector
from tortie.datastore import Datastore, NotFound
from tortie.datastore.cluster import check_unlocked
from tortie.fanout.rebalancing import watch_share
from tortie.fanout.server_settings import ServerSettings
from tortie.ipam import IPAM, AssignRequest
from tortie.node.resource import ensure_node
from tortie.node.tunnels import TunnelAddresses
from tortie.sync import BGP_KINDS, FELIX_KINDS, TUNNEL_KINDS, Syncer, Update

NODE = "node-1"
POD = Key("Pod", "shop", "web")
LOOK_SECONDS, LOOKS = 0.02, 1000
Done = Callable[[], bool]


def scene() -> list[dict]:
    """The machine and the pod that the flows are about."""
    return [
        {
            "apiVersion": "v1",
            "kind": "Node",
            "metadata": {"name": NODE, "labels": {"kubernetes.io/os": "linux"}},
        },
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": POD.name, "namespace": POD.namespace},
            "spec": {"nodeName": NODE, "containers": [{"name": "c", "image": "i"}]},
        },
    ]


async def agent(admin: Datastore, store: Datastore, done: Done) -> None:
    """The node agent: which cluster, its Node, its address in the tunnel, and all it follows."""
    await store.identity()
    await check_unlocked(store)
    await ensure_node(store, NODE, "172.16.1.1/24")
    await admin.create(_pool(vxlan_mode="Always"))
    await _half_released(admin)
    tunnels = TunnelAddresses(store, IPAM(store), NODE)
    await tunnels.reconcile()
    await admin.delete(Key("IPPool", "", "pool"))
    await tunnels.reconcile()
    await flows_node.starting(admin, store, NODE)
    await flows_node.reporting(store, NODE)
    await flows_node.answering(admin, store, NODE)
    await flows_node.token(store)
    kinds = {*FELIX_KINDS, *BGP_KINDS, "CalicoNodeStatus"}
    await _follow(admin, store, tuple(kinds), done)


async def plugin(admin: Datastore, store: Datastore, _done: Done) -> None:
    """The CNI plugin's ADD, DEL and GC of a pod: its addresses, and their record."""
    selectors = {"node_selector": "has(kubernetes.io/os)", "namespace_selector": "all()"}
    await admin.create(_pool(**selectors))
    await _half_released(admin)
    ipam, records = IPAM(store), Records(store)
    workload = Workload(NODE, POD.namespace, POD.name, "k8s", "c1")
    request = AssignRequest(node=NODE, handle="net.c1", attributes=workload.attributes)
    found = await records.find(workload)
    addresses = (await ipam.auto_assign(request)).ips
    await records.write(workload, found, "net", tuple(map(str, addresses)), "")
    assert (await admin.get(POD)).metadata.annotations["cni.projectcalico.org/podIP"]
    assert await records.all()
    await ipam.release_by_handle("net.c1")
    await records.clear(workload)


async def controllers(admin: Datastore, store: Datastore, done: Done) -> None:
    """The controllers: an address that leaked, over two blocks, then the block that is too many."""
    await admin.create(_pool(block_size=30))
    about = {"namespace": "shop", "pod": "gone", "node": NODE}
    request = AssignRequest(node=NODE, handle="net.gone", count4=6, attributes=about)
    await IPAM(admin).auto_assign(request)
    collector = Collector(store, grace=1e-9)
    for _ in range(4):
        await collector.collect()
    assert len((await admin.list("IPAMBlock")).resources) == 1
    assert not (await admin.list("IPAMHandle")).resources
    await flows_addresses.addresses(admin, store)
    await flows_leading.leading(admin, store)
    kinds = {*flows_addresses.KINDS, *flows_leading.KINDS}
    await _while(_watch(store, kinds), done)


async def fanout(admin: Datastore, store: Datastore, done: Done) -> None:
    """The fan-out server: its three streams, and how many servers and nodes there are."""
    share = asyncio.ensure_future(watch_share(store, ServerSettings(), lambda _: None))
    await store.identity()
    await check_unlocked(store)
    streams = (BGP_KINDS, TUNNEL_KINDS, FELIX_KINDS)
    await asyncio.gather(*(_follow(admin, store, kinds, done) for kinds in streams))
    share.cancel()


async def viewer(_admin: Datastore, store: Datastore, done: Done) -> None:
    """A person who looks: at one object, at all objects, at what changes, of every kind."""
    core = ("Pod", "Namespace", "ServiceAccount", "Service", "EndpointSlice", "Node")
    policies = [kind for kind in KINDS if kind.startswith("Kubernetes") and "Policy" in kind]
    kinds = [*CUSTOM_KINDS, *core, *policies]
    for kind in kinds:
        await store.list(kind)
        with suppress(NotFound):
            await store.get(Key(kind, "shop" if KINDS[kind].namespaced else "", "none"))
    await flows_node.reports(store)
    await _while(_watch(store, kinds), done)


async def operator(admin: Datastore, store: Datastore, done: Done) -> None:
    """A person who also writes: objects of Calico's, and what Calico says of a node."""
    await viewer(admin, store, done)
    made = await store.create(_set("a"))
    made = await store.update(replace(made, spec=NetworkSetSpec(nets=("10.0.0.0/8",))))
    await store.delete(made.key)
    await ensure_node(store, NODE, "172.16.1.2/24")


async def _watch(store: Datastore, kinds: Collection[str]) -> None:
    async with aclosing(store.watch(kinds, await store.revision())) as batches:
        async for _ in batches:
            pass


async def _follow(admin: Datastore, store: Datastore, kinds: Collection[str], done: Done) -> None:
    """A stream, until it told of a change that came after the first picture."""
    warnings: list[object] = []
    seen: set[Key] = set()
    syncer = Syncer(store, kinds, on_warning=warnings.append)

    async def stream() -> None:
        async with aclosing(syncer.stream()) as batches:
            async for batch in batches:
                seen.update(item.key for item in batch if isinstance(item, Update))
                assert not warnings, warnings

    async def changes() -> None:
        await _until(lambda: syncer.in_sync or bool(warnings))
        assert not warnings, warnings
        made = await admin.create(_set(f"set-{len(kinds)}"))
        await _until(lambda: made.kind not in kinds or made.key in seen)

    following = asyncio.ensure_future(changes())
    await _while(stream(), lambda: following.done() and (bool(following.exception()) or done()))
    await following


async def _until(condition: Done) -> None:
    for _ in range(LOOKS):
        if condition():
            return
        await asyncio.sleep(LOOK_SECONDS)


async def _while(work: Coroutine[None, None, None], done: Done) -> None:
    """Let it work until `done`; what it raises comes first."""
    working = asyncio.ensure_future(work)
    await _until(lambda: working.done() or done())
    if working.done():
        working.result()
    working.cancel()
    await asyncio.gather(working, return_exceptions=True)


def _set(name: str) -> GlobalNetworkSet:
    return GlobalNetworkSet(metadata=ObjectMeta(name=name), spec=NetworkSetSpec())


def _pool(**changes: object) -> IPPool:
    spec = IPPoolSpec(cidr="10.66.0.0/24", block_size=26)
    return IPPool(metadata=ObjectMeta(name="pool"), spec=replace(spec, **changes))


async def _half_released(admin: Datastore) -> None:
    """A block that the node was just giving up when it ended: whoever comes next finishes that."""
    ipam = IPAM(admin)
    use = "Tunnel" if (await admin.list("IPPool")).resources[0].spec.vxlan_mode else "Workload"
    await ipam.auto_assign(AssignRequest(node=NODE, handle="earlier", use=use, namespace="shop"))
    await ipam.release_by_handle("earlier")
    (claim,) = (await admin.list("BlockAffinity")).resources
    await admin.update(replace(claim, spec=replace(claim.spec, state="pendingDeletion")))
