"""B10: what differs on a cloud."""

from tortie.requirements.machine import Machine
from tortie.requirements.model import Check, Finding, missing, ok, warning
from tortie.requirements.modes import Encap, Modes

_DMI = "sys/class/dmi/id"
_AZURE = "7783-7084-3265-9085-8269-3286-77"  # the chassis' tag of every machine there


def judge(machine: Machine) -> Finding:
    """By what the machine's firmware says."""
    dmi = {
        name: machine.text(f"{_DMI}/{name}").strip()
        for name in ("sys_vendor", "product_name", "chassis_asset_tag", "bios_vendor")
    }
    return judge_cloud(cloud_of(dmi), machine.modes)


def cloud_of(dmi: dict[str, str]) -> str:
    """ "amazon", "google", "azure", or nothing."""
    if "Amazon EC2" in (dmi["sys_vendor"], dmi["bios_vendor"]):
        return "amazon"
    if dmi["sys_vendor"] == "Google" or dmi["product_name"] == "Google Compute Engine":
        return "google"
    return "azure" if dmi["chassis_asset_tag"] == _AZURE else ""


def judge_cloud(cloud: str, modes: Modes) -> Finding:
    """What there counts for the ways between nodes."""
    plain = modes.uses(Encap.NONE, Encap.BGP) and not modes.uses(Encap.VXLAN, Encap.IPIP)
    if cloud == "azure" and modes.uses(Encap.IPIP):
        return missing("Azure drops IP-in-IP", "use --encap vxlan, or the cloud's own plugin")
    if cloud == "azure" and plain:
        return warning(
            "Azure carries only addresses that it knows",
            "use --encap vxlan, unless the cloud's own plugin gives the addresses",
        )
    if cloud == "amazon" and plain:
        return warning(
            "Amazon: packets of pods need the source/destination check switched off",
            "set awsSrcDstCheck: Disable in FelixConfiguration, or switch it off by hand",
        )
    if cloud == "google" and plain:
        return warning(
            "Google: a route for each node's pods, and canIpForward, are needed",
            "make them, or use --encap vxlan",
        )
    return ok(f"{cloud.capitalize() or 'none'}{': nothing to do for these modes' if cloud else ''}")


CHECK = Check(
    "B10",
    "cloud",
    "always",
    "By what the firmware says of its maker. Azure carries neither IP-in-IP nor addresses that it"
    " does not know; Amazon drops packets of pods unless its check of sources is switched off;"
    " Google needs routes. docs/clouds.md has the way for each.",
    judge,
)
