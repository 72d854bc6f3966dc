"""What new workloads get of the uplinks as these are now: an MTU, which is told, packet sizes."""

import asyncio
from collections.abc import Callable, Collection
from pathlib import Path
from typing import NamedTuple

import structlog

from tortie.agent.driver_settings import mtus
from tortie.daemon.health import Health
from tortie.engine.configuration import Configuration
from tortie.linux.netlink.monitor import LinkState
from tortie.linux.netlink.rtlink import Link
from tortie.node import flannel
from tortie.node.mtu import MtuFile, PodMtu

PART = "mtu-file"  # of the agent's health
_AGAIN = 30.0  # seconds until a file that could not be written is tried again

_log = structlog.get_logger(__name__)


class Node(NamedTuple):
    """What is asked of the node: its settings in force, the tunnels that workloads' packets may
    travel in, and where flannel says what it does here."""

    settings: Callable[[], Configuration]
    tunnels: Callable[[], Collection[str]]
    flannel: Path


class WorkloadMtu:
    """Follows the node's links; tells `file` of each change, and `health` what hinders it.

    In the event loop. `warn` is told of trouble, too, for people.
    """

    def __init__(
        self, node: Node, file: MtuFile, health: Health, warn: Callable[[str], None]
    ) -> None:
        self._node, self._file, self._health, self._warn = node, file, health, warn
        self._links = PodMtu(node.settings().mtu_iface_pattern)
        self._again: asyncio.TimerHandle | None = None
        health.register(PART, 0, "")

    def begin(self, links: Collection[Link]) -> None:
        """These are there at the start."""
        for link in links:
            self._links.link_changed(link)

    def link_event(self, link: Link, state: LinkState) -> None:
        """One of them changed."""
        if state == LinkState.GONE:
            self._links.link_gone(link)
        else:
            self._links.link_changed(link)
        self.tell()

    def now(self) -> int:
        """The MTU, in bytes."""
        config = self._node.settings()
        self._links.configure(config.mtu_iface_pattern)
        own = self._links.through(self._node.tunnels(), mtus(config))
        return flannel.mtu_beside(self._node.flannel, own)

    def followed(self) -> tuple[str, ...]:
        """Whose packet sizes workloads take over: nobody's where a tunnel may be on the way, which
        handles 64 KiB at once.
        """
        beside = flannel.read_subnet_file(self._node.flannel) is not None
        return () if beside or self._node.tunnels() else self._links.uplinks()

    def tell(self) -> None:
        """After what may have changed it: a link, a pool, a setting."""
        mtu, trouble = self.now(), ""
        if self._again is not None:  # one try is enough, however often there was news meanwhile
            self._again.cancel()
        try:
            if self._file.tell(mtu):
                _log.info("the MTU of new workloads changes", mtu=mtu)
        except OSError as problem:
            trouble = f"can't write the MTU of workloads to a file: {problem}"
            self._warn(trouble)
            self._again = asyncio.get_running_loop().call_later(_AGAIN, self.tell)
        self._health.waiting(PART, trouble if self._node.settings().require_mtu_file else "")
