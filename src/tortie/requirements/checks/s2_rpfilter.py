"""S2: the check of sources (rp_filter)."""

from tortie.requirements.machine import Machine
from tortie.requirements.model import Check, Finding, ok, warning

_WORDS = {"0": "off", "1": "strict", "2": "loose"}


def judge(machine: Machine) -> Finding:
    """The one of all interfaces, which overrules each one's own if it is greater."""
    return judge_value(machine.sysctl("net/ipv4/conf/all/rp_filter"))


def judge_value(value: str) -> Finding:
    """ "0", "1" or "2"; empty where there is no IPv4."""
    if value == "2":
        return warning(
            "loose for all interfaces: workloads' are strict no more, only our rules check them",
            "net.ipv4.conf.all.rp_filter = 1 (or 0) in /etc/sysctl.d",
        )
    return ok(f"{_WORDS.get(value, 'unknown')} for all interfaces")


CHECK = Check(
    "S2",
    "source check",
    "always",
    "net.ipv4.conf.all.rp_filter. The kernel takes the greater one of it and the interface's own,"
    " so that 2 makes the strict check of workloads' interfaces a loose one. Our rules check"
    " sources, too.",
    judge,
)
