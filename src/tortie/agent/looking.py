"""When drivers look at the kernel without being told, for what gives no notification."""

import asyncio
from collections.abc import Callable, Mapping


async def look_again(
    intervals: Callable[[], Mapping[str, float]],
    changed: asyncio.Event,
    look: Callable[[str], None],
) -> None:
    """Call `look` with the name of each driver whose time it is, for ever.

    `intervals` gives seconds by drivers' names, 0: never. It is asked anew after each look, and
    when `changed` is set: a shorter one than before counts at once.
    """
    loop, due = asyncio.get_running_loop(), dict[str, float]()
    while True:
        now = loop.time()
        each = {name: now + seconds for name, seconds in intervals().items() if seconds}
        due = {name: min(at, due.get(name, at)) for name, at in each.items()}
        wait = max(0.0, min(due.values()) - now) if due else None
        try:
            await asyncio.wait_for(changed.wait(), wait)
            changed.clear()
        except TimeoutError:
            for name in [name for name, at in due.items() if at <= loop.time()]:
                del due[name]
                look(name)
