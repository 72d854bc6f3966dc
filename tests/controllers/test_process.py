"""`tortie controllers` as a process: it works, follows its settings, and tells of what it does."""

import argparse
import asyncio
import fcntl
import signal
import socket
import subprocess
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

import pytest
from msgspec.structs import replace

from controllers.daemons import configured, daemons, page, until
from servers.process import free_port
from strategies.controllers import node
from strategies.ipam import pool
from tortie.api import Key, ObjectMeta
from tortie.api.calico.cluster_information import ClusterInformation, ClusterInformationSpec
from tortie.api.calico.kube_controllers import (
    Controllers,
    KubeControllersConfiguration,
    NodeController,
)
from tortie.cli.commands import controllers
from tortie.cli.main import main
from tortie.datastore import Datastore, update_with
from tortie.datastore.sqlite import SqliteDatastore
from tortie.ipam import IPAM, AssignRequest

KEY = Key("KubeControllersConfiguration", "", "default")
T = TypeVar("T")


def on(path: Path, work: Callable[[Datastore], Awaitable[T]]) -> T:
    async def body() -> T:
        store = await SqliteDatastore.open(path)
        try:
            return await work(store)
        finally:
            await store.close()

    return asyncio.run(body())


async def leaking(store: Datastore) -> None:
    """A node, and an address of a pod that is not there."""
    await configured(store)
    await store.create(pool("p", "10.0.0.0/24", block_size=28))
    await store.create(node("n1"))
    about = {"namespace": "shop", "pod": "web", "node": "n1"}
    await IPAM(store).auto_assign(AssignRequest(node="n1", handle="net.web", attributes=about))


async def configuration(store: Datastore) -> KubeControllersConfiguration:
    found = await store.get(KEY)
    assert isinstance(found, KubeControllersConfiguration)
    return found


async def has_status(store: Datastore) -> bool:
    listing = await store.list(KEY.kind)
    return any(getattr(found, "status", None) is not None for found in listing.resources)


async def held(store: Datastore) -> int:
    return len(await IPAM(store).addresses_of("net.web"))


async def endpoints(store: Datastore) -> set[str]:
    return {one.metadata.name for one in (await store.list("HostEndpoint")).resources}


def changed(path: Path, **changes: object) -> None:
    async def work(store: Datastore) -> None:
        def change(found: KubeControllersConfiguration) -> KubeControllersConfiguration:
            return replace(found, spec=replace(found.spec, **changes))

        await update_with(store, KEY, change)

    on(path, work)


def test_it_follows_its_settings_and_tells_of_all(tmp_path: Path) -> None:
    path, first, second = tmp_path / "store.db", free_port(), free_port()
    on(path, leaking)
    environ = {"LOG_LEVEL": "debug", "RECONCILER_PERIOD": "soon"}
    with daemons(tmp_path, ("--datastore", str(path)), environ=environ) as (daemon,):
        until(lambda: on(path, endpoints) == {"n1-auto-hep"}, "the node has its endpoint")
        until(lambda: "200" in daemon.readiness(), "it is ready")
        assert page(daemon.port, "/liveness").startswith("HTTP/1.1 200")
        assert daemon.said("RECONCILER_PERIOD='soon' is ignored")

        changed(path, prometheus_metrics_port=first)
        until(lambda: "tortie_controllers_leading 1.0" in page(first, "/metrics"), "metrics")
        quick = NodeController(leak_grace_period="100ms")
        changed(path, prometheus_metrics_port=second, controllers=Controllers(node=quick))
        given_back = 'ipam_allocations_gc_reclamations{ippool="p",node="n1"} 1.0'
        until(lambda: given_back in page(second, "/metrics"), "the leak is given back")
        assert on(path, held) == 0
        until(lambda: not page(first, "/metrics"), "the first port is free again")
        until(lambda: on(path, endpoints) == set(), "endpoints are switched off")

        found = on(path, configuration)
        assert found.status is not None
        assert found.status.environment_vars == {"LOG_LEVEL": "debug"}
        running = found.status.running_config
        assert running is not None
        assert running == replace(found.spec, log_severity_screen="Debug")

        changed(path, health_checks="Disabled", controllers=Controllers())
        until(lambda: not daemon.readiness(), "the page of health is closed")
        daemon.signal(signal.SIGTERM)
        assert daemon.process.wait(60) == 0
    assert daemon.said("10.0.0.")


def test_who_waits_for_its_turn_is_ready_and_tells_that_it_does_not_lead(tmp_path: Path) -> None:
    path, port = tmp_path / "store.db", free_port()
    on(path, leaking)
    changed(path, prometheus_metrics_port=port)
    with open(f"{path}-controllers", "wb") as seat:
        fcntl.flock(seat, fcntl.LOCK_EX)
        with daemons(tmp_path, ("--datastore", str(path))) as (daemon,):
            until(lambda: "200" in daemon.readiness(), "it is ready")
            until(lambda: "tortie_controllers_leading 0.0" in page(port, "/metrics"), "metrics")
            assert "process_resident_memory_bytes" in page(port, "/metrics")
            assert "ipam_blocks" not in page(port, "/metrics")  # the leader's alone
            fcntl.flock(seat, fcntl.LOCK_UN)
            until(lambda: "tortie_controllers_leading 1.0" in page(port, "/metrics"), "its turn")
            until(lambda: 'ipam_blocks{ippool="p",node="n1"} 1.0' in page(port, "/metrics"), "all")


def test_a_datastore_that_goes_away_is_told_by_readiness_until_it_is_back(tmp_path: Path) -> None:
    path, away = tmp_path / "store.db", tmp_path / "away"
    on(path, leaking)
    with daemons(tmp_path, ("--datastore", str(path))) as (daemon,):
        until(lambda: "200" in daemon.readiness(), "it is ready")
        path.rename(away)
        for part in ("configuration", "the datastore"):
            until(lambda part=part: f"\n{part}: " in daemon.readiness(), f"{part} is told")
        assert "503" in daemon.readiness()
        assert "200" in page(daemon.port, "/liveness")
        away.rename(path)
        until(lambda: "200" in daemon.readiness(), "it is ready again")


def test_who_comes_to_lead_while_the_datastore_is_away_makes_no_empty_one(tmp_path: Path) -> None:
    path, away = tmp_path / "store.db", tmp_path / "away"
    on(path, leaking)
    with open(f"{path}-controllers", "wb") as seat:
        fcntl.flock(seat, fcntl.LOCK_EX)
        with daemons(tmp_path, ("--datastore", str(path))) as (daemon,):
            until(lambda: "200" in daemon.readiness(), "it is ready")
            path.rename(away)
            fcntl.flock(seat, fcntl.LOCK_UN)
            until(lambda: "\nthe datastore: " in daemon.readiness(), "it leads, and tells")
            assert not path.exists()
            away.rename(path)
            until(lambda: "200" in daemon.readiness(), "it is ready again")


def test_nothing_is_written_while_the_datastore_is_locked(tmp_path: Path) -> None:
    path = tmp_path / "store.db"

    async def locked(store: Datastore) -> None:
        spec = ClusterInformationSpec(datastore_ready=False)
        await store.create(ClusterInformation(metadata=ObjectMeta(name="default"), spec=spec))
        await configured(store)
        await store.create(node("n1"))

    async def unlocked(store: Datastore) -> None:
        def change(found: ClusterInformation) -> ClusterInformation:
            return replace(found, spec=replace(found.spec, datastore_ready=True))

        await update_with(store, Key("ClusterInformation", "", "default"), change)

    on(path, locked)
    with daemons(tmp_path, ("--datastore", str(path))) as (daemon,):
        until(lambda: daemon.said("n1") and daemon.said("locked"), "it says why it does nothing")
        assert on(path, endpoints) == set()
        assert on(path, configuration).status is None
        on(path, unlocked)
        until(lambda: on(path, endpoints) == {"n1-auto-hep"}, "it goes on")


def test_a_configuration_is_made_where_there_is_none(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    on(path, lambda store: store.create(node("n1")))
    some = ("--datastore", str(path))
    with daemons(tmp_path, some, environ={"ENABLED_CONTROLLERS": "node"}) as (daemon,):
        until(lambda: on(path, has_status), "it has made one and says what of it runs")
        assert daemon.leads()
        found = on(path, configuration)
    assert found.spec.controllers.load_balancer is not None
    assert found.status is not None
    assert found.status.running_config is not None
    assert found.status.running_config.controllers == Controllers(node=found.spec.controllers.node)


def test_a_port_that_somebody_has_costs_no_other_page(tmp_path: Path) -> None:
    path, tasks = tmp_path / "store.db", free_port()
    on(path, leaking)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        changed(path, prometheus_metrics_port=port, debug_profile_port=tasks)
        with daemons(tmp_path, ("--datastore", str(path))) as (daemon,):
            until(lambda: daemon.said("address already in use"), "it says so")
            until(lambda: "ready" in daemon.readiness(), "health is told all the same")
            until(lambda: "reconcile_all" in page(tasks, "/debug/tasks"), "where tasks wait")
            arguments = [*daemon.command[:-1], str(daemon.port)]
            done = subprocess.run(arguments, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert "tortie controllers: " in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (("--health-port", "0"), "argument --health-port: '0' is no number from 1 to 65535"),
        (("--lease-seconds", "301"), "argument --lease-seconds: '301' is no number from 2 to 300"),
        (("--kubernetes", "/nosuch/k"), "controllers: --kubernetes kubernetes:/nosuch/k: /nosuch"),
    ],
)
def test_what_makes_no_sense_is_refused_in_a_line_that_names_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], words: tuple[str, ...], reason: str
) -> None:
    try:
        status = main(["controllers", "--datastore", str(tmp_path / "store.db"), *words])
    except SystemExit as refusal:
        status = refusal.code
    said = capsys.readouterr().err
    assert status in (1, 2)
    assert reason in said.splitlines()[-1]
    assert len(said) < 1000


def test_its_pages_are_this_machines_alone_and_one_leads_unless_somebody_says_otherwise(
    tmp_path: Path,
) -> None:
    parser = argparse.ArgumentParser()
    controllers.arguments(parser)
    path = ("--datastore", str(tmp_path / "store.db"))
    given = controllers._given(parser.parse_args(path))
    assert (given.host, given.health_port) == ("127.0.0.1", 9440)
    assert (given.elected, given.lease_seconds) == (True, 15)
    words = (*path, "--no-election", "--host", "0.0.0.0", "--lease-seconds", "30")
    given = controllers._given(parser.parse_args(words))
    assert (given.host, given.elected, given.lease_seconds) == ("0.0.0.0", False, 30)


def test_an_address_that_is_none_is_named(tmp_path: Path) -> None:
    some = ("--datastore", str(tmp_path / "store.db"), "--host", "nosuch.invalid")
    with daemons(tmp_path, some) as (daemon,):
        assert daemon.process.wait(60) == 1
    line = daemon.log.read_text().splitlines()[-1]
    assert line.startswith("tortie controllers: 'nosuch.invalid' is no address to listen on: ")


def test_a_datastore_that_can_not_be_opened_is_told_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    some = ("--datastore", str(tmp_path / "file" / "store.db"))
    with daemons(tmp_path, some) as (daemon,):
        assert daemon.process.wait(60) == 1
    (line,) = daemon.log.read_text().splitlines()
    assert line.startswith("tortie controllers: ")
    assert "store.db" in line
