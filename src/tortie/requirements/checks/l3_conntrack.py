"""L3: connections, told and ended."""

from tortie.requirements.checks.judging import judge_trials, untried
from tortie.requirements.machine import Machine
from tortie.requirements.model import Check, Finding, Verdict, warning
from tortie.requirements.tried import lacking

_NETLINK, _SCTP = "tracking:conntrack", "tracking:sctp"


def judge(machine: Machine) -> Finding:
    """Without SCTP's tracking only SCTP is without policy of connections."""
    found = judge_trials(
        machine,
        (_NETLINK,),
        "nf_conntrack_netlink, SCTP tracked",
        "load the module: `modprobe nf_conntrack_netlink`",
    )
    if found.verdict is not Verdict.OK:
        return found
    if lacking(machine.tried, (_SCTP,)):
        return warning(
            "SCTP is not tracked: answers need rules of their own",
            "use a kernel with CONFIG_NF_CT_PROTO_SCTP, if workloads speak SCTP",
        )
    return untried(machine, (_SCTP,)) or found


CHECK = Check(
    "L3",
    "conntrack",
    "always",
    "The kernel is asked over netlink for the connections of the throw-away namespace, as the agent"
    " does to end those that a new policy denies; and whether it tracks SCTP.",
    judge,
    (_NETLINK, _SCTP),
)
