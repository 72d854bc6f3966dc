"""What the daemon tells BIRD first: nothing that would end sessions it will want a moment later."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from bgp.network import BIRD, PATIENCE
from bgp.pictures import ALPHA, resources
from tortie.bgp import service
from tortie.bgp.bird import Bird
from tortie.bgp.build import Given
from tortie.bgp.running import Running
from tortie.bgp.secrets import FileSecrets, SecretKeeper
from tortie.bgp.service import BgpService
from tortie.sync import InSync, Item, Outage, Update

pytestmark = pytest.mark.skipif(BIRD is None, reason="BIRD 2 is not installed (Debian: bird2)")
PEER = """
apiVersion: projectcalico.org/v3
kind: BGPPeer
metadata: {name: workloads}
spec: {localWorkloadSelector: all(), asNumber: 65009}
"""
WORKLOAD = """
apiVersion: projectcalico.org/v3
kind: WorkloadEndpoint
metadata: {name: alpha-k8s-vm-eth0, namespace: shop}
spec: {node: alpha, orchestrator: k8s, pod: vm, endpoint: eth0, interfaceName: calivm,
       ipNetworks: [10.65.1.9/32]}
"""


class Picture:
    """A stream that has said all."""

    in_sync = True
    outage: Outage | None = None

    async def stream(self) -> AsyncGenerator[list[Item], None]:
        """Nothing more comes."""
        return
        yield []


def updates(*texts: str) -> list[Item]:
    return [Update(each.key, each) for each in resources(*texts)]


@asynccontextmanager
async def told(folder: Path) -> AsyncIterator[BgpService]:
    """A service that writes BIRD's file; no BIRD is started."""
    bird = Bird(str(folder / "bird"))
    keeper = SecretKeeper(FileSecrets(str(folder / "secrets")))
    found = BgpService("alpha", Picture(), bird, Running(bird), keeper, Given())
    found.take([*updates(ALPHA, PEER), InSync()])
    working = asyncio.ensure_future(found.apply())
    try:
        yield found
    finally:
        working.cancel()
        await asyncio.gather(working, return_exceptions=True)


async def until(what: Callable[[], object]) -> None:
    for _ in range(round(PATIENCE / 0.02)):
        if what():
            return
        await asyncio.sleep(0.02)
    raise AssertionError("it did not come about")


def test_nothing_is_told_before_the_workloads_that_are_peers_are_known(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "_WORKLOADS", 1e6)

    async def story() -> None:
        async with told(tmp_path) as found:
            await until(lambda: found.picture)
            found.take(updates(WORKLOAD))
            await until(lambda: found.picture and found.picture.sessions)
            assert found.bird.in_force() == ""
            assert "the workloads that are peers can't be read yet" in found.problems()[0]
            found.workloads_known()
            await until(lambda: "Global_10_65_1_9" in found.bird.in_force())
            assert found.problems() == []

    asyncio.run(story())


def test_workloads_that_can_not_be_read_keep_the_rest_waiting_for_a_while_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "_WORKLOADS", 0.2)

    async def story() -> None:
        async with told(tmp_path) as found:
            await until(found.bird.in_force)
            assert "the workloads that are peers can't be read yet" in found.problems()[0]

    asyncio.run(story())
