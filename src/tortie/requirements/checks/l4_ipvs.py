"""L4: IPVS, where kube-proxy uses it."""

from tortie.requirements.checks.judging import judge_trials
from tortie.requirements.machine import Machine
from tortie.requirements.model import Check, Finding
from tortie.requirements.modes import Dataplane
from tortie.requirements.trials.xtables import names_of

_SERVICE = ("tracking:ipvs",)
_MATCH = names_of("nft", ("ipvs",), ()) + names_of("legacy", ("ipvs",), ())


def judge(machine: Machine) -> Finding:
    """The match is asked for by the iptables dataplane's rules alone."""
    with_match = machine.modes.dataplane is Dataplane.IPTABLES
    return judge_trials(
        machine,
        (*_SERVICE, *_MATCH) if with_match else _SERVICE,
        "a virtual service can be made",
        "load the modules: `modprobe ip_vs ip_vs_rr ip_vs_sh xt_ipvs`, or use kube-proxy in"
        " iptables mode",
    )


CHECK = Check(
    "L4",
    "IPVS",
    "kube-proxy in IPVS mode",
    "A virtual service is made in the throw-away namespace; with the iptables dataplane a rule with"
    " the match ipvs, too.",
    judge,
    (*_SERVICE, *_MATCH),
    applies=lambda modes: modes.ipvs,
)
