"""B10: what differs on a cloud."""

from tortie.cloud.detect import Cloud, cloud_of, firmware
from tortie.requirements.machine import Machine
from tortie.requirements.model import Check, Finding, missing, ok, warning
from tortie.requirements.modes import Encap, Modes

_DMI = "sys/class/dmi/id"


def judge(machine: Machine) -> Finding:
    """By what the machine's firmware says."""
    return judge_cloud(cloud_of(firmware(machine.path(_DMI))), machine.modes)


def judge_cloud(cloud: Cloud | None, modes: Modes) -> Finding:
    """What there counts for the ways between nodes."""
    if cloud is None:
        return ok("none")
    plain = modes.uses(Encap.NONE, Encap.BGP) and not modes.uses(Encap.VXLAN, Encap.IPIP)
    if cloud is Cloud.AZURE and modes.uses(Encap.IPIP):
        return missing("Azure drops IP-in-IP", "use --encap vxlan, or the cloud's own plugin")
    if plain:
        return warning(*_PLAIN[cloud])
    return ok(f"{cloud.value}: nothing to do for these modes")


_PLAIN = {
    Cloud.AZURE: (
        "Azure carries only addresses that it knows",
        "use --encap vxlan, unless the cloud's own plugin gives the addresses",
    ),
    Cloud.AMAZON: (
        "Amazon: packets of pods need the source/destination check switched off",
        "set awsSrcDstCheck: Disable in FelixConfiguration, or switch it off by hand",
    ),
    Cloud.GOOGLE: (
        "Google: a route for each node's pods, and canIpForward, are needed",
        "make them, or use --encap vxlan",
    ),
}

CHECK = Check(
    "B10",
    "cloud",
    "always",
    "By what the firmware says of its maker. Azure carries neither IP-in-IP nor addresses that it"
    " does not know; Amazon drops packets of pods unless its check of sources is switched off;"
    " Google needs routes. docs/clouds.md has the way for each.",
    judge,
)
