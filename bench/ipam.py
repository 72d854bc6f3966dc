"""What addresses cost: prints JSON lines {"name", "value", "unit"}.

Nodes that want addresses at once, on a real etcd: each with a store and an IPAM of its own, and
no node with two requests at a time. Beside them the bound: what one allocation asks of etcd (four
reads in one, then two writes), bare, by as many callers in one process, too; and one write alone.
All nodes share one CPU, this process's: what 64 wait for is mostly each other, above all at their
first request, with which each claims a block. Then a node's 30 pods that start in one moment.
A conflict is a write that another node's write made void. The audit is that of `tortie ipam check`
and of who collects leaks: 5,000 nodes with a block each, 100,000 addresses, 20,000 leaked; in a
process of its own, with a store in memory; told is what memory that takes beyond it. The collection
is a whole pass of the controllers: the audit, what they remember of it, and their numbers.
"""

import asyncio
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

from bench.sync import tell
from servers.etcd import etcd_server
from strategies.ipam import pool
from tortie.api import (
    BlockAffinity,
    BlockAffinitySpec,
    IPAMBlock,
    IPAMHandle,
    IPAMHandleSpec,
    Node,
    NodeSpec,
    ObjectMeta,
    Pod,
    decode,
)
from tortie.controllers.collector import Collector
from tortie.datastore import AlreadyExists, Conflict
from tortie.datastore.etcd import EtcdDatastore, requests
from tortie.datastore.etcd.connection import Connection
from tortie.datastore.etcd.members import TXN
from tortie.datastore.memory import MemoryDatastore
from tortie.datastore.settings import EtcdSettings
from tortie.ipam import IPAM, AssignRequest
from tortie.ipam.audit import audit
from tortie.ipam.block import empty_block, holder, take
from tortie.ipam.names import Owner, affinity_key, block_key
from tortie.ipam.records import read_records
from tortie.net import Prefix, parse_network

ADDRESSES = 1_200  # in all, however many nodes: one node may have 20 blocks of 64
CONTENDING = (1, 8, 64)
BURST, ROUNDS = 30, 15
NODES, EACH, LEAKED = 5_000, 20, 4


class Counted(EtcdDatastore):
    """A store that counts the writes that were void."""

    conflicts = 0

    async def create(self, resource: Any) -> Any:
        return await self._counted(lambda: super(Counted, self).create(resource))

    async def update(self, resource: Any) -> Any:
        return await self._counted(lambda: super(Counted, self).update(resource))

    async def delete(self, key: Any, revision: int | None = None) -> Any:
        return await self._counted(lambda: super(Counted, self).delete(key, revision))

    async def _counted(self, write: Callable[[], Awaitable[Any]]) -> Any:
        try:
            return await write()
        except (Conflict, AlreadyExists):
            Counted.conflicts += 1
            raise


async def contending(settings: EtcdSettings, nodes: int, number: int) -> None:
    """`nodes` nodes that take addresses of one pool until `ADDRESSES` are taken."""
    stores = [await Counted.open(settings) for _ in range(nodes)]
    await stores[0].create(pool(f"pool{number}", f"10.{number}.0.0/16", block_size=26))
    left = iter(range(ADDRESSES))
    times: list[float] = []
    first: list[float] = []  # each node's, with the claim of a block
    Counted.conflicts = 0

    async def node(index: int) -> None:
        ipam = IPAM(stores[index])
        into = first
        for count in left:
            start = time.perf_counter()
            wanted = AssignRequest(
                node=f"n{number}-{index}", handle=f"h{number}-{count}", pools4=(f"pool{number}",)
            )
            await ipam.auto_assign(wanted)
            into.append(time.perf_counter() - start)
            into = times

    start, cpu = time.perf_counter(), time.process_time()
    await asyncio.gather(*map(node, range(nodes)))
    took = time.perf_counter() - start
    cost = (time.process_time() - cpu) / ADDRESSES
    tell(f"ipam_etcd_cpu_per_allocation_{nodes}_nodes", cost * 1e3, "ms")
    tell(f"ipam_etcd_allocations_{nodes}_nodes", ADDRESSES / took, "1/s")
    tell(f"ipam_etcd_bare_allocations_{nodes}_callers", await bare(settings, nodes, asked), "1/s")
    tell(f"ipam_etcd_bare_transactions_{nodes}_callers", await bare(settings, nodes, put), "1/s")
    both = first + times
    tell(f"ipam_etcd_p50_{nodes}_nodes", statistics.median(both) * 1e3, "ms")
    tell(f"ipam_etcd_p99_{nodes}_nodes", statistics.quantiles(both, n=100)[98] * 1e3, "ms")
    later = statistics.quantiles(times, n=100)[98]
    tell(f"ipam_etcd_p99_{nodes}_nodes_after_the_first", later * 1e3, "ms")
    per = Counted.conflicts / ADDRESSES
    tell(f"ipam_etcd_conflicts_per_allocation_{nodes}_nodes", per, "")
    for store in stores:
        await store.close()


async def burst(settings: EtcdSettings) -> None:
    """A node's pods that all start in one moment: their addresses given, then given back."""
    store = await Counted.open(settings)
    await store.create(pool("burst", "10.200.0.0/16", block_size=26))
    ipam = IPAM(store)
    handles = [f"burst-{number}" for number in range(BURST)]
    wanted = [AssignRequest(node="b", handle=one, pools4=("burst",)) for one in handles]
    there, back = [], []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        await ipam.lease(wanted)
        there.append(time.perf_counter() - start)
        start = time.perf_counter()
        await ipam.release_by_handles(handles)
        back.append(time.perf_counter() - start)
    tell(f"ipam_etcd_{BURST}_at_once", statistics.median(there) * 1e3, "ms")
    tell(f"ipam_etcd_{BURST}_back_at_once", statistics.median(back) * 1e3, "ms")
    await store.close()


async def put(connection: Connection, path: bytes, value: bytes) -> None:
    """One write."""
    await connection.member.call(TXN)(requests.create(path + b"/put", value), timeout=10)


async def asked(connection: Connection, path: bytes, value: bytes) -> None:
    """What an allocation asks: pools, configuration, reservations, lock; handle; block."""
    await connection.member.call(TXN)(requests.read_any((path,) * 4), timeout=10)
    await connection.member.call(TXN)(requests.create(path + b"/handle", value[:200]), timeout=10)
    await connection.member.call(TXN)(requests.replace(path + b"/block", 0, value), timeout=10)


async def bare(
    settings: EtcdSettings,
    callers: int,
    work: Callable[[Connection, bytes, bytes], Awaitable[None]],
) -> float:
    """How often a second `work` is done, with a value of a block's size."""
    connections = [Connection(settings) for _ in range(callers)]
    left = iter(range(ADDRESSES))
    value = b"x" * 1000

    async def caller(connection: Connection) -> None:
        for number in left:
            await work(connection, b"/bare/%d/%d" % (callers, number), value)

    start = time.perf_counter()
    await asyncio.gather(*map(caller, connections))
    took = time.perf_counter() - start
    for connection in connections:
        await connection.close()
    return ADDRESSES / took


async def audited() -> None:
    """The child: one pass over a large cluster."""
    store = MemoryDatastore()
    await store.create(pool("pool", "10.0.0.0/12", block_size=26))
    for number in range(NODES):
        await _filled(store, number)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start, cpu = time.perf_counter(), time.process_time()
    found = audit(await read_records(store))
    took = time.perf_counter() - start
    assert len(found.allocations) == NODES * EACH
    assert len(found.leaked) == NODES * LEAKED
    del found
    start = time.perf_counter()
    done = await Collector(store, grace=900).collect()
    whole = time.perf_counter() - start
    cost = time.process_time() - cpu  # of both
    assert len(done.candidates) == NODES * LEAKED
    print(took, whole, cost, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024)


async def _filled(store: MemoryDatastore, number: int) -> None:
    """A node, its block, its pods."""
    name = f"node-{number}"
    cidr = Prefix(4, parse_network("10.0.0.0").address + number * 64, 26)
    await store.create(Node(metadata=ObjectMeta(name=name), spec=NodeSpec()))
    spec = empty_block(cidr, f"host:{name}", False, "2024-01-01T00:00:00Z")
    for place in range(EACH):
        about = {"namespace": "shop", "pod": f"p-{number}-{place}", "node": name}
        taken = take(spec, 1, holder(f"h-{number}-{place}", about))
        spec = taken.block
        handle = IPAMHandleSpec(handle_id=f"h-{number}-{place}", block={str(cidr): 1})
        await store.create(IPAMHandle(metadata=ObjectMeta(name=f"h-{number}-{place}"), spec=handle))
        if place >= LEAKED:
            await store.create(_pod(number, place, taken.addresses[0]))
    await store.create(IPAMBlock(metadata=ObjectMeta(name=block_key(cidr).name), spec=spec))
    claim = BlockAffinitySpec(state="confirmed", node=name, type="host", cidr=str(cidr))
    key = affinity_key(Owner(name), cidr)
    await store.create(BlockAffinity(metadata=ObjectMeta(name=key.name), spec=claim))


def _pod(number: int, place: int, address: Prefix) -> Pod:
    text = str(address).removesuffix("/32")
    found = decode(
        "Pod",
        f'{{"metadata":{{"name":"p-{number}-{place}","namespace":"shop"}},"spec":{{"nodeName":'
        f'"node-{number}","containers":[{{"name":"c"}}]}},"status":{{"podIP":"{text}"}}}}'.encode(),
    )
    assert isinstance(found, Pod)
    return found


def main() -> None:
    """Print the figures."""
    if sys.argv[1:] == ["audited"]:
        asyncio.run(audited())
        return
    with etcd_server(durable=True) as server:
        settings = EtcdSettings(endpoints=(server.endpoint,))
        for number, nodes in enumerate(CONTENDING):
            asyncio.run(contending(settings, nodes, number))
        asyncio.run(burst(settings))
    done = subprocess.run(
        [sys.executable, "-m", "bench.ipam", "audited"],
        stdout=subprocess.PIPE,
        text=True,
        timeout=300,
        check=True,
    )
    seconds, whole, cost, peak = map(float, done.stdout.split())
    tell("ipam_audit_5000_nodes_100000_addresses", seconds, "s")
    tell("ipam_collection_5000_nodes_100000_addresses", whole, "s")
    tell("ipam_audit_and_collection_cpu", cost, "s")
    tell("ipam_collection_memory_beyond_the_store", peak, "MiB")


if __name__ == "__main__":
    main()
