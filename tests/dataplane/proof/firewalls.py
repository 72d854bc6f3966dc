"""The three firewalls that hold a node's policy, as tests see them."""

import os
import subprocess
from enum import StrEnum

from dataplane.packets import PacketLab
from tortie.dataplane.iptables import Backend, IptablesDataplane, IptablesSettings
from tortie.dataplane.nftables import NftablesDataplane, NftSettings
from tortie.dataplane.policy.settings import PolicySettings

Driver = NftablesDataplane | IptablesDataplane


class Firewall(StrEnum):
    """What a node's policy is in."""

    NFTABLES = "nftables"
    LEGACY = "iptables-legacy"
    NFT = "iptables-nft"

    @property
    def backend(self) -> Backend:
        """Which iptables. Raises ValueError for nftables."""
        return Backend(self.removeprefix("iptables-"))

    @property
    def environment(self) -> dict[str, str]:
        """What makes an agent use it."""
        if self is Firewall.NFTABLES:
            return {"FELIX_NFTABLESMODE": "Enabled"}
        return {"FELIX_NFTABLESMODE": "Disabled", "FELIX_IPTABLESBACKEND": self.backend}

    def driver(self, settings: NftSettings) -> Driver:
        """A driver of the calling thread's namespace."""
        if self is Firewall.NFTABLES:
            return NftablesDataplane(settings)
        shared = {name: getattr(settings, name) for name in PolicySettings.__struct_fields__}
        return IptablesDataplane(IptablesSettings(**shared, backend=self.backend))

    @property
    def listing(self) -> tuple[tuple[str, ...], ...]:
        """Commands that print all that is in force."""
        if self is Firewall.NFTABLES:
            return (("nft", "-s", "list", "ruleset"),)
        names = (f"iptables-{self.backend}-save", f"ip6tables-{self.backend}-save")
        return (*((name,) for name in names), ("ipset", "save"))


def chosen(*usual: Firewall) -> list[Firewall]:
    """These, or all of them with TORTIE_EVERY_FIREWALL, which takes minutes more."""
    return list(Firewall) if os.environ.get("TORTIE_EVERY_FIREWALL") else list(usual)


def rules_of(lab: PacketLab, firewall: Firewall) -> str:
    """All that is in force in the node's namespace."""
    with lab.inside():
        return "".join(
            subprocess.run(one, capture_output=True, text=True, check=True).stdout
            for one in firewall.listing
        )


def wipe(lab: PacketLab) -> None:
    """No rules of any firewall in the node's namespace, and no sets."""
    tables = ("filter", "raw", "nat", "mangle")
    commands = [("nft", "flush", "ruleset")]
    for program in ("iptables-legacy", "ip6tables-legacy"):
        commands += [(program, "-w", "-t", one, how) for one in tables for how in ("-F", "-X")]
    with lab.inside():
        for one in (*commands, ("ipset", "destroy")):
            subprocess.run(one, capture_output=True, check=True)
