"""What goes wrong around an agent: a datastore that is away at first, a full disk, links."""

import asyncio
import os
from functools import partial
from types import SimpleNamespace

import pytest
import structlog

from strategies.datastore import global_network_set
from strategies.faults import FaultyStore
from tortie.agent.allegiance import Allegiance, OtherDatastore, pledge
from tortie.agent.runlock import AlreadyRunning, RunLock
from tortie.agent.waiters import NotReady
from tortie.cni.errors import TRY_AGAIN
from tortie.cni.server import CniServer
from tortie.daemon.log import configure_logs, dropped_lines
from tortie.datastore.memory import MemoryDatastore
from tortie.sync import Backoff, InSync, Progress, Syncer


def hurried():
    return Backoff(sleep=lambda _: asyncio.sleep(0))


def test_a_datastore_that_is_away_at_first_is_waited_for_and_told_once_for_each_reason():
    async def body():
        store, told, admitted, outages = MemoryDatastore(), [], [], []
        await store.create(global_network_set("a"))

        async def look(_):
            outages.append(syncer.outage)

        faulty = FaultyStore(store, [*["unavailable"] * 4, "forbidden", "unavailable"])
        syncer = Syncer(
            faulty, on_warning=told.append, backoff=Backoff(sleep=look), admit=admitted.append
        )
        stream = syncer.stream()
        items = [*await anext(stream), *await anext(stream)]
        assert items[1:] == [InSync(), Progress(1)]
        assert [str(line).partition(": ")[2] for line in told] == [
            "unavailable, as told",
            "forbidden, as told",
        ]
        assert len(outages) == 6
        assert len({outage.since for outage in outages}) == 1
        assert syncer.outage is None
        assert admitted == [await store.identity()]
        await stream.aclose()

    asyncio.run(asyncio.wait_for(body(), 30))


def test_a_datastore_that_is_not_the_one_before_is_never_read(tmp_path):
    async def body():
        pledge(str(tmp_path), "another", "x")
        faulty = FaultyStore(MemoryDatastore(), ["unavailable"])

        def admit(identity):
            pledge(str(tmp_path), identity, "memory:")

        with pytest.raises(OtherDatastore, match="memory: is not the datastore"):
            await anext(Syncer(faulty, backoff=hurried(), admit=admit).stream())
        assert faulty.calls == ["identity", "identity"]

    asyncio.run(asyncio.wait_for(body(), 30))


def test_a_log_on_a_full_disk_is_given_up_and_counted_and_nothing_else():
    before = dropped_lines()
    with open("/dev/full", "w") as full:
        configure_logs("INFO", full)
        try:
            structlog.get_logger("x").error("lost", detail="x" * 100_000)
            structlog.get_logger("x").error("lost too")
        finally:
            structlog.reset_defaults()
        assert dropped_lines() == before + 2
        with pytest.raises(OSError, match="No space"):
            full.flush()
        os.dup2(os.open(os.devnull, os.O_WRONLY), full.fileno())  # so that closing it works


def test_a_link_in_the_place_of_the_lock_is_not_followed(tmp_path):
    precious = tmp_path / "precious"
    precious.write_text("keep me")
    run_dir = tmp_path / "run"
    run_dir.mkdir(mode=0o700)
    (run_dir / "agent.lock").symlink_to(precious)
    with pytest.raises(OSError, match="symbolic link"):
        RunLock(str(run_dir))
    assert precious.read_text() == "keep me"


@pytest.mark.parametrize("mode", [0o777, 0o1777, 0o770])
def test_a_run_directory_that_others_can_write_in_is_refused(tmp_path, mode):
    run_dir = tmp_path / "run"
    run_dir.mkdir()
    run_dir.chmod(mode)
    with pytest.raises(OSError, match=r"others can write in it: .*chmod go-w"):
        RunLock(str(run_dir))
    assert not (run_dir / "agent.lock").exists()


def test_a_link_to_a_directory_of_our_own_is_as_good_as_the_directory(tmp_path):
    (tmp_path / "real").mkdir(mode=0o700)
    (tmp_path / "run").symlink_to(tmp_path / "real")
    lock = RunLock(str(tmp_path / "run"))
    with pytest.raises(AlreadyRunning, match=str(os.getpid())):
        RunLock(str(tmp_path / "real"))
    lock.release()


def test_a_full_disk_does_not_keep_an_agent_from_its_lock(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("tortie.agent.runlock.os.pwrite", full)
    lock = RunLock(str(tmp_path))
    with pytest.raises(AlreadyRunning):
        RunLock(str(tmp_path))
    lock.release()


def test_a_plugin_gets_nothing_written_before_the_datastore_is_known(tmp_path):
    async def body():
        allegiance, calls = Allegiance(str(tmp_path), "memory:"), []

        class Recorder:
            node, records = "n1", SimpleNamespace(store=MemoryDatastore())

            async def add(self, request):
                calls.append(request)
                raise NotReady("enough")

        server = CniServer(Recorder(), lambda: ["datastore: away"], partial(allegiance.wait, 0.01))
        early = await server.handle(plugin_request("ADD"))
        assert early["output"]["code"] == TRY_AGAIN
        assert "could not be reached since the agent's start" in early["output"]["msg"]
        assert calls == []
        status = await server.handle(plugin_request("STATUS"))
        assert "datastore: away" in status["output"]["details"]
        allegiance.admit(await MemoryDatastore().identity())
        late = await server.handle(plugin_request("ADD"))
        assert late["output"]["msg"] == "enough"
        assert len(calls) == 1

    asyncio.run(asyncio.wait_for(body(), 30))


def plugin_request(command):
    environ = {
        "CNI_COMMAND": command,
        "CNI_CONTAINERID": "c1",
        "CNI_NETNS": "/proc/1/ns/net",
        "CNI_IFNAME": "eth0",
        "CNI_PATH": "/opt/cni/bin",
    }
    config = b'{"cniVersion":"1.1.0","name":"n","type":"tortie"}'
    return {
        "env": {name: value.encode().hex() for name, value in environ.items()},
        "config": config.hex(),
    }
