"""Who else changes what is ours in iptables and ipset.

Rules over nf_tables come with the kernel's notifications. Its own (legacy) tables and ipset's sets
have none: how they look from afar is asked several times a second (`footprint`).
"""

import asyncio
from collections.abc import Callable, Collection

from tortie.dataplane.iptables.footprint import Footprint
from tortie.dataplane.iptables.names import CHAIN_PREFIX
from tortie.dataplane.iptables.settings import Backend
from tortie.dataplane.iptables.skeleton import JUMPS
from tortie.linux.netlink.nftevents import LOST, ChainsWithin, Transaction, TransactionMonitor

_PERIOD = 0.2  # seconds from one question to the next
_PATIENCE = 0.02  # seconds in which a command's number is known here, too
_UNKNOWN = "an unnamed process"


class IptablesWatch:
    """Calls `told` in the event loop with who it was, as far as that is known.

    `own` holds the driver's processes: their netlink ports are their numbers. Raises OSError.
    """

    def __init__(
        self,
        backend: Backend,
        footprint: Footprint,
        own: Collection[int],
        told: Callable[[str], None],
    ) -> None:
        self._footprint, self._own, self._told = footprint, own, told
        self._timer: asyncio.TimerHandle | None = None
        self._monitor: TransactionMonitor | None = None
        if backend is Backend.NFT:
            ours = ChainsWithin(
                frozenset(jump.table for jump in JUMPS),
                CHAIN_PREFIX,
                frozenset(jump.hook for jump in JUMPS),
            )
            self._monitor = TransactionMonitor(ours, (), self._changed, self._lost)

    def start(self) -> None:
        """Tell from the running loop from now on."""
        if self._monitor is not None:
            self._monitor.start()
        self._ask_later()

    def close(self) -> None:
        """Stop; closing it twice is harmless."""
        if self._monitor is not None:
            self._monitor.close()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _ask_later(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(_PERIOD, self._ask)

    def _ask(self) -> None:
        self._ask_later()
        try:
            differs = self._footprint.differs()
        except OSError:
            differs = True  # what does not answer must be looked at
        if differs:
            self._told(_UNKNOWN)

    def _changed(self, found: Transaction) -> None:
        """A process that the driver starts at this moment is known as its own a moment later."""
        asyncio.get_running_loop().call_later(_PATIENCE, self._judge, found)

    def _judge(self, found: Transaction) -> None:
        if self._timer is not None and found.port not in self._own:
            self._told(str(found))

    def _lost(self) -> None:
        self._told(LOST)
