"""A real BIRD that hangs, loses its socket or its folder: it is told in the end, and is one BIRD.

These BIRDs have no protocol that touches the kernel: they run beside whatever else is there.
"""

import asyncio
import os
import shutil
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest
from msgspec.structs import replace

from bgp.network import BIRD, PATIENCE
from bgp.pictures import ALPHA, picture
from tortie.bgp.bird import Bird, Unusable
from tortie.bgp.control import BirdAway
from tortie.bgp.picture import Picture
from tortie.bgp.processes import SOCKET, running_in
from tortie.bgp.running import Patience, Running, end_left
from tortie.bgp.telling import Telling

QUICK = Patience(look=0.1, again=0.1, silent=4.0, lost=0.5, start=PATIENCE)
BRIEF = Patience(look=0.1, again=0.1, silent=4.0, lost=0.5, start=1.0)
SLOW = Patience(look=0.1, again=0.1, silent=PATIENCE, lost=PATIENCE, start=PATIENCE)


def named(name: str) -> Picture:
    """A picture with a name, by which it is known what BIRD was told."""
    return replace(picture(ALPHA), node=name)


def text(found: Picture) -> str:
    """A protocol of that name, and nothing else."""
    known = (
        f"router id 10.0.0.1;\nprotocol device {{ }}\nprotocol static {found.node} {{ ipv4; }}\n"
    )
    return known if found.node != "nonsense" else "no configuration"


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """BIRD's; no BIRD is left in it."""
    if BIRD is None:
        pytest.skip("BIRD 2 is not installed (Debian: bird2)")
    found = tmp_path / "bird"
    yield found
    for number in running_in(found):
        os.kill(number, signal.SIGKILL)


class Kept:
    """A BIRD that is kept running, and is told of texts as the daemon does it."""

    def __init__(self, folder: Path, patience: Patience, program: str = "bird") -> None:
        self.bird = Bird(str(folder), program, answer=2.0)
        self.running = Running(self.bird, patience)
        self.telling = Telling(self.bird, self.running, text)

    async def knows(self, name: str) -> bool:
        with suppress(BirdAway):
            return name in str((await self.bird.ask("show protocols")).lines)
        return False

    async def begun(self) -> int:
        """The process, once it runs and we know of it: number 0 would be ourselves to `kill`."""
        await until(lambda: self.knows("one_s"))
        await until(lambda: _is(self.running.process != 0))
        return self.running.process

    async def told(self, wanted: Picture) -> bool:
        return await self.telling.tell(wanted) is None and bool(self.telling.told_at)


@asynccontextmanager
async def kept(
    folder: Path, patience: Patience = QUICK, program: str = "bird"
) -> AsyncIterator[Kept]:
    found = Kept(folder, patience, program)
    assert await found.telling.tell(named("one_s")) is None
    assert found.telling.problem == ""  # there is no BIRD yet, which will read the file
    keeping = asyncio.ensure_future(found.running.keep(found.telling.forget))
    try:
        yield found
    finally:
        keeping.cancel()
        with suppress(asyncio.CancelledError):
            await keeping
        for number in running_in(folder):
            os.kill(number, signal.SIGCONT)
        await found.running.stop()


async def until(what: Callable[[], Awaitable[bool]]) -> None:
    for _ in range(round(PATIENCE / 0.05)):
        if await what():
            return
        await asyncio.sleep(0.05)
    raise AssertionError("it did not come about")


def test_a_bird_that_hung_is_told_once_it_answers_and_not_before(folder: Path) -> None:
    async def story() -> None:
        async with kept(folder, SLOW) as one:
            process = await one.begun()
            await until(lambda: one.told(named("one_s")))
            before = one.telling.told_at
            os.kill(process, signal.SIGSTOP)
            assert await one.telling.tell(named("two_s")) is not None
            assert "has not been told" in one.telling.problem
            assert one.telling.told_at == before
            assert await one.telling.tell(named("one_s")) is not None  # it may have heard of two_s
            os.kill(process, signal.SIGCONT)
            await until(lambda: one.told(named("two_s")))
            await until(lambda: one.knows("two_s"))
            assert one.telling.problem == ""
            await until(lambda: _is(one.running.trouble == ""))
            assert one.running.process == process

    asyncio.run(story())


def test_a_bird_that_ran_before_recovers_and_one_that_never_did_does_not(folder: Path) -> None:
    """A new node would wait for peers before its first route."""

    async def story() -> None:
        async with kept(folder) as one:
            process = await one.begun()
            assert "-R" not in words(process)
            assert os.getsid(process) != os.getsid(0)  # who interrupts us does not interrupt it
            os.kill(process, signal.SIGKILL)
            await until(lambda: _is(one.running.process not in (0, process)))
            assert "-R" in words(one.running.process)

    asyncio.run(story())


def words(process: int) -> list[str]:
    return Path(f"/proc/{process}/cmdline").read_text().split("\0")


def test_a_bird_that_hangs_for_ever_makes_room_for_another(folder: Path) -> None:
    async def story() -> None:
        async with kept(folder) as one:
            process = await one.begun()
            os.kill(process, signal.SIGSTOP)
            await until(lambda: _is("does not answer" in one.running.trouble))
            await one.telling.tell(named("two_s"))  # in vain, or to the next one
            await until(lambda: one.knows("two_s"))
            await until(lambda: _is(running_in(folder) == [one.running.process]))
            assert one.running.process != process
            await until(lambda: _is(one.running.trouble == ""))

    asyncio.run(story())


def lives(process: str) -> bool:
    return Path(f"/proc/{process}").exists()


async def _is(value: bool) -> bool:
    return value


@pytest.mark.parametrize("removed", [SOCKET, "."])
def test_a_bird_whose_socket_or_folder_is_gone_makes_room_for_another(
    folder: Path, removed: str
) -> None:
    async def story() -> None:
        async with kept(folder) as one:
            process = await one.begun()
            if removed == SOCKET:
                (folder / SOCKET).unlink()
            else:
                shutil.rmtree(folder)
            await until(lambda: one.told(named("two_s")))
            await until(lambda: one.knows("two_s"))
            await until(lambda: _is(running_in(folder) == [one.running.process]))
            assert one.running.process != process

    asyncio.run(story())


@pytest.mark.parametrize("stopped", [True, False])
def test_the_next_daemon_starts_no_second_bird_beside_one_that_can_not_be_asked(
    folder: Path, stopped: bool
) -> None:
    async def story() -> None:
        first = Kept(folder, QUICK)
        await first.telling.tell(named("one_s"))
        await first.running.start()
        process = first.running.process
        if stopped:
            os.kill(process, signal.SIGSTOP)
        else:
            (folder / SOCKET).unlink()
        async with kept(folder) as one:
            await until(lambda: one.knows("one_s"))
            await until(lambda: _is(running_in(folder) == [one.running.process]))
            assert one.running.process != process
            assert not one.running.adopted

    asyncio.run(story())


def test_a_bird_that_never_answers_is_told_of_and_is_one(folder: Path, tmp_path: Path) -> None:
    """No real BIRD hangs at its start on demand."""
    started = tmp_path / "started"
    program = tmp_path / "hangs"
    program.write_text(
        f'#!/bin/sh\n[ "$1" = -f ] || exit 0\necho $$ >> {started}\nexec sleep 300\n'
    )
    program.chmod(0o755)

    async def story() -> None:
        async with kept(folder, BRIEF, str(program)) as one:
            await until(lambda: _is(started.exists() and started.read_text().count("\n") >= 3))
            assert "BIRD can't be started" in one.running.trouble
            assert sum(map(lives, started.read_text().split())) <= 1

    asyncio.run(story())


@pytest.mark.parametrize("stopped", [True, False])
def test_cleaning_a_node_ends_a_bird_that_can_not_be_asked(folder: Path, stopped: bool) -> None:
    async def story() -> None:
        one = Kept(folder, QUICK)
        await one.telling.tell(named("one_s"))
        await one.running.start()
        if stopped:
            os.kill(one.running.process, signal.SIGSTOP)
        else:
            (folder / SOCKET).unlink()
        await end_left(str(folder))
        assert running_in(folder) == []

    asyncio.run(story())


def test_what_could_not_be_written_is_tried_again_and_what_is_taken_back_is_no_problem(
    folder: Path,
) -> None:
    async def story() -> None:
        async with kept(folder) as one:
            await until(lambda: one.knows("one_s"))
            await until(lambda: one.told(named("one_s")))
            assert await one.telling.tell(named("nonsense")) is None
            assert "BIRD refuses" in one.telling.problem
            assert await one.telling.tell(named("one_s")) is None
            assert one.telling.problem == ""
            (folder / "candidate.conf").mkdir()  # nothing can be written there
            assert await one.telling.tell(named("two_s")) is not None
            assert "can't be written" in one.telling.problem
            (folder / "candidate.conf").rmdir()
            await until(lambda: one.told(named("two_s")))
            await until(lambda: one.knows("two_s"))

    asyncio.run(story())


def test_bird_1_is_named_and_not_tried(tmp_path: Path) -> None:
    """It can't be installed beside BIRD 2."""
    program = tmp_path / "bird"
    program.write_text("#!/bin/sh\necho 'BIRD version 1.6.8' >&2\n")
    program.chmod(0o755)
    with pytest.raises(Unusable, match=r"is BIRD 1\.6\.8: install BIRD 2"):
        Bird(str(tmp_path / "folder"), str(program))
