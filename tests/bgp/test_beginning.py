"""What the daemon tells BIRD first: nothing that would end sessions it will want a moment later."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from bgp.network import BIRD, PATIENCE
from bgp.pictures import ALPHA, BETA, resources
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
    """A stream that has said all, or not yet."""

    def __init__(self) -> None:
        self.in_sync = True
        self.outage: Outage | None = None

    async def stream(self) -> AsyncGenerator[list[Item], None]:
        """Nothing more comes."""
        return
        yield []


def updates(*texts: str) -> list[Item]:
    return [Update(each.key, each) for each in resources(*texts)]


def service_in(folder: Path, source: Picture) -> BgpService:
    bird = Bird(str(folder / "bird"))
    keeper = SecretKeeper(FileSecrets(str(folder / "secrets")))
    return BgpService("alpha", source, bird, Running(bird), keeper, Given())


@asynccontextmanager
async def at_work(found: BgpService, *more: Awaitable[None]) -> AsyncIterator[BgpService]:
    """It writes BIRD's file; no BIRD is started."""
    working = [asyncio.ensure_future(each) for each in (found.apply(), *more)]
    try:
        yield found
    finally:
        for each in working:
            each.cancel()
        await asyncio.gather(*working, return_exceptions=True)


@asynccontextmanager
async def told(folder: Path, *texts: str) -> AsyncIterator[BgpService]:
    """One that is told of a node and of this, and that it is all."""
    found = service_in(folder, Picture())
    found.take([*updates(ALPHA, *texts), InSync()])
    async with at_work(found):
        yield found


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
        async with told(tmp_path, PEER) as found:
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
        async with told(tmp_path, PEER) as found:
            await until(found.bird.in_force)
            assert "the workloads that are peers can't be read yet" in found.problems()[0]

    asyncio.run(story())


def test_nothing_is_told_before_the_first_complete_picture(tmp_path: Path) -> None:
    """Another one, that begins later with the same, has told by then."""

    async def story() -> None:
        source = Picture()
        source.in_sync = False
        found = service_in(tmp_path / "one", source)
        found.take(updates(ALPHA))
        async with at_work(found):
            async with told(tmp_path / "two") as other:
                await until(other.bird.in_force)
            assert found.bird.in_force() == ""
            assert found.picture is None
            source.in_sync = True
            found.take([InSync()])  # which changes no resource
            await until(found.bird.in_force)

    asyncio.run(story())


def test_a_node_that_is_not_there_is_a_problem_and_nothing_is_told(tmp_path: Path) -> None:
    async def story() -> None:
        found = service_in(tmp_path, Picture())
        found.take([*updates(BETA), InSync()])
        assert "Node(alpha): is not there" in found.problems()[0]
        async with at_work(found):
            found.take(updates(ALPHA))
            await until(found.bird.in_force)
        assert found.problems() == []

    asyncio.run(story())


def test_what_could_not_be_written_is_tried_again_by_itself(tmp_path: Path) -> None:
    async def story() -> None:
        in_the_way = tmp_path / "bird" / "candidate.conf"
        in_the_way.mkdir(parents=True)
        async with told(tmp_path) as found:
            await until(lambda: "can't be written" in str(found.problems()))
            in_the_way.rmdir()
            await until(found.bird.in_force)
            assert found.problems() == []

    asyncio.run(story())


SECRET_PEER = """
apiVersion: projectcalico.org/v3
kind: BGPPeer
metadata: {name: tor}
spec: {peerIP: 172.16.0.254, asNumber: 65000, password: {secretKeyRef: {name: bgp, key: tor}}}
"""


def test_the_first_text_has_the_passwords(tmp_path: Path) -> None:
    """A daemon that is started again would end sessions else."""
    secret = tmp_path / "secrets" / "bgp" / "tor"
    secret.parent.mkdir(parents=True)
    secret.write_text("hush")

    async def story() -> None:
        async with told(tmp_path, SECRET_PEER) as found:
            await until(found.bird.in_force)
            assert 'password "hush";' in found.bird.in_force()

    asyncio.run(story())


def test_a_password_is_followed_as_it_changes_goes_and_can_be_read_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "_SECRETS", 0.05)
    monkeypatch.setattr(service, "_AGAIN", 0.05)
    secret = tmp_path / "secrets" / "bgp" / "tor"
    secret.mkdir(parents=True)  # no file: it can't be known what it says

    async def story() -> None:
        found = service_in(tmp_path, Picture())
        found.take([*updates(ALPHA, SECRET_PEER), InSync()])
        async with at_work(found, found.keep_secrets()):
            await until(found.bird.in_force)
            assert "Global_172_16_0_254" not in found.bird.in_force()
            secret.rmdir()
            for word in ("one", "two"):
                secret.write_text(word)
                await until(lambda word=word: f'password "{word}";' in found.bird.in_force())
            secret.unlink()
            await until(lambda: "Global_172_16_0_254" not in found.bird.in_force())
            assert "there is no such key" in found.problems()[0]

    asyncio.run(story())
