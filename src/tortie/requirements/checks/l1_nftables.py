"""L1: what nftables can do, for the dataplane of that name."""

from tortie.requirements.checks.judging import judge_trials
from tortie.requirements.machine import Machine
from tortie.requirements.model import Check, Finding
from tortie.requirements.modes import Dataplane
from tortie.requirements.trials.nft import NAMES


def judge(machine: Machine) -> Finding:
    """Everything that our rules are made of."""
    return judge_trials(
        machine,
        NAMES,
        f"{len(NAMES)} kinds of rules and sets, IPv4 and IPv6",
        "install libnftables1 1.0 or later and use a kernel with nf_tables 4.18 or later"
        " (CONFIG_NFT_*), or --dataplane iptables",
    )


CHECK = Check(
    "L1",
    "nftables",
    "--dataplane nftables",
    "By libnftables, as the agent does it, in the throw-away namespace: tables, hooks, sets of"
    " intervals, concatenations, maps from names of interfaces to verdicts, and a rule with each"
    " expression: connection's state, mark and count, routes back (fib), limits, logs, marks, NAT,"
    " notrack, reject, TCP, UDP, SCTP, DSCP; for IPv4 and IPv6.",
    judge,
    NAMES,
    applies=lambda modes: modes.dataplane is Dataplane.NFTABLES,
)
