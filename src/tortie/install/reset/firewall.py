"""Policy itself: nftables' tables; chains, jumps and sets of either iptables."""

from collections.abc import Sequence
from contextlib import closing

from msgspec.structs import replace

from tortie.dataplane.iptables import IptablesDataplane
from tortie.dataplane.iptables.backends import installed
from tortie.dataplane.iptables.names import is_own_set
from tortie.dataplane.iptables.succession import OldIptables, OldNftables
from tortie.dataplane.nftables.names import TABLE
from tortie.install.reset.places import Places
from tortie.linux.netlink.ipset import SetHeaders


class NftablesTables:
    """Our tables."""

    title = "nftables"

    def __init__(self, places: Places) -> None:
        self._old = OldNftables(places.nftables)

    def find(self) -> Sequence[str]:
        """Their name."""
        return [f"tables {TABLE}"] if self._old.is_there() else []

    def remove(self) -> None:
        """Delete them."""
        if self._old.is_there():
            self._old.remove()


class IptablesRules:
    """Our chains with the jumps to them, and our sets. Rules of others are not touched."""

    title = "iptables"

    def __init__(self, places: Places) -> None:
        self._settings = [replace(places.iptables, backend=one) for one in installed()]

    def find(self) -> Sequence[str]:
        """The backends with rules of ours, and sets."""
        found = []
        for one in self._settings:
            with IptablesDataplane(one) as driver:
                found += [f"chains cali-* of iptables-{one.backend}"] if driver.is_there() else []
        count = _count_sets()
        return [*found, f"{count} sets of ipset"] if count else found

    def remove(self) -> None:
        """Remove them."""
        if self._settings:
            OldIptables(self._settings, and_sets=True).remove()


def _count_sets() -> int:
    try:
        with closing(SetHeaders()) as headers:
            return sum(map(is_own_set, headers.counts()))
    except OSError:
        return 0  # a kernel without sets
