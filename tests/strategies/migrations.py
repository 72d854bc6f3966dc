"""Whole clusters to migrate, and what is done with them."""

import io
from collections.abc import Sequence

from tortie.api import (
    BlockAffinity,
    BlockAffinitySpec,
    GlobalNetworkPolicy,
    IPAMBlock,
    IPAMBlockSpec,
    IPAMHandle,
    IPAMHandleSpec,
    IPPool,
    IPPoolSpec,
    Namespace,
    NetworkPolicy,
    NetworkPolicySpec,
    Node,
    NodeBgp,
    NodeSpec,
    ObjectMeta,
    Resource,
    Tier,
    TierSpec,
)
from tortie.api.calico.global_network_policy import GlobalNetworkPolicySpec
from tortie.datastore import Datastore
from tortie.datastore.migrate.content import digest_of
from tortie.datastore.migrate.exporting import export
from tortie.datastore.migrate.importing import Differences, Prepared, carry_out, prepare
from tortie.datastore.migrate.locking import lock
from tortie.datastore.migrate.survey import stored_kinds

RELEASE = "0.1.0"


class Silent:
    """Nobody looks."""

    def begin(self, what: str, total: int | None) -> None: ...

    def advance(self, what: str, count: int) -> None: ...

    def done(self) -> None: ...


def cluster(policies: int = 3) -> list[Resource]:
    """One object or more of every sort of kind that a Calico cluster has in etcd."""
    meta = ObjectMeta
    return [
        Tier(metadata=meta(name="security"), spec=TierSpec(order=100.0)),
        *(
            GlobalNetworkPolicy(
                metadata=meta(name=f"security.p{number}", annotations={"n": "ñ"}),
                spec=GlobalNetworkPolicySpec(tier="security", selector="all()", types=("Ingress",)),
            )
            for number in range(policies)
        ),
        NetworkPolicy(
            metadata=meta(name="web", namespace="default", annotations={"note": "kept"}),
            spec=NetworkPolicySpec(tier="default", selector="app == 'web'", types=("Egress",)),
        ),
        IPPool(metadata=meta(name="pool"), spec=IPPoolSpec(cidr="10.7.0.0/16", block_size=26)),
        IPAMBlock(
            metadata=meta(name="10-7-0-0-29"),
            spec=IPAMBlockSpec(
                cidr="10.7.0.0/29",
                affinity="host:n1",
                strict_affinity=False,
                allocations=(None,) * 8,
                unallocated=tuple(range(8)),
                attributes=(),
            ),
        ),
        BlockAffinity(
            metadata=meta(name="n1-10-7-0-0-29"),
            spec=BlockAffinitySpec(state="confirmed", node="n1", cidr="10.7.0.0/29"),
        ),
        IPAMHandle(
            metadata=meta(name="net.ID-a"),
            spec=IPAMHandleSpec(handle_id="net.ID-a", block={"10.7.0.0/29": 1}),
        ),
        Node(
            metadata=meta(name="n1", labels={"rack": "7"}),
            spec=NodeSpec(bgp=NodeBgp(ipv4_address="172.16.0.1/24", as_number=64512)),
        ),
    ]


def kubernetes_objects() -> list[Resource]:
    """What a store keeps beside them where it is the only one."""
    return [Namespace(metadata=ObjectMeta(name="default", labels={"team": "a"}))]


async def fill(store: Datastore, resources: Sequence[Resource]) -> None:
    """Create all, and lock."""
    for one in resources:
        await store.create(one)
    await lock(store, RELEASE)


async def exported(store: Datastore) -> bytes:
    """The whole file."""
    file = io.BytesIO()
    await export(store, file, RELEASE, Silent())
    return file.getvalue()


async def imported(store: Datastore, data: bytes) -> tuple[Prepared, Differences]:
    """Look, then write."""
    file = io.BytesIO(data)
    prepared = await prepare(store, file, Silent())
    assert not prepared.plan.blocked, [str(problem) for problem in prepared.plan.blocked]
    return prepared, await carry_out(store, file, prepared, Silent())


async def contents(store: Datastore, without: Sequence[str] = ()) -> dict[object, bytes]:
    """What the store holds, for comparing."""
    found: dict[object, bytes] = {}
    for kind in stored_kinds(store):
        if kind not in without:
            listing = await store.list(kind)
            assert not listing.malformed
            found |= {one.key: digest_of(one) for one in listing.resources}
    return found
