"""Interfaces on their way out: shut at once, deleted a moment later.

The kernel takes 20 ms and more to delete an interface, waiting for whoever may still look at it,
and a container's end waits for as long. So DEL only shuts it: the node's end goes down, which ends
its routes, and gets another name, which leaves its own to a successor. No packet passes from then
on. The new name still begins as a workload's does, so that whoever took it up again would find it
closed: no rule knows it. Which interfaces are departing is told by the kernel alone, by name and
group, so that it outlives a killed agent.
"""

import asyncio
import errno
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import structlog

from tortie.cni.errors import IO_FAILURE, CniError
from tortie.linux.links import Links
from tortie.linux.netlink.rtlink import Link
from tortie.linux.netlink.sockets import NetlinkError, NetlinkSocket

GROUP = 0x74746467  # of interfaces (`ip link show group`); no distribution names one like it
_LONGEST = 15  # bytes of a name, of the kernel
_GATHER = 0.03  # seconds; who is deleted in that time is so together
_RETRY = 5.0  # seconds
_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"

_log = structlog.get_logger(__name__)


def departing_name(prefix: str, index: int) -> str:
    """The name of the departing interface with this index: no workload's, and no other's."""
    digits = ""
    while index:
        index, digit = divmod(index, len(_DIGITS))
        digits = _DIGITS[digit] + digits
    return f"{prefix}-{digits}"[:_LONGEST]


def is_departing(link: Link) -> bool:
    """Whether an interface was shut by `shut`: a veth of our group, named by its index."""
    prefix, dash, _ = link.name.rpartition("-")
    ours = bool(dash) and link.name == departing_name(prefix, link.index)
    return ours and link.kind == "veth" and link.group == GROUP


def shut(name: str, prefix: str) -> bool:
    """Have no packet pass through an interface, and its name free; False where there is none.

    Raises CniError.
    """
    with NetlinkSocket() as sock:
        links = Links(sock)
        try:
            link = links.find(name)
            if link is None:
                return False
            return links.set_aside(link, departing_name(prefix, link.index), GROUP)
        except OSError as problem:
            raise CniError(IO_FAILURE, f"can't shut {name}: {problem}") from None


def purge() -> int:
    """Delete the departing interfaces, all in one go; how many there were. Raises NetlinkError."""
    with NetlinkSocket() as sock:
        links = Links(sock)
        members = [link for link in links.list() if link.group == GROUP]
        departing = [link for link in members if is_departing(link)]
        if departing == members:
            _delete_all(links, departing)
        else:  # somebody else's are in that group, too: those stay
            for link in departing:
                links.delete(link.name)
    return len(departing)


def _delete_all(links: Links, departing: list[Link]) -> None:
    try:
        if departing:
            links.delete_group(GROUP)
    except NetlinkError as problem:
        if problem.errno != errno.ENODEV:  # they went with their containers' namespaces
            raise


class Reaper:
    """Deletes departing interfaces in a thread of its own, many at once where many came."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="cni-reaper")
        self._wanted = False
        self._task: asyncio.Task[None] | None = None

    def wake(self) -> None:
        """There may be some now. Returns at once."""
        self._wanted = True
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._work())

    async def close(self) -> None:
        """Delete what still departs, since nobody else would before the next agent's start."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
            with suppress(OSError):  # the next agent tries again
                await self.purged()
        self._thread.shutdown(wait=False)

    async def purged(self) -> None:
        """Return once those that are departing now are gone. Raises NetlinkError."""
        await asyncio.get_running_loop().run_in_executor(self._thread, purge)

    async def _work(self) -> None:
        try:
            while self._wanted:
                await asyncio.sleep(_GATHER)
                self._wanted = False
                await self._purge()
        finally:
            self._task = None

    async def _purge(self) -> None:
        try:
            await self.purged()
        except OSError as problem:
            _log.warning("shut interfaces can't be deleted, will retry", reason=str(problem))
            await asyncio.sleep(_RETRY)
            self._wanted = True
