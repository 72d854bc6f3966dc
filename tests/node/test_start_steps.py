"""What a start says and in which order it does things, on a datastore in memory."""

import asyncio
import os
import stat
from collections.abc import Mapping
from pathlib import Path

import pytest

from tortie.api import Key, Node, Resource
from tortie.datastore import Datastore, Forbidden, Unavailable
from tortie.datastore.memory import MemoryDatastore
from tortie.node import start as steps
from tortie.node.files import write_nodename, write_shutdown
from tortie.node.machine import Kubernetes, Machine
from tortie.node.start import Start
from tortie.node.start_settings import start_settings


class World:
    """A store, this node's files, and what was said."""

    def __init__(self, folder: Path) -> None:
        self.store = MemoryDatastore()
        self.nodename, self.shutdown = folder / "calico/nodename", folder / "calico/shutdownTS"
        self.said: list[str] = []
        self.warned: list[str] = []

    def start(self, api: Kubernetes | None = None, **more: str) -> None:
        """A start of node n1 with an address that no machine has (RFC 5737)."""
        environ = {
            "IP": "192.0.2.5/24",
            "CALICO_NODENAME_FILE": str(self.nodename),
            "CALICO_SHUTDOWN_TIMESTAMP_FILE": str(self.shutdown),
            **more,
        }
        settings = start_settings(environ, "n1")
        one = Start(
            *(settings, environ, self.store, api, "1.0", True),
            self.said.append,
            self.warned.append,
        )
        asyncio.run(one.run())

    def names(self, kind: str) -> set[str]:
        async def work() -> set[str]:
            return {one.metadata.name for one in (await self.store.list(kind)).resources}

        return asyncio.run(work())


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


class Refusing(Kubernetes):
    """An API server that lets us read nothing, and is gone when a condition is to be set.

    `seen` is what was there at that moment.
    """

    def __init__(self, world: World) -> None:
        self._world = world
        self.seen: dict[str, object] = {}

    async def config_map(self, namespace: str, name: str) -> Mapping[str, str] | None:
        raise Forbidden(f"ConfigMap({namespace}/{name}) may not be read")

    async def machine(self, node: str) -> Machine:
        raise Forbidden(f"Node({node}) may not be read")

    async def network_unavailable(self, node: str, is_unavailable: bool) -> None:
        assert (node, is_unavailable) == ("n1", False)
        store: Datastore = self._world.store
        found = await store.get(Key("Node", "", "n1"))
        assert isinstance(found, Node)
        self.seen = {
            "pools": {one.metadata.name for one in (await store.list("IPPool")).resources},
            "nodename": self._world.nodename.read_text(),
        }
        raise Unavailable("no answer from 192.0.2.1")


def test_kubernetes_is_told_last_and_its_refusals_end_no_start(world: World) -> None:
    world.shutdown.parent.mkdir()
    write_shutdown(world.shutdown)
    api = Refusing(world)
    world.start(api, FELIX_IPV6SUPPORT="false")
    assert api.seen == {"pools": {"default-ipv4-ippool"}, "nodename": "n1"}
    assert not world.shutdown.exists()
    for line in (
        "ConfigMap(kube-system/kubeadm-config) may not be read; going on without it",
        "the condition NetworkUnavailable of Node n1 can't be set: no answer from 192.0.2.1",
    ):
        assert line in world.warned


class Away(MemoryDatastore):
    """One that answers at the third question."""

    asked = 0

    async def get(self, key: Key) -> Resource:
        self.asked += 1
        if self.asked < 3:
            raise Unavailable("connection refused")
        return await super().get(key)


def test_a_datastore_that_is_waited_for_is_told_of_once(world: World) -> None:
    world.store = Away()
    with pytest.raises(Unavailable):
        world.start()
    assert world.names("Node") == set()
    world.store = Away()
    world.start(WAIT_FOR_DATASTORE="true")
    assert world.warned.count("waiting for the datastore: connection refused") == 1
    assert world.names("Node") == {"n1"}


def test_an_address_that_the_machine_lacks_is_told(world: World) -> None:
    world.start()
    assert "192.0.2.5/24 is on no interface of this machine" in world.warned


def test_a_pool_across_the_services_is_told_though_somebody_chose_it(world: World) -> None:
    world.start(CALICO_IPV4POOL_CIDR="10.96.0.0/16", KUBERNETES_SERVICE_HOST="10.96.0.1")
    (line,) = [line for line in world.warned if "lies across" in line]
    assert line.startswith("the pool 10.96.0.0/16 (CALICO_IPV4POOL_CIDR says so) lies across 10.96")


@pytest.mark.parametrize("there", [True, False])
def test_a_kernel_without_ipv6_gets_no_pool_of_it(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, there: bool
) -> None:
    path = tmp_path / "if_inet6"
    if there:
        path.touch()
    monkeypatch.setattr(steps, "_KERNELS_IPV6", path)
    world.start()
    assert ("default-ipv6-ippool" in world.names("IPPool")) is there


def test_the_nodes_name_can_be_read_by_every_program_and_is_whole_at_any_moment(
    tmp_path: Path,
) -> None:
    path, before = tmp_path / "calico" / "nodename", os.umask(0o077)
    try:
        assert write_nodename(path, "n1")
        with path.open() as reader:
            assert write_nodename(path, "another")
            assert reader.read() == "n1"
    finally:
        os.umask(before)
    assert not write_nodename(path, "another")
    assert stat.S_IMODE(path.stat().st_mode) == 0o644
    assert [one.name for one in path.parent.iterdir()] == ["nodename"]
