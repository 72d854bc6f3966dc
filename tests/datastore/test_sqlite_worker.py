"""Work in the store's thread: in order, each with its own result, also where much waits."""

import asyncio
import threading
from functools import partial

import pytest

from tortie.datastore.sqlite.worker import TOGETHER, Worker

BOUND = 30.0


def play(scene) -> None:
    async def body() -> None:
        worker = Worker("tested")
        try:
            async with asyncio.timeout(BOUND):
                await scene(worker)
        finally:
            worker.end()

    asyncio.run(body())


@pytest.mark.parametrize("number", [1, TOGETHER, 5 * TOGETHER + 1])
def test_each_has_its_own_result_and_all_are_done_in_order(number: int) -> None:
    done: list[int] = []

    async def scene(worker: Worker) -> None:
        def work(one: int):
            return lambda: (done.append(one), one, threading.get_ident())[1:]

        found = await asyncio.gather(*(worker.run(work(one)) for one in range(number)))
        assert [one for one, _ in found] == done == list(range(number))
        assert len({thread for _, thread in found} | {threading.get_ident()}) == 2

    play(scene)


def test_an_error_is_told_to_whom_it_belongs() -> None:
    def fail() -> int:
        raise ValueError("as told")

    async def scene(worker: Worker) -> None:
        first, second, third = await asyncio.gather(
            worker.run(lambda: 1), worker.run(fail), worker.run(lambda: 3), return_exceptions=True
        )
        assert (first, str(second), third) == (1, "as told", 3)
        assert isinstance(second, ValueError)

    play(scene)


def test_what_comes_while_the_thread_ends_its_round_is_done_too() -> None:
    """Callers that each ask again as soon as they have their answer."""

    async def scene(worker: Worker) -> None:
        async def caller(own: int) -> None:
            for number in range(200):
                work = partial(tuple, (own, number))
                assert await worker.run(work) == (own, number)

        await asyncio.gather(*map(caller, range(3)))

    play(scene)


def test_what_nobody_waits_for_any_more_is_not_begun() -> None:
    begun: list[str] = []
    gate = threading.Event()

    async def scene(worker: Worker) -> None:
        first = asyncio.ensure_future(worker.run(lambda: gate.wait(BOUND)))
        left = asyncio.ensure_future(worker.run(lambda: begun.append("left")))
        last = asyncio.ensure_future(worker.run(lambda: begun.append("last")))
        await asyncio.sleep(0)
        left.cancel()
        await asyncio.sleep(0)
        gate.set()
        await asyncio.gather(first, last)
        assert begun == ["last"]
        assert left.cancelled()

    play(scene)


def test_who_leaves_during_the_work_does_not_disturb_it() -> None:
    begun, gate = threading.Event(), threading.Event()

    def work() -> None:
        begun.set()
        gate.wait(BOUND)

    async def scene(worker: Worker) -> None:
        task = asyncio.ensure_future(worker.run(work))
        await asyncio.to_thread(begun.wait, BOUND)
        task.cancel()
        gate.set()
        assert await worker.run(lambda: 7) == 7
        assert task.cancelled()

    play(scene)
