"""What any cluster has before somebody says anything: a namespace, pools, Nodes as kubelets do."""

from tortie.api import IPPool, IPPoolSpec, Namespace, ObjectMeta, Resource
from tortie.api.kube.node import KubernetesNode
from tortie.datastore import AlreadyExists, Datastore
from tortie.lab.plan import POOL_CIDR, POOL_CIDR6, Encap, Plan, Shape
from tortie.lab.tor import router_peers


async def ensure_machines(store: Datastore, plan: Plan) -> None:
    """Nodes in Kubernetes, as kubelets register them."""
    for node in plan.nodes:
        await _ensure(store, KubernetesNode(metadata=ObjectMeta(name=node.name)))


async def ensure_defaults(store: Datastore, plan: Plan) -> None:
    """The namespace `default`, a pool where none is given, and the router's BGP."""
    await _ensure(store, Namespace(metadata=ObjectMeta(name="default")))
    if not (await store.list("IPPool")).resources:
        for pool in default_pools(plan.shape):
            await _ensure(store, pool)
    for peer in router_peers(plan):
        await _ensure(store, peer)


def default_pools(shape: Shape) -> list[IPPool]:
    """Calico's default pools, with the lab's tunnel and NAT to the outside."""
    found = []
    for version in shape.families.versions:
        cidr, block = (POOL_CIDR, 26) if version == 4 else (POOL_CIDR6, 122)
        spec = IPPoolSpec(
            cidr=cidr,
            vxlan_mode=shape.mode if shape.encap is Encap.VXLAN else "Never",
            ipip_mode=shape.mode if shape.encap is Encap.IPIP and version == 4 else "Never",
            nat_outgoing=True,
            block_size=block,
        )
        metadata = ObjectMeta(name=f"default-ipv{version}-ippool")
        found.append(IPPool(metadata=metadata, spec=spec))
    return found


async def _ensure(store: Datastore, resource: Resource) -> None:
    try:
        await store.create(resource)
    except AlreadyExists:
        return
