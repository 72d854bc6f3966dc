"""What others do to our rules and sets is told within a second, whichever iptables it is."""

import asyncio
from collections.abc import Callable, Iterator

import pytest

from dataplane.iptables.scenes import FRIENDS, POLICY, friends_only, members
from dataplane.iptables.worlds import forget_everything, new_driver, run, saved
from dataplane.packets import PacketLab
from dataplane.programming import WORKLOADS
from strategies.programs import HOSTS4
from tortie.dataplane.iptables import Backend, IptablesDataplane
from tortie.dataplane.iptables.names import Way, policy_chain, set_name
from tortie.engine.delta import MASQ_POOLS

pytestmark = pytest.mark.root

CHAIN = policy_chain(Way.TO, POLICY)
SET, OTHER = set_name(4, FRIENDS), set_name(4, MASQ_POOLS)
COMMENT = "cali:AAAAAAAAAAAAAAAA"  # as long as all of them
PATIENCE = 60.0  # seconds, of a machine that does much else; it takes a third of one
DAMAGES = {  # IP and IP6 stand for the commands
    "flush": ["IP -F"],
    "flush IPv6": ["IP6 -F"],
    "flush another table": ["IP -t raw -F"],
    "flush and delete": ["IP -F", "IP -X"],
    "flush a chain": [f"IP -F {CHAIN}"],
    "delete a jump": ["IP -D FORWARD 1"],
    "be first": ["IP -I FORWARD -s 192.0.2.1 -j DROP"],
    "delete a rule": [f"IP -D {CHAIN} 1"],
    "replace a rule": [f"IP -R {CHAIN} 1 -s 10.9.9.9/32 -j ACCEPT"],
    "replace a rule by one that is as long": [
        f"IP -R {CHAIN} 1 -m comment --comment {COMMENT} "
        f"-m set --match-set {OTHER} src -g cali-accept"
    ],
    "flush a set": [f"ipset flush {SET}"],
    "flush all sets": ["ipset flush"],
    "delete a member": [f"ipset del {SET} {str(HOSTS4[0]).split('/')[0]}"],
}


@pytest.fixture(scope="module")
def shared_lab() -> Iterator[PacketLab]:
    with PacketLab(WORKLOADS) as made:
        yield made


@pytest.fixture
def lab(shared_lab: PacketLab) -> PacketLab:
    forget_everything(shared_lab)
    return shared_lab


class Watched:
    """A driver, and what its watch tells of it in the running loop."""

    def __init__(self, lab: PacketLab, driver: IptablesDataplane) -> None:
        self._told = asyncio.Event()
        self.by: list[str] = []
        with lab.inside():
            self._watch = driver.watch(self._note)
        self._asked, self._differs = 0, driver._footprint.differs
        driver._footprint.differs = self._ask
        self._watch.start()

    def close(self) -> None:
        self._watch.close()

    def _ask(self) -> bool:
        self._asked += 1
        return self._differs()

    def _note(self, by: str) -> None:
        self.by.append(by)
        self._told.set()

    async def news(self) -> None:
        await asyncio.wait_for(self._told.wait(), PATIENCE)
        self._told.clear()

    async def quiet(self) -> None:
        """Everything that could be told so far has been: two questions have been asked since."""
        enough = self._asked + 2
        async with asyncio.timeout(PATIENCE):
            while self._asked < enough:  # noqa: ASYNC110 - what is waited for has no event
                await asyncio.sleep(0.02)


def watched(
    lab: PacketLab, backend: Backend, story: Callable[[IptablesDataplane, Watched], object]
) -> None:
    async def tell() -> None:
        with new_driver(lab, backend) as driver:
            watch = Watched(lab, driver)
            try:
                await asyncio.to_thread(driver.apply, friends_only(HOSTS4[0]))
                await watch.quiet()
                assert watch.by == []
                await story(driver, watch)
            finally:
                watch.close()

    asyncio.run(tell())


@pytest.mark.parametrize("backend", Backend)
def test_every_damage_is_told_and_repaired(lab: PacketLab, backend: Backend) -> None:
    async def story(driver: IptablesDataplane, watch: Watched) -> None:
        healthy = _ours(lab, backend)
        for what, damage in DAMAGES.items():
            for step in damage:
                _do(lab, backend, step)
            await watch.news()
            assert _ours(lab, backend) != healthy, what
            assert (await asyncio.to_thread(driver.resync)).failed == ()
            assert _ours(lab, backend) == healthy, what
            await watch.quiet()  # what was repaired is no news
            assert len(watch.by) <= len(damage), what
            watch.by.clear()
        assert "192.0.2.1" in saved(lab, backend)

    watched(lab, backend, story)


def _do(lab: PacketLab, backend: Backend, step: str) -> None:
    program, _, rest = step.partition(" ")
    commands = {"IP": [f"iptables-{backend}", "-w"], "IP6": [f"ip6tables-{backend}", "-w"]}
    run(lab, *commands.get(program, [program]), *rest.split())


@pytest.mark.parametrize("backend", Backend)
def test_our_own_changes_and_others_tables_are_no_news(lab: PacketLab, backend: Backend) -> None:
    async def story(driver: IptablesDataplane, watch: Watched) -> None:
        for number in range(5):
            friend = (HOSTS4[2 + number % 2],)
            await asyncio.to_thread(driver.apply, members(added=friend))
            await asyncio.to_thread(driver.apply, members(removed=friend))
            delta = friends_only(HOSTS4[number % 2])
            await asyncio.to_thread(driver.apply, delta)
            await asyncio.to_thread(driver.resync)
        run(lab, "nft", "add table ip theirs; add chain ip theirs cali-x; delete table ip theirs")
        if backend is Backend.NFT:
            run(lab, "iptables-nft", "-t", "security", "-A", "INPUT", "-s", "192.0.2.1")
        await watch.quiet()
        assert watch.by == []

    watched(lab, backend, story)


@pytest.mark.parametrize("backend", Backend)
def test_a_change_at_the_moment_of_our_own_is_told(lab: PacketLab, backend: Backend) -> None:
    async def story(driver: IptablesDataplane, watch: Watched) -> None:
        with driver._footprint.writing():  # the watch is not asked between the two
            run(lab, f"iptables-{backend}", "-w", "-D", "FORWARD", "1")
        await asyncio.to_thread(driver.apply, friends_only(HOSTS4[0], HOSTS4[3]))
        await watch.news()

    watched(lab, backend, story)


@pytest.mark.parametrize("backend", Backend)
def test_who_it_was_is_told_where_the_kernel_tells(lab: PacketLab, backend: Backend) -> None:
    async def story(_: IptablesDataplane, watch: Watched) -> None:
        run(lab, f"iptables-{backend}", "-w", "-F")
        await watch.news()
        assert ("iptables" in watch.by[0]) == (backend is Backend.NFT)

    watched(lab, backend, story)


def _ours(lab: PacketLab, backend: Backend) -> list[str]:
    """What is there, without counters, the order of what has none, and foreign rules."""
    lines = [line.partition(" [")[0] for line in saved(lab, backend).splitlines()]
    first = next(line for line in lines if line.startswith("-A FORWARD"))
    rules = [line for line in lines if line.startswith("-A") and "192.0.2.1" not in line]
    rest = [line for line in lines if line.startswith((":", "add"))]
    return [first, *rules, *sorted(rest)]
