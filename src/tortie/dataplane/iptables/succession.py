"""One policy driver in force, and what the others of earlier settings left, removed after it.

A node may go from nftables to either iptables and back. The new driver writes the whole program
before the old one's rules go, so that between the two a packet is asked by both, and never by none.
Until the program is known the old rules are what guards the node: they stay as they are, and the
new driver waits.
"""

from collections.abc import Callable, Sequence
from contextlib import closing
from enum import StrEnum
from typing import Any, Protocol

from msgspec.structs import replace

from tortie.dataplane.contract import Applied, Failure, Watch
from tortie.dataplane.iptables.backends import installed
from tortie.dataplane.iptables.driver import IptablesDataplane
from tortie.dataplane.iptables.settings import Backend, IptablesSettings
from tortie.dataplane.nftables import NftablesDataplane, NftSettings
from tortie.dataplane.nftables.kernel import Kernel
from tortie.dataplane.policy.desired import Desired
from tortie.engine.delta import Delta
from tortie.linux.netlink.sockets import NetlinkError


class Firewall(StrEnum):
    """What holds a node's policy."""

    NFTABLES = "nftables"
    IPTABLES = "iptables"


class Predecessor(Protocol):
    """What another driver may have left in the kernel."""

    title: str

    def is_there(self) -> bool:
        """Whether it left something."""
        ...

    def guard(self) -> Applied:
        """Shut what somebody has opened in it meanwhile."""
        ...

    def remove(self) -> None:
        """Remove all of it."""
        ...


class OldNftables:
    """The tables of the nftables driver."""

    title = "what the nftables dataplane left"

    def __init__(self, settings: NftSettings) -> None:
        self._settings = settings

    def is_there(self) -> bool:
        """Whether there are such tables."""
        try:
            with closing(Kernel()) as kernel:
                return any(one.chains for one in kernel.read().mirrors.values())
        except NetlinkError:
            return False  # a kernel without nftables

    def guard(self) -> Applied:
        """Shut what somebody has opened in them."""
        with NftablesDataplane(self._settings) as driver:
            return driver.guard()

    def remove(self) -> None:
        """Remove both tables."""
        with NftablesDataplane(self._settings) as driver:
            driver.remove()


class OldIptables:
    """The rules in these backends, and the sets, if no other backend goes on with them."""

    def __init__(self, settings: Sequence[IptablesSettings], *, and_sets: bool) -> None:
        self.title = f"what iptables-{' and -'.join(str(one.backend) for one in settings)} left"
        self._settings, self._and_sets = settings, and_sets

    def is_there(self) -> bool:
        """Whether there are such rules."""
        return bool(self._found())

    def guard(self) -> Applied:
        """Shut what somebody has opened in them."""
        applied = Applied()
        for one in self._found():
            with IptablesDataplane(one) as driver:
                applied += driver.guard()
        return applied

    def remove(self) -> None:
        """Remove the rules of all before any set."""
        for one in self._found():
            with IptablesDataplane(one) as driver:
                driver.remove_rules()
        if self._and_sets:
            with IptablesDataplane(self._settings[0]) as driver:
                driver.remove_sets()

    def _found(self) -> list[IptablesSettings]:
        found = []
        for one in self._settings:
            with IptablesDataplane(one) as driver:
                found += [one] if driver.is_there() else []
        return found


class Succession:
    """A policy driver with its predecessors, as one driver. Raises what the driver raises.

    Make and use it in the network namespace of the node.
    """

    def __init__(
        self, driver: NftablesDataplane | IptablesDataplane, predecessors: Sequence[Predecessor]
    ) -> None:
        self.name = driver.name
        self._driver = driver
        self._left = list(predecessors)
        self._has_policy = False

    def close(self) -> None:
        """Let go of the driver's descriptors; what is in force stays."""
        self._driver.close()

    @property
    def ports(self) -> frozenset[int]:
        """The driver's."""
        return self._driver.ports

    @property
    def desired(self) -> Desired[Any, Any]:
        """The driver's."""
        return self._driver.desired

    @property
    def written(self) -> int:
        """The driver's."""
        return self._driver.written

    def configure(self, nftables: NftSettings, iptables: IptablesSettings) -> bool:
        """Whether these are other settings to the driver; it takes them with its next resync."""
        if isinstance(self._driver, IptablesDataplane):
            return self._driver.configure(iptables)
        return self._driver.configure(nftables)

    def watch(self, told: Callable[[str], None]) -> Watch:
        """The driver's."""
        return self._driver.watch(told)

    def links_changed(self) -> Applied:
        """The driver's."""
        return self._driver.links_changed()

    def guard(self) -> Applied:
        """Leave the old rules in force where there are some; else shut what has none."""
        left = [one for one in self._left if one.is_there()]
        if not left:
            return self._driver.guard()
        return Applied(tuple(failure for one in left for failure in one.guard().failed))

    def fold(self, delta: Delta) -> None:
        """Take the delta into the desired state; touch nothing."""
        self._has_policy = True
        self._driver.fold(delta)

    def apply(self, delta: Delta) -> Applied:
        """Write the difference; then the old rules go."""
        self._has_policy = True
        return self._driver.apply(delta) + self._succeed()

    def resync(self) -> Applied:
        """Have the whole program in force; then the old rules go."""
        if not self._has_policy:
            return self.guard()
        return self._driver.resync() + self._succeed()

    def _succeed(self) -> Applied:
        """What can't be removed is named, and tried again by the next write."""
        failed, left = [], []
        for one in self._left:
            try:
                if one.is_there():
                    one.remove()
            except OSError as problem:
                left.append(one)
                failed.append(Failure(self.name, one.title, " ".join(str(problem).split())))
        self._left = left
        return Applied(tuple(failed))


def policy_driver(
    firewall: Firewall, nftables: NftSettings, iptables: IptablesSettings
) -> Succession:
    """The node's policy driver. Raises IptablesError, OSError where it can't be used."""
    old = [_with_backend(iptables, one) for one in installed()]
    if firewall is Firewall.NFTABLES:
        rules = [OldIptables(old, and_sets=True)] if old else []
        return Succession(NftablesDataplane(nftables), rules)
    driver = IptablesDataplane(iptables)
    others = [one for one in old if one.backend is not driver.backend]
    predecessors: list[Predecessor] = [OldNftables(nftables)]
    if others:
        predecessors.append(OldIptables(others, and_sets=False))
    return Succession(driver, predecessors)


def _with_backend(settings: IptablesSettings, backend: Backend) -> IptablesSettings:
    return replace(settings, backend=backend)
