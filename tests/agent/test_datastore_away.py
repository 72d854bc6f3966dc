"""An agent whose datastore is a real etcd that is away at first, and again later."""

import asyncio

import pytest

from agent.doubles import EchoEngine, RecordingDriver, settings
from servers.etcd import EtcdServer
from tortie.agent.agent import Agent
from tortie.agent.allegiance import Allegiance
from tortie.agent.pipeline import Pipeline
from tortie.agent.waiters import NotReady
from tortie.api import Node, NodeSpec, ObjectMeta
from tortie.datastore.etcd import EtcdDatastore
from tortie.node.addressing import Addressing, wanted_addresses
from tortie.sync import Syncer

BOUND = 60.0  # seconds


async def until(condition):
    async with asyncio.timeout(BOUND):
        while not condition():  # noqa: ASYNC110 - what is waited for has no event
            await asyncio.sleep(0.01)


def numbers(agent):
    """The metrics by name."""
    lines = agent.metrics.page().body.decode().splitlines()
    return dict(line.rsplit(" ", 1) for line in lines if not line.startswith("#"))


def test_away_at_first_and_again_later_is_waited_for_and_said(etcd: EtcdServer, tmp_path):
    async def body():
        etcd.kill()
        store = await EtcdDatastore.open(etcd.client)
        allegiance, told = Allegiance(str(tmp_path), "etcd"), []
        syncer = Syncer(store, on_warning=lambda it: told.append(str(it)), admit=allegiance.admit)
        pipeline = Pipeline(EchoEngine(), RecordingDriver("all"))
        agent = Agent(settings(DataplaneWatchdogTimeout=4), syncer, pipeline)
        task = asyncio.create_task(agent.run())

        await until(lambda: b"not followed since" in agent.readiness().body)
        assert agent.readiness().status == 503
        assert b"what an earlier agent programmed is in force" in agent.readiness().body
        assert agent.health.liveness().status == 200
        assert agent.freshness().last_update is None
        assert numbers(agent)["felix_resync_state"] == "1.0"
        with pytest.raises(NotReady, match="could not be reached"):
            await allegiance.wait(0.01)

        await asyncio.to_thread(etcd.start)
        await until(lambda: agent.readiness().status == 200)
        assert allegiance.sworn.is_set()
        wanted = wanted_addresses({"IP": "172.16.1.2/24"})
        await Addressing(store, "n1", wanted, told.append, told.append).run()
        made = await store.create(Node(metadata=ObjectMeta(name="n2"), spec=NodeSpec()))
        revision = int(made.metadata.resource_version)
        await agent.wait_applied(revision, BOUND)
        assert numbers(agent)["felix_cluster_num_hosts"] == "2.0"

        etcd.kill()
        await until(lambda: agent.readiness().status == 503)
        assert f"the policy of revision {revision} is in force" in agent.readiness().body.decode()
        assert agent.health.liveness().status == 200
        await until(lambda: float(numbers(agent)["tortie_datastore_stale_seconds"]) > 0)
        found = agent.freshness()
        assert found.stale_since is not None
        assert found.last_update is not None

        await asyncio.to_thread(etcd.restart)
        await until(lambda: agent.readiness().status == 200)
        await until(lambda: numbers(agent)["felix_resync_state"] == "3.0")
        assert numbers(agent)["tortie_datastore_stale_seconds"] == "0.0"
        assert len(told) <= 4, told
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await store.close()

    asyncio.run(asyncio.wait_for(body(), 3 * BOUND))
