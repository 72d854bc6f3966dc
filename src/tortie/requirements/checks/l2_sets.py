"""L2: sets of addresses."""

from tortie.requirements.checks.judging import judge_trials
from tortie.requirements.machine import Machine
from tortie.requirements.model import Check, Finding
from tortie.requirements.modes import Dataplane

_NAMES = ("ipset:hash:net", "ipset:hash:ip,port", "ipset:hash:ip", "ipset:hash:net,port")


def judge(machine: Machine) -> Finding:
    """Each type that our rules ask, and those that Calico's ask."""
    return judge_trials(
        machine,
        _NAMES,
        "hash:net, hash:ip,port, hash:ip, hash:net,port",
        "install the package ipset, and load its modules: `modprobe ip_set ip_set_hash_net`",
    )


CHECK = Check(
    "L2",
    "IP sets",
    "--dataplane iptables",
    "A set of each type is made, for IPv4 and IPv6. That rules can ask them is tried in row L1"
    " (match set). nftables has sets of its own.",
    judge,
    _NAMES,
    applies=lambda modes: modes.dataplane is Dataplane.IPTABLES,
)
