"""L1: what the kernel and the programs of iptables can do."""

from tortie.requirements.checks.judging import judge_trials
from tortie.requirements.machine import Machine
from tortie.requirements.model import Check, Finding, Verdict, ok, warning
from tortie.requirements.modes import Dataplane
from tortie.requirements.trials.xtables import BACKENDS, MATCHES, TARGETS, names_of
from tortie.requirements.tried import lacking

_FOR_OTHERS = ("ipvs", "u32")
"""Of row L1, but our rules do without."""
_NEEDED = tuple(name for name in MATCHES if name not in _FOR_OTHERS)
_NAMES = {backend: names_of(backend, _NEEDED, tuple(TARGETS)) for backend in BACKENDS}
_EXTRA = {backend: names_of(backend, ("u32",), ()) for backend in BACKENDS}
_FIX = (
    "install the package iptables, and load the modules: `modprobe ip_tables ip6_tables xt_set`"
    " and the like; in a kernel of one's own CONFIG_NETFILTER_XT_*"
)


def judge(machine: Machine) -> Finding:
    """One kind of iptables that can do everything is enough."""
    findings = {
        backend: judge_trials(machine, names, f"iptables-{backend}", _FIX)
        for backend, names in _NAMES.items()
    }
    good = [one for one in findings.values() if one.verdict is Verdict.OK]
    if not good:
        return min(findings.values(), key=lambda one: one.verdict is Verdict.MISSING)
    words = f"{' and '.join(one.found for one in good)}: {len(_NAMES['nft'])} matches and targets"
    unused = lacking(machine.tried, [name for some in _EXTRA.values() for name in some])
    if unused:
        return warning(f"{words}; but for the match u32", "none needed: our rules do without it")
    return ok(words)


CHECK = Check(
    "L1",
    "iptables",
    "--dataplane iptables",
    "In the throw-away namespace a rule is made with each match (set, rpfilter, addrtype, comment,"
    " conntrack, icmp, icmpv6, tcp, udp, mark, multiport, sctp, u32, and connmark, connlimit,"
    " hashlimit, hl) and each target (ACCEPT, DROP, REJECT, LOG, and MARK, CONNMARK, CT, DSCP,"
    " SNAT, DNAT, MASQUERADE), for IPv4 and IPv6, by iptables-legacy and by iptables-nft. One kind"
    " that has everything is enough. The match ipvs is row L4's.",
    judge,
    tuple(name for some in (*_NAMES.values(), *_EXTRA.values()) for name in some),
    applies=lambda modes: modes.dataplane is Dataplane.IPTABLES,
)
