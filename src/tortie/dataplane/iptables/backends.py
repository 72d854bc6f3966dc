"""Which of the two iptables a machine uses.

The one in which other programs have more rules: rules of both kinds are asked one after the other,
but whoever looks for ours will look where the others are. Where nobody has any, the one that the
machine's own `iptables` is.
"""

from tortie.dataplane.iptables.commands import IptablesError, find, run
from tortie.dataplane.iptables.reading import count_foreign_rules
from tortie.dataplane.iptables.settings import Backend


def installed() -> list[Backend]:
    """The backends whose commands are all there."""
    return [
        one
        for one in Backend
        if all(
            find(f"{name}-{one}-{what}")
            for name in ("iptables", "ip6tables")
            for what in ("save", "restore")
        )
    ]


def detect() -> Backend:
    """The backend of the calling thread's network namespace. Raises IptablesError."""
    usable = installed()
    if not usable:
        raise IptablesError(
            "neither iptables-legacy nor iptables-nft is installed: install the package iptables"
        )
    if len(usable) == 1:
        return usable[0]
    counts = {one: _foreign_rules(one) for one in usable}
    return choose(counts[Backend.LEGACY], counts[Backend.NFT], run(["iptables", "--version"]))


def choose(legacy_rules: int, nft_rules: int, version: str) -> Backend:
    """By others' rules of each kind, else by what `iptables --version` prints."""
    if legacy_rules != nft_rules:
        return Backend.LEGACY if legacy_rules > nft_rules else Backend.NFT
    return Backend.LEGACY if "legacy" in version else Backend.NFT


def _foreign_rules(backend: Backend) -> int:
    return sum(
        count_foreign_rules(run([f"{name}-{backend}-save"])) for name in ("iptables", "ip6tables")
    )
