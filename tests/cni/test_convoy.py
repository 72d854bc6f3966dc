"""Who waits for a turn goes together with the others that do; each hears of its own request."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress

import pytest

from tortie.cni.convoy import Convoy


class Ferry:
    """Serves requests when told to. `trips` are who went together."""

    def __init__(self) -> None:
        self.trips: list[list[str]] = []
        self.gate = asyncio.Event()

    async def serve(self, requests: Sequence[str]) -> list[str | Exception]:
        self.trips.append(list(requests))
        await self.gate.wait()
        if "sink" in requests:
            raise OSError("sunk")
        return [ValueError(one) if one == "bad" else one.upper() for one in requests]


def scene(play: Callable[[Ferry, Convoy[str, str]], Awaitable[None]], most: int = 10) -> None:
    async def body() -> None:
        ferry = Ferry()
        await play(ferry, Convoy(asyncio.Lock(), ferry.serve, most))

    asyncio.run(body())


async def asked(convoy: Convoy[str, str], *requests: str) -> list[asyncio.Task[str]]:
    tasks = [asyncio.create_task(convoy.ask(one)) for one in requests]
    for _ in range(5):
        await asyncio.sleep(0)
    return tasks


def test_the_first_goes_at_once_and_who_comes_meanwhile_goes_together() -> None:
    async def play(ferry: Ferry, convoy: Convoy[str, str]) -> None:
        first = await asked(convoy, "a")
        assert ferry.trips == [["a"]]
        others = await asked(convoy, "b", "c", "d")
        assert ferry.trips == [["a"]]
        ferry.gate.set()
        assert await asyncio.gather(*first, *others) == ["A", "B", "C", "D"]
        assert ferry.trips == [["a"], ["b", "c", "d"]]
        assert await convoy.ask("e") == "E"

    scene(play)


def test_no_more_than_the_limit_go_at_once() -> None:
    async def play(ferry: Ferry, convoy: Convoy[str, str]) -> None:
        ferry.gate.set()
        assert await asyncio.gather(*map(convoy.ask, "abcde")) == list("ABCDE")
        assert ferry.trips == [["a", "b"], ["c", "d"], ["e"]]

    scene(play, most=2)


def test_an_error_is_told_to_whom_it_belongs() -> None:
    async def play(ferry: Ferry, convoy: Convoy[str, str]) -> None:
        ferry.gate.set()
        answers = await asyncio.gather(*map(convoy.ask, ("a", "bad", "c")), return_exceptions=True)
        assert [str(one) for one in answers] == ["A", "bad", "C"]
        assert isinstance(answers[1], ValueError)

    scene(play)


def test_what_fails_all_is_told_to_all_and_the_next_go() -> None:
    async def play(ferry: Ferry, convoy: Convoy[str, str]) -> None:
        ferry.gate.set()
        answers = await asyncio.gather(*map(convoy.ask, ("a", "sink")), return_exceptions=True)
        assert [type(one) for one in answers] == [OSError, OSError]
        assert await convoy.ask("b") == "B"

    scene(play)


@pytest.mark.parametrize("started", [False, True])
def test_who_leaves_does_not_hold_up_the_others(started: bool) -> None:
    async def play(ferry: Ferry, convoy: Convoy[str, str]) -> None:
        first = await asked(convoy, "a")
        others = await asked(convoy, "b", "c")
        leaver = first[0] if started else others[0]
        leaver.cancel()
        ferry.gate.set()
        stay = [one for one in (*first, *others) if one is not leaver]
        assert await asyncio.gather(*stay) == (["B", "C"] if started else ["A", "C"])
        assert ferry.trips == [["a"], ["b", "c"] if started else ["c"]]

    scene(play)


def test_two_kinds_of_requests_take_turns() -> None:
    async def body() -> None:
        turn = asyncio.Lock()
        one, other = Ferry(), Ferry()
        there, back = Convoy(turn, one.serve, 9), Convoy(turn, other.serve, 9)
        tasks = [*await asked(there, "a"), *await asked(back, "x", "y"), *await asked(there, "b")]
        assert (one.trips, other.trips) == ([["a"]], [])
        one.gate.set()
        other.gate.set()
        assert await asyncio.gather(*tasks) == ["A", "X", "Y", "B"]
        assert (one.trips, other.trips) == ([["a"], ["b"]], [["x", "y"]])

    asyncio.run(body())


def test_whoever_waits_is_released_when_all_ends() -> None:
    async def play(ferry: Ferry, convoy: Convoy[str, str]) -> None:
        del ferry
        tasks = [*await asked(convoy, "a"), *await asked(convoy, "b")]
        for task in asyncio.all_tasks() - {asyncio.current_task(), *tasks}:
            task.cancel()  # as asyncio.run does
        for task in tasks:
            with suppress(asyncio.CancelledError):
                await asyncio.wait_for(task, 5)
            assert task.cancelled()

    scene(play)
