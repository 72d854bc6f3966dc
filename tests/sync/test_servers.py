"""Streams of real servers that are killed, stopped and compacted while others write."""

import asyncio
import os
import random
import signal
from collections.abc import Awaitable, Callable, Coroutine
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from servers.etcd import EtcdServer
from servers.kube import KubeServer
from servers.pki import Pki
from sync.following import Follower, Good, compare
from tortie.api import GlobalNetworkSet, IPPool, IPPoolSpec, Node, NodeSpec, ObjectMeta, Resource
from tortie.api.calico.global_network_policy import GlobalNetworkPolicy, GlobalNetworkPolicySpec
from tortie.api.calico.network_set import NetworkSetSpec
from tortie.datastore import (
    AlreadyExists,
    Conflict,
    Datastore,
    DatastoreError,
    NotFound,
    Unavailable,
    open_datastore,
)
from tortie.datastore.etcd import EtcdDatastore
from tortie.datastore.settings import DatastoreSettings
from tortie.sync import BGP_KINDS, FELIX_KINDS, TUNNEL_KINDS, Backoff, Syncer

STREAMS = (FELIX_KINDS, BGP_KINDS, TUNNEL_KINDS)
BOUND = 60.0  # seconds
NAMES = [f"n{number}" for number in range(12)]
Fault = Callable[[Datastore], Awaitable[None]]


def thing(chance: random.Random, nodes: bool) -> Resource:
    """One of few objects, each with a value of its own."""
    metadata = ObjectMeta(name=chance.choice(NAMES), labels={"n": str(chance.random())})
    made: list[Resource] = [
        GlobalNetworkSet(metadata=metadata, spec=NetworkSetSpec(nets=("10.0.0.0/8",))),
        GlobalNetworkPolicy(metadata=metadata, spec=GlobalNetworkPolicySpec(selector="all()")),
        IPPool(metadata=metadata, spec=IPPoolSpec(cidr=f"10.{chance.randrange(200)}.0.0/16")),
    ]
    if nodes:
        made.append(Node(metadata=metadata, spec=NodeSpec()))
    return chance.choice(made)


class Writer:
    """Puts and deletes until told to stop, whatever fails."""

    def __init__(self, store: Datastore, nodes: bool) -> None:
        self._store = store
        self._nodes = nodes
        self._done = 0
        self.stop = False  # after the write that goes on: a cancelled one may still be done later

    async def run(self) -> None:
        """Write until then."""
        chance = random.Random(5)
        while not self.stop:
            try:
                await _write_one(self._store, thing(chance, self._nodes), chance)
                self._done += 1
            except (AlreadyExists, Conflict, NotFound):
                continue
            except Unavailable:
                await asyncio.sleep(0.05)

    async def more(self, count: int) -> None:
        """Return after so many further writes."""
        wanted = self._done + count
        async with asyncio.timeout(BOUND):
            while self._done < wanted:  # noqa: ASYNC110 - what is waited for has no event
                await asyncio.sleep(0.01)


async def _write_one(store: Datastore, wanted: Resource, chance: random.Random) -> None:
    if chance.random() < 0.3:
        await store.delete(wanted.key)
        return
    try:
        await store.create(wanted)
    except AlreadyExists:
        await store.update(wanted)


async def hold_together(
    open_store: Callable[[], Coroutine[Any, Any, Datastore]], faults: list[Fault], nodes: bool
) -> None:
    """Follow three streams through all faults under writes; each ends equal to the datastore."""
    writing, reading = await open_store(), await open_store()
    told: list[str] = []
    followers = {
        kinds: Follower(Syncer(reading, kinds, on_warning=lambda it: told.append(str(it))))
        for kinds in STREAMS
    }
    tasks = [follower.start() for follower in followers.values()]
    writer = Writer(writing, nodes)
    busy = asyncio.create_task(writer.run())
    for fault in faults:
        await writer.more(10)
        await fault(writing)
    await writer.more(10)
    writer.stop = True
    await busy
    await writing.create(GlobalNetworkSet(metadata=ObjectMeta(name="end"), spec=NetworkSetSpec()))
    last = (
        await writing.create(Node(metadata=ObjectMeta(name="end"), spec=NodeSpec()))
        if nodes
        else await writing.create(
            IPPool(metadata=ObjectMeta(name="end"), spec=IPPoolSpec(cidr="172.16.0.0/16"))
        )
    )
    for kinds, follower in followers.items():
        await follower.until(int(last.metadata.resource_version), BOUND)
        await compare(follower.values, reading, kinds, Good(list))
        assert follower.in_syncs == 1
    assert any("can't be followed" in line for line in told), "nothing of this was an outage"
    await reading.close()
    await asyncio.gather(*tasks)
    await writing.close()


def test_streams_of_an_etcd_that_is_killed_stopped_and_compacted_end_equal(
    etcd: EtcdServer,
) -> None:
    async def killed(_: Datastore) -> None:
        await asyncio.to_thread(etcd.restart)

    async def away(_: Datastore) -> None:
        await asyncio.to_thread(etcd.kill)
        await asyncio.sleep(0.5)
        await asyncio.to_thread(etcd.restart)

    async def stopped(_: Datastore) -> None:
        os.kill(etcd.pid, signal.SIGSTOP)
        await asyncio.sleep(1.5)
        os.kill(etcd.pid, signal.SIGCONT)

    async def compacted(store: Datastore) -> None:
        assert isinstance(store, EtcdDatastore)
        await asyncio.to_thread(etcd.kill)
        await asyncio.sleep(0.2)
        await asyncio.to_thread(etcd.restart)
        await persistent(lambda: store.revision(), store.compact)

    async def open_store() -> Datastore:
        return await EtcdDatastore.open(etcd.client)

    faults: list[Fault] = [killed, compacted, stopped, killed, away, compacted, killed]
    asyncio.run(asyncio.wait_for(hold_together(open_store, faults, nodes=True), 3 * BOUND))


def test_streams_of_an_api_server_that_is_killed_and_stopped_end_equal(
    fresh_kube: KubeServer,
) -> None:
    from tortie.datastore.kubernetes import KubernetesDatastore

    async def killed(_: Datastore) -> None:
        await asyncio.to_thread(fresh_kube.restart)

    async def stopped(_: Datastore) -> None:
        with fresh_kube.paused():
            await asyncio.sleep(1.5)

    async def compacted(_: Datastore) -> None:
        await asyncio.to_thread(fresh_kube.compact)

    async def open_store() -> Datastore:
        return await KubernetesDatastore.open(fresh_kube.client())

    faults: list[Fault] = [killed, stopped, compacted, killed]
    asyncio.run(asyncio.wait_for(hold_together(open_store, faults, nodes=False), 3 * BOUND))


async def refused(settings: DatastoreSettings) -> str:
    """What a stream of a store that does not let us in tells in several attempts, once."""
    told: list[str] = []
    attempts = asyncio.Event()
    tries = 0

    async def count(_: float) -> None:
        nonlocal tries
        tries += 1
        if tries == 3:
            attempts.set()
        await asyncio.sleep(0.01)

    store = await open_datastore(settings)
    syncer = Syncer(store, TUNNEL_KINDS, lambda line: told.append(str(line)), Backoff(sleep=count))
    following = Follower(syncer).start()
    await asyncio.wait_for(attempts.wait(), BOUND)
    assert syncer.outage is not None
    assert not syncer.in_sync
    following.cancel()
    await asyncio.gather(following, return_exceptions=True)
    await store.close()
    (line,) = told
    assert "\n" not in line
    assert line == f"the datastore can't be followed, will go on trying: {syncer.outage.reason}"
    return line


def test_a_certificate_of_another_authority_is_told_in_one_line_once(
    etcd_tls: EtcdServer, tmp_path: Path
) -> None:
    pair = Pki(tmp_path, "other").issue("root")
    wrong = replace(etcd_tls.client, certificate=pair.certificate, key=pair.key)
    assert "certificate" in asyncio.run(refused(wrong))


def test_a_server_of_another_authority_is_told_in_one_line_once(
    etcd_tls: EtcdServer, tmp_path: Path
) -> None:
    wrong = replace(etcd_tls.client, ca=Pki(tmp_path, "other").ca)
    assert "certificate" in asyncio.run(refused(wrong))


def test_an_expired_token_is_told_in_one_line_once(kube: KubeServer) -> None:
    client = kube.client()
    expired = replace(
        client, certificate=b"", key=b"", token=kube.token("default", "default", seconds=-60)
    )
    assert "token" in asyncio.run(refused(expired))


async def persistent(
    read: Callable[[], Awaitable[int]], act: Callable[[int], Awaitable[None]]
) -> None:
    """Act on what is read, again while the server is away."""
    async with asyncio.timeout(BOUND):
        while True:
            try:
                await act(await read())
                return
            except DatastoreError:
                await asyncio.sleep(0.05)
