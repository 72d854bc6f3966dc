"""Work on many nodes or workloads at once: all of it to its end, then one error for what failed."""

import asyncio
from collections.abc import Awaitable, Iterable

from tortie.lab.errors import LabError


async def all_of(work: Iterable[Awaitable[None]]) -> None:
    """Do it. Raises one LabError for all of those; anything else as it is."""
    outcomes = await asyncio.gather(*work, return_exceptions=True)
    failures = [outcome for outcome in outcomes if isinstance(outcome, BaseException)]
    for failure in failures:
        if not isinstance(failure, LabError):
            raise failure
    if failures:
        raise LabError("\n".join(map(str, failures)))
