"""Nodes that work at once, fail and crash between any two steps: no address is doubled or lost."""

import asyncio
from collections import defaultdict
from datetime import UTC, datetime, timedelta
from random import Random
from typing import NamedTuple

import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

from strategies.ipam import (
    Crash,
    SteppedStore,
    blocks_in,
    check_consistent,
    configuration,
    pool,
)
from tortie.api import IPAMConfiguration
from tortie.datastore import DatastoreError, retry
from tortie.datastore.memory import MemoryDatastore
from tortie.ipam import IPAM, Assignment, AssignRequest, FixedRequest, IpamError
from tortie.net import Prefix, parse_network

POOL = pool("p", "10.0.0.0/28", block_size=30)  # four blocks of four
FIRST = parse_network("10.0.0.0").address


class Command(NamedTuple):
    """What a node does with one of its own handles."""

    what: str
    handle: int
    number: int


commands = st.builds(
    Command,
    st.sampled_from(["assign", "assign", "several", "fixed", "release", "return", "leave"]),
    st.integers(0, 2),
    st.integers(0, 15),
)


@pytest.fixture(autouse=True)
def _hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retry, "_LONGEST", 0)


@settings(max_examples=150, deadline=None)
@given(
    nodes=st.lists(st.lists(commands, min_size=1, max_size=6), min_size=1, max_size=3),
    strict=st.booleans(),
    cooling=st.sampled_from([None, 600]),
    trouble=st.sampled_from([0.0, 0.05, 0.3]),
    seed=st.integers(0, 2**32),
)
def test_no_interleaving_doubles_or_loses_an_address(
    nodes: list[list[Command]], strict: bool, cooling: int | None, trouble: float, seed: int
) -> None:
    asyncio.run(
        _world(
            nodes,
            configuration(strict_affinity=strict, ip_cooldown_seconds=cooling),
            trouble,
            Random(seed),
        )
    )
    event(f"nodes: {len(nodes)}, trouble: {trouble}")


async def _world(
    nodes: list[list[Command]], config: IPAMConfiguration, trouble: float, chance: Random
) -> None:
    inner = MemoryDatastore()
    await inner.create(POOL)
    await inner.create(config)
    store = SteppedStore(inner)
    clock = Ticks()
    actors = [Actor(store, clock, f"n{number}") for number in range(len(nodes))]
    tasks = [
        asyncio.ensure_future(actor.play(script, actors))
        for actor, script in zip(actors, nodes, strict=True)
    ]
    while not all(task.done() for task in tasks):
        await _settle()
        if store.waiting:
            store.step(chance.randrange(len(store.waiting)), _verdict(chance, trouble))
            await _settle()
            await check_consistent(inner)
    for task in tasks:
        task.result()
    while store.waiting:  # what a crash left under way
        store.step(0, "do")
        await _settle()
    await _check_end(inner, actors)


def _verdict(chance: Random, trouble: float) -> str:
    if chance.random() >= trouble:
        return "do"
    return chance.choice(["fail", "do, fail", "crash", "do, crash"])


async def _settle() -> None:
    """Let every task run until it waits for its turn."""
    for _ in range(12):
        await asyncio.sleep(0)


class Ticks:
    """A clock that goes on by a minute with each look: empty blocks soon count as unused."""

    def __init__(self) -> None:
        self._now = datetime(2024, 1, 1, tzinfo=UTC)

    def __call__(self) -> str:
        self._now += timedelta(minutes=1)
        return self._now.isoformat()


class Actor:
    """A node's agent. `held` is what it was told that its handles have."""

    def __init__(self, store: SteppedStore, clock: Ticks, node: str) -> None:
        self._clock = clock
        self.held: defaultdict[str, set[Prefix]] = defaultdict(set)
        self.handles: set[str] = set()
        self._store = store
        self._node = node
        self._ipam = IPAM(store, clock)

    async def play(self, script: list[Command], actors: "list[Actor]") -> None:
        for command in script:
            try:
                await self._do(command, actors)
            except Crash:
                self._ipam = IPAM(self._store, self._clock)  # a new process
            except (IpamError, DatastoreError):
                continue

    async def _do(self, command: Command, actors: "list[Actor]") -> None:
        handle = f"{self._node}-h{command.handle}"
        self.handles.add(handle)
        match command.what:
            case "assign":
                wanted = AssignRequest(
                    node=self._node, handle=handle, count4=1 + command.number % 3
                )
                self._note(handle, (await self._ipam.auto_assign(wanted)).ips, actors)
            case "several":
                await self._lease([f"{self._node}-h{one}" for one in range(3)], actors)
            case "return":
                handles = [f"{self._node}-h{one}" for one in range(3)]
                for one in handles:
                    self.held.pop(one, None)
                await self._ipam.release_by_handles(handles)
            case "fixed":
                address = Prefix.single(4, FIRST + command.number)
                fixed = FixedRequest(address=address, node=self._node, handle=handle)
                given = (await self._ipam.assign_fixed(fixed)).ips
                self.held[handle].discard(address)  # the handle's own may be given again
                self._note(handle, given, actors)
            case "release":
                self.held.pop(handle, None)
                await self._ipam.release_by_handle(handle)
            case _:
                await self._ipam.release_node(actors[command.number % len(actors)]._node)

    async def _lease(self, handles: list[str], actors: "list[Actor]") -> None:
        """What a handle has already is given again, whether this node was told or not."""
        self.handles.update(handles)
        wanted = [AssignRequest(node=self._node, handle=one) for one in handles]
        for handle, answer in zip(handles, await self._ipam.lease(wanted), strict=True):
            if isinstance(answer, Assignment):
                assert self.held[handle] <= set(answer.ips), "lost while held"
                self.held[handle].clear()
                self._note(handle, answer.ips, actors)
            else:
                assert isinstance(answer, IpamError | DatastoreError), answer

    def _note(self, handle: str, given: tuple[Prefix, ...], actors: "list[Actor]") -> None:
        assert len(set(given)) == len(given)
        for actor in actors:
            for other, addresses in actor.held.items():
                assert not addresses & set(given), f"{handle} got what {other} holds"
        self.held[handle] |= set(given)


async def _check_end(store: MemoryDatastore, actors: list[Actor]) -> None:
    ipam = IPAM(store, lambda: "9999-01-01T00:00:00Z")  # everything has cooled down
    for actor in actors:
        for handle, addresses in actor.held.items():
            assert addresses <= set(await ipam.addresses_of(handle)), "lost while held"
    for actor in actors:
        for handle in actor.handles:
            await IPAM(store).release_by_handle(handle)
    await ipam.release_cooled()
    assert (await store.list("IPAMHandle")).resources == ()
    for actor in actors:
        await ipam.release_node(actor._node)
    assert await blocks_in(store) == []
    assert (await store.list("BlockAffinity")).resources == ()
    everything = await ipam.auto_assign(AssignRequest(node="last", handle="h", count4=16))
    assert len(set(everything.ips)) == 16


@pytest.mark.parametrize("steps", range(7))
def test_an_address_lent_while_its_block_is_given_up_stays_held(steps: int) -> None:
    """Another node borrows after each number of steps of the release."""

    async def body() -> None:
        inner = MemoryDatastore()
        await inner.create(pool("p", "10.0.0.0/30", block_size=30))
        await IPAM(inner).auto_assign(AssignRequest(node="n1", handle="h1"))
        await IPAM(inner).release_by_handle("h1")
        store = SteppedStore(inner)
        leaving = asyncio.ensure_future(IPAM(store).release_node("n1"))
        lent: tuple[Prefix, ...] = ()
        taken = 0
        while not leaving.done():
            await _settle()
            if taken == steps and not lent:
                request = AssignRequest(node="n2", handle="h2")
                lent = (await IPAM(inner).auto_assign(request)).ips
            if store.waiting:
                store.step(0, "do")
                taken += 1
                await _settle()
        leaving.result()
        assert await IPAM(inner).addresses_of("h2") == lent
        assert (len(lent) == 1) == (steps < taken)
        await check_consistent(inner)

    asyncio.run(body())
