"""A lab and an iptables driver in it: what the tests of this folder share."""

import subprocess

from dataplane.packets import PacketLab
from tortie.dataplane.iptables import Backend, IptablesDataplane, IptablesSettings


def run(lab: PacketLab, *command: str, text: str = "") -> str:
    """A command in the node's namespace."""
    with lab.inside():
        done = subprocess.run(command, input=text, capture_output=True, text=True, check=True)
    return done.stdout


def saved(lab: PacketLab, backend: Backend | None) -> str:
    """All rules of both families, and all sets."""
    commands = (f"iptables-{backend}-save", f"ip6tables-{backend}-save")
    return "".join(run(lab, one) for one in commands) + run(lab, "ipset", "save")


def forget_everything(lab: PacketLab) -> None:
    """No rules of any backend, no sets."""
    lab.nft("flush", "ruleset")
    for program in ("iptables-legacy", "ip6tables-legacy"):
        for table in ("filter", "raw", "nat", "mangle"):
            run(lab, program, "-w", "-t", table, "-F")
            run(lab, program, "-w", "-t", table, "-X")
    run(lab, "ipset", "destroy")


def new_driver(lab: PacketLab, chosen: Backend | IptablesSettings) -> IptablesDataplane:
    """A driver of the node."""
    settings = IptablesSettings(backend=chosen) if isinstance(chosen, Backend) else chosen
    with lab.inside():
        return IptablesDataplane(settings)
