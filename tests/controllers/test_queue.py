"""The queue of objects: none twice at once, none forgotten, and a bad one stops no other."""

import asyncio
from collections import Counter
from collections.abc import Callable

from hypothesis import given, settings
from hypothesis import strategies as st

from strategies.controllers import eventually
from tortie.controllers import queue as module
from tortie.controllers.queue import AT_ONCE, Failure, Queue


async def run_until(queue: Queue[str], done: Callable[[], bool]) -> None:
    task = asyncio.ensure_future(queue.run())

    async def is_done() -> bool:
        return done()

    try:
        await eventually(is_done)
    finally:
        task.cancel()
        await asyncio.wait([task])


def test_a_bad_object_waits_for_its_own_turn_and_the_others_go_on() -> None:
    failures: list[tuple[str, Failure]] = []
    seen: list[str] = []

    async def work(item: str) -> None:
        if item == "bad":
            raise ZeroDivisionError("as told")
        seen.append(item)

    async def scenario() -> None:
        queue: Queue[str] = Queue(work, lambda item, failure: failures.append((item, failure)))
        queue.add("bad")
        for number in range(100):
            queue.add(f"n{number}")
        await run_until(queue, lambda: len(seen) == 100 and len(failures) >= 3)
        assert set(queue.failures) == {"bad"}

    asyncio.run(scenario())
    assert {item for item, _ in failures} == {"bad"}
    assert [failure.attempts for _, failure in failures] == list(range(1, len(failures) + 1))


def test_what_was_put_right_is_no_failure_any_more() -> None:
    attempts: list[int] = []

    async def work(_: str) -> None:
        attempts.append(1)
        if len(attempts) < 3:
            raise OSError

    async def scenario() -> None:
        queue: Queue[str] = Queue(work, lambda *_: None)
        queue.add("a")
        await run_until(queue, lambda: len(attempts) == 3 and queue.idle)
        assert queue.failures == {}

    asyncio.run(scenario())


def test_a_change_does_not_wait_for_the_next_attempt(monkeypatch) -> None:
    monkeypatch.setattr(module, "SHORTEST", 3600.0)
    monkeypatch.setattr(module, "LONGEST", 3600.0)
    attempts: list[int] = []

    async def work(_: str) -> None:
        attempts.append(1)
        raise OSError

    async def scenario() -> None:
        queue: Queue[str] = Queue(work, lambda *_: None)
        queue.add("a")
        await run_until(queue, lambda: bool(queue.failures))
        queue.add("a")
        await run_until(queue, lambda: len(attempts) == 2)

    asyncio.run(scenario())


@settings(max_examples=40)
@given(st.lists(st.tuples(st.sampled_from("abcdefghijkl"), st.integers(0, 3)), max_size=60))
def test_each_is_looked_at_after_it_was_last_named_and_never_twice_at_once(steps) -> None:
    asyncio.run(_steps(steps))


async def _steps(steps: list[tuple[str, int]]) -> None:
    clock, named, looked = [0], dict[str, int](), dict[str, int]()
    busy: Counter[str] = Counter()
    most = [0]

    async def work(item: str) -> None:
        began = clock[0]
        busy[item] += 1
        most[0] = max(most[0], busy.total())
        assert busy[item] == 1
        for _ in range(3):
            await asyncio.sleep(0)
        busy[item] -= 1
        looked[item] = began

    problems: list[Failure] = []
    queue: Queue[str] = Queue(work, lambda _, failure: problems.append(failure))
    task = asyncio.ensure_future(queue.run())
    for item, pause in steps:
        clock[0] += 1
        named[item] = clock[0]
        queue.add(item)
        for _ in range(pause):
            await asyncio.sleep(0)

    async def idle() -> bool:
        return queue.idle

    await eventually(idle)
    task.cancel()
    await asyncio.wait([task])
    assert problems == []
    assert most[0] <= AT_ONCE
    assert set(looked) == set(named)
    assert all(looked[item] >= named[item] for item in named)
