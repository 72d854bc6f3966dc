"""AWSSrcDstCheck: whether this machine may send what is not its own, as the setting says.

Amazon's network drops packets whose source or destination is not the machine's, and so the packets
of its workloads. Nothing is asked of Amazon unless somebody says so, and then until it is done.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable

import structlog

from tortie.cloud.amazon import API_VARIABLE, METADATA_VARIABLE, CloudError

PART = "aws-source-destination-check"
WAITING = "Amazon has not been asked yet"
_SHORTEST, _LONGEST = 1.0, 300.0  # seconds: an API that a whole cluster asks at once
_PATIENCE = 10.0  # seconds for an answer
_WANTED = {"Enable": True, "Disable": False}

Ask = Callable[[bool], Awaitable[None]]
_log = structlog.get_logger(__name__)


class SourceCheck:
    """Keeps it so. `ask` sets it, and raises CloudError; `tell` hears "" or what is waited for."""

    def __init__(
        self, setting: str, ask: Ask, tell: Callable[[str], None], shortest: float = _SHORTEST
    ) -> None:
        self._setting, self._ask, self._tell = setting, ask, tell
        self._shortest = shortest
        self._changed = asyncio.Event()

    def configure(self, setting: str) -> None:
        """Another setting is in force."""
        if setting != self._setting:
            self._setting = setting
            if setting in _WANTED:
                self._tell(WAITING)
            self._changed.set()

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            self._changed.clear()
            setting = self._setting
            if setting in _WANTED:
                await self._settle(setting)
            else:
                self._tell("")
            await self._changed.wait()

    async def _settle(self, setting: str) -> None:
        """Until it is done, or something else is wanted."""
        wait, told = self._shortest, ""
        while self._setting == setting:
            try:
                await self._ask(_WANTED[setting])
            except CloudError as problem:
                reason = f"AWSSrcDstCheck is {setting}: {problem}"
                if reason != told:
                    told = reason
                    _log.warning("can't set it yet, will retry", reason=reason)
                self._tell(reason)
                await self._pause(wait)
                wait = min(_LONGEST, wait * 2)
            else:
                self._tell("")
                _log.info("Amazon's check of source and destination is set", setting=setting)
                return

    async def _pause(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds * (0.5 + random.random() / 2)):
                await self._changed.wait()
        except TimeoutError:
            pass


async def ask_amazon(is_checked: bool) -> None:
    """Set it at this machine's first interface. Raises CloudError, also where the environment
    names addresses, a proxy or certificates that can't be used: the agent goes on without.
    """
    import httpx

    try:
        await _asked(is_checked)
    except (httpx.InvalidURL, ValueError, OSError, ExceptionGroup) as problem:
        raise CloudError(
            f"the environment's {API_VARIABLE}, {METADATA_VARIABLE}, proxy or certificates can't"
            f" be used: {type(problem).__name__}"
        ) from None


async def _asked(is_checked: bool) -> None:
    import httpx

    from tortie.cloud.amazon import Ec2, Metadata

    async with httpx.AsyncClient(trust_env=False, timeout=_PATIENCE) as beside:
        instance = await Metadata(beside).instance()
    async with httpx.AsyncClient(timeout=_PATIENCE) as http:  # by the environment's proxy, if any
        await Ec2(http).check_source(instance, is_checked)
