"""What stands upon the store works on a real etcd: following it, and giving out addresses."""

import asyncio
from contextlib import aclosing
from random import Random

import pytest

from servers.etcd import EtcdServer
from strategies.datastore import global_network_set, network_set, revision_of
from tortie.api import IPPool, IPPoolSpec, Key, ObjectMeta, Resource, with_metadata
from tortie.datastore import Conflict, Datastore, NotFound
from tortie.datastore.etcd import EtcdDatastore
from tortie.ipam import IPAM, AssignRequest
from tortie.sync import Backoff, Progress, Syncer, Update

KINDS = ("NetworkSet", "GlobalNetworkSet")
Reached = asyncio.Queue[int]


async def follow(store: Datastore, seen: dict[Key, Resource], reached: Reached) -> None:
    """Fold the stream into `seen`; `reached` gets each revision up to which that is all."""

    async def soon(_: float) -> None:
        await asyncio.sleep(0.02)

    syncer = Syncer(store, KINDS, on_warning=lambda _: None, backoff=Backoff(sleep=soon))
    async with aclosing(syncer.stream()) as batches:
        async for batch in batches:
            for item in batch:
                if isinstance(item, Update) and item.value is None:
                    seen.pop(item.key, None)
                elif isinstance(item, Update) and item.value is not None:
                    seen[item.key] = item.value
                elif isinstance(item, Progress):
                    reached.put_nowait(item.revision)


async def change(store: EtcdDatastore, random: Random, name: str) -> None:
    """Create, update or delete an object, whichever works."""
    make = random.choice((network_set, global_network_set))
    resource = with_metadata(make(name), labels={"n": str(random.random())})
    try:
        if random.random() < 0.3:
            await store.delete(resource.key)
        else:
            await store.update(resource)
    except NotFound:
        await store.create(resource)
    except Conflict:
        return


@pytest.mark.parametrize("trouble", ["restart", "compact", "restart and compact"])
def test_a_follower_ends_equal_to_the_store_after_any_trouble(
    etcd: EtcdServer, trouble: str
) -> None:
    random = Random(trouble)
    seen: dict[Key, Resource] = {}

    async def body() -> None:
        reached = Reached()
        store, other = [await EtcdDatastore.open(etcd.client) for _ in range(2)]
        following = asyncio.ensure_future(follow(store, seen, reached))
        for _ in range(4):
            for _ in range(25):
                await change(other, random, random.choice("abcdefgh"))
            if "restart" in trouble:
                etcd.restart()
            if "compact" in trouble:
                await other.compact(await other.revision())
        end = revision_of(await other.create(global_network_set("end")))
        async with asyncio.timeout(30):
            while await reached.get() < end:
                pass
        stored = [found for kind in KINDS for found in (await other.list(kind)).resources]
        assert seen == {found.key: found for found in stored}
        following.cancel()
        await asyncio.wait([following])
        await store.close()
        await other.close()

    asyncio.run(body())


def test_nodes_that_want_addresses_at_once_each_get_their_own(etcd: EtcdServer) -> None:
    async def body() -> None:
        stores = [await EtcdDatastore.open(etcd.client) for _ in range(3)]
        spec = IPPoolSpec(cidr="10.0.0.0/24", block_size=28)
        await stores[0].create(IPPool(metadata=ObjectMeta(name="pool"), spec=spec))

        async def node(number: int) -> list[str]:
            ipam, found = IPAM(stores[number]), []
            for each in range(20):
                request = AssignRequest(node=f"n{number}", handle=f"net.{number}-{each}")
                found += [str(ip) for ip in (await ipam.auto_assign(request)).ips]
            return found

        of_nodes = await asyncio.gather(*(node(number) for number in range(3)))
        found = [ip for of_node in of_nodes for ip in of_node]
        assert len(found) == len(set(found)) == 60
        blocks = (await stores[0].list("IPAMBlock")).resources
        held = [index for block in blocks for index in block.spec.allocations if index is not None]
        assert len(held) == 60
        handles = (await stores[0].list("IPAMHandle")).resources
        assert sum(sum(handle.spec.block.values()) for handle in handles) == 60
        for number in range(3):
            await IPAM(stores[number]).release_node(f"n{number}")
        assert (await stores[0].list("BlockAffinity")).resources == ()
        for store in stores:
            await store.close()

    asyncio.run(body())
