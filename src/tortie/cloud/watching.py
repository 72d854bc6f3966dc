"""Pools as the agent's stream tells them, judged by the cloud that the machine is of."""

from collections.abc import Callable, Sequence

from tortie.api import IPPool, Key, Resource
from tortie.cloud.advice import warnings
from tortie.cloud.detect import Cloud


class PoolWatch:
    """Tells each piece of advice once, as long as it holds. Pure but for `warn`."""

    def __init__(self, warn: Callable[[str], None], cloud: Cloud | None = None) -> None:
        self._warn = warn
        self._cloud = cloud
        self._pools: dict[Key, IPPool] = {}
        self._setting = "DoNothing"
        self._told: frozenset[str] = frozenset()

    def found(self, cloud: Cloud | None) -> None:
        """The machine is of this cloud."""
        self._cloud = cloud
        self._judge()

    def configure(self, source_check: str) -> None:
        """AWSSrcDstCheck has this value."""
        self._setting = source_check
        self._judge()

    def saw(self, updates: Sequence[tuple[Key, Resource | None]]) -> None:
        """The agent's observer."""
        pools = [(key, value) for key, value in updates if key.kind == "IPPool"]
        for key, value in pools:
            self._pools.pop(key, None)
            if isinstance(value, IPPool):
                self._pools[key] = value
        if pools:
            self._judge()

    def _judge(self) -> None:
        if self._cloud is None:
            return
        found = frozenset(warnings(self._cloud, self._pools.values(), self._setting))
        for line in sorted(found - self._told):
            self._warn(line)
        self._told = found
