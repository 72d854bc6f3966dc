"""Requests that wait for their turn anyway go together."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Generic, TypeVar

Q = TypeVar("Q")
A = TypeVar("A")
Serve = Callable[[Sequence[Q]], Awaitable[Sequence[A | Exception]]]
"""Answers requests, each with what it asked for or with its own error."""


class Convoy(Generic[Q, A]):
    """Serves in one go, up to `most`, whoever asked while `turn` was somebody else's.

    Nobody waits for others to come: the first goes at once, alone. One who is cancelled before the
    start stays behind; later, what was asked for is done though nobody hears of it.
    """

    def __init__(self, turn: asyncio.Lock, serve: Serve[Q, A], most: int) -> None:
        self._turn = turn
        self._serve = serve
        self._most = most
        self._waiting: list[tuple[Q, asyncio.Future[A]]] = []
        self._task: asyncio.Task[None] | None = None

    async def ask(self, one: Q) -> A:
        """The answer to a request. Raises what it was answered with, or what `serve` raised."""
        answer: asyncio.Future[A] = asyncio.get_running_loop().create_future()
        self._waiting.append((one, answer))
        if self._task is None:
            self._task = asyncio.create_task(self._run())
        return await answer

    async def _run(self) -> None:
        try:
            while self._waiting:
                async with self._turn:
                    together = [one for one in self._waiting if not one[1].done()]
                    self._waiting = together[self._most :]
                    await self._go(together[: self._most])
        finally:
            self._task = None
            for _, answer in self._waiting:  # only where this task was cancelled
                answer.cancel()

    async def _go(self, together: Sequence[tuple[Q, asyncio.Future[A]]]) -> None:
        if not together:
            return
        try:
            answers = await self._serve([one for one, _ in together])
        except Exception as problem:
            answers = [problem] * len(together)
        except BaseException:
            for _, answer in together:
                answer.cancel()
            raise
        for (_, waiting), found in zip(together, answers, strict=True):
            _settle(waiting, found)


def _settle(waiting: asyncio.Future[Any], answer: object) -> None:
    if waiting.done():  # who asked has gone
        return
    if isinstance(answer, Exception):
        waiting.set_exception(answer)
    else:
        waiting.set_result(answer)
