"""Reports on every datastore that has a place for them."""

import asyncio
import json
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest

from servers.etcd import EtcdServer
from servers.kube import KubeServer
from tortie.datastore.settings import (
    DatastoreSettings,
    MemorySettings,
    SqliteSettings,
)
from tortie.reports import Report, Shelf, opened_shelf
from tortie.reports.kubernetes import lease_name
from tortie.reports.reporting import Pace, Reporting

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def report(node: str, component: str = "agent", **more) -> Report:
    return Report(node=node, component=component, **more).stamped(NOW, 90)


@pytest.fixture(params=["sqlite", "etcd", "kubernetes"])
def settings(request: pytest.FixtureRequest, tmp_path: Path) -> DatastoreSettings:
    if request.param == "sqlite":
        return SqliteSettings(path=str(tmp_path / "store.db"))
    if request.param == "etcd":
        server: EtcdServer = request.getfixturevalue("etcd")
        return server.client
    kube: KubeServer = request.getfixturevalue("kube")
    _without_reports(kube)
    return kube.client()


def run(settings: DatastoreSettings, work: Callable) -> None:
    async def body() -> None:
        async with opened_shelf(settings) as shelf:
            await work(shelf)

    asyncio.run(body())


def test_the_last_word_of_each_daemon_is_kept(settings: DatastoreSettings):
    async def scenario(shelf: Shelf) -> None:
        assert await shelf.all() == []
        await shelf.put(report("node-1", ready=False))
        for each in (
            report("node-1", ready=True, facts={"endpoints": 3}),
            report("node-1", "bgp", failures=('it\'s "down"\n',)),
            report("node.with.dots", warnings=("ü",)),
        ):
            await shelf.put(each)
        found = sorted(await shelf.all(), key=lambda one: (one.node, one.component))
        assert found == [
            report("node-1", ready=True, facts={"endpoints": 3}),
            report("node-1", "bgp", failures=('it\'s "down"\n',)),
            report("node.with.dots", warnings=("ü",)),
        ]

    run(settings, scenario)


def test_who_begins_anew_replaces_what_it_said_before(settings: DatastoreSettings):
    for ready in (False, True):

        async def put(shelf: Shelf, ready: bool = ready) -> None:
            await shelf.put(report("node-1", ready=ready))

        run(settings, put)

    async def look(shelf: Shelf) -> None:
        assert await shelf.all() == [report("node-1", ready=True)]

    run(settings, look)


def test_a_name_from_outside_leads_out_of_no_folder(tmp_path: Path):
    async def scenario(shelf: Shelf) -> None:
        await shelf.put(report("../../evil", "..\0/x"))
        assert [one.node for one in await shelf.all()] == ["../../evil"]

    run(SqliteSettings(path=str(tmp_path / "in" / "store.db")), _making(tmp_path / "in", scenario))
    assert sorted(os.listdir(tmp_path)) == ["in"]


def test_files_are_for_their_owner_alone_and_damage_is_passed_over(tmp_path: Path):
    settings = SqliteSettings(path=str(tmp_path / "store.db"))

    async def scenario(shelf: Shelf) -> None:
        await shelf.put(report("node-1"))
        folder = tmp_path / "store.db-reports"
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        assert [stat.S_IMODE(one.stat().st_mode) for one in folder.iterdir()] == [0o600]
        (folder / "other.json").write_text("{")
        assert [one.node for one in await shelf.all()] == ["node-1"]

    run(settings, scenario)


def test_a_store_of_one_process_has_none():
    async def scenario(shelf: Shelf) -> None:
        await shelf.put(report("node-1"))
        assert await shelf.all() == []

    run(MemorySettings(), scenario)


def test_a_long_name_is_still_a_lease_s():
    names = {lease_name(report("n" * 252 + end)) for end in "ab"}
    assert len(names) == 2
    assert all(len(name) <= 253 for name in names)


def test_in_kubernetes_it_is_a_lease_that_others_can_read(kube: KubeServer):
    async def scenario(shelf: Shelf) -> None:
        await shelf.put(report("node-1", ready=True))

    run(kube.client(), scenario)
    path = "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases/calico-agent-node-1"
    lease = kube.api.get(path)
    assert lease["spec"]["holderIdentity"] == "node-1"
    assert lease["spec"]["leaseDurationSeconds"] == 90
    assert json.loads(lease["metadata"]["annotations"]["projectcalico.org/report"])["ready"] is True


def test_a_change_is_said_at_once_and_silence_switches_it_off(tmp_path: Path):
    settings = SqliteSettings(path=str(tmp_path / "store.db"))
    ready, every = [False], [3600.0]

    async def compose() -> Report:
        return Report(node="a", component="agent", ready=ready[0])

    async def scenario() -> None:
        reporting = Reporting(settings, compose, lambda: Pace(every[0], 90, 0.01))
        with _running(reporting):
            await _until(settings, lambda found: [one.ready for one in found] == [False])
            ready[0] = True
            await _until(settings, lambda found: [one.ready for one in found] == [True])

    asyncio.run(scenario())


def test_a_datastore_that_is_away_is_tried_again(tmp_path: Path):
    settings = SqliteSettings(path=str(tmp_path / "later" / "store.db"))

    async def compose() -> Report:
        return Report(node="a", component="agent")

    async def scenario() -> None:
        with _running(Reporting(settings, compose, lambda: Pace(0.01, 90, 0.01))):
            await asyncio.sleep(0)
            (tmp_path / "later").mkdir()
            await _until(settings, lambda found: [one.node for one in found] == ["a"])

    asyncio.run(scenario())


def _without_reports(kube: KubeServer) -> None:
    leases = "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases"
    for lease in kube.api.get(f"{leases}?labelSelector=projectcalico.org/report")["items"]:
        kube.api.request("DELETE", f"{leases}/{lease['metadata']['name']}")


def _making(folder: Path, work: Callable) -> Callable:
    folder.mkdir()
    return work


@contextmanager
def _running(reporting: Reporting) -> Iterator[None]:
    task = asyncio.ensure_future(reporting.run())
    try:
        yield
    finally:
        task.cancel()


async def _until(settings: DatastoreSettings, holds: Callable) -> None:
    for _ in range(2000):
        async with opened_shelf(settings) as shelf:
            if holds(await shelf.all()):
                return
        await asyncio.sleep(0.01)
    raise AssertionError("it was never said")
