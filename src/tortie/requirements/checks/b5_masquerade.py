"""B5: kube-proxy must keep clients' addresses."""

import re

from tortie.requirements.machine import Machine
from tortie.requirements.model import Check, Finding, Verdict, missing, ok, warning
from tortie.requirements.modes import Purpose

# What --masquerade-all makes of each service: the mark for masquerading, whoever asks. Without it
# these rules say of which clients ("! -s 10.244.0.0/16").
_RULE = re.compile(
    r'^-A KUBE-(?:SVC-\S+|SERVICES) (?!.*! -).*(?:cluster IP"|KUBE-CLUSTER-IP dst,dst).*'
    r" -j KUBE-MARK-MASQ$",
    re.MULTILINE,
)


def judge(machine: Machine) -> Finding:
    """By its configuration, and by the rules that it wrote on this node."""
    kube = machine.cluster.kubernetes if machine.cluster else None
    if kube is not None and kube.proxy.masquerade_all:
        return _refused(f"kube-proxy has masqueradeAll ({kube.proxy.found})")
    saved = [machine.output(f"iptables-{kind}-save") for kind in ("legacy", "nft")]
    known = kube is not None and kube.proxy.found
    if None in saved and not known:
        return warning("kube-proxy's rules can't be read", "run it as root, privileged")
    found = judge_rules("".join(filter(None, saved)))
    if found.verdict is Verdict.OK and kube is not None and known:
        return ok(f"it keeps clients' addresses ({kube.proxy.found})")
    return found


def judge_rules(rules: str) -> Finding:
    """Whether iptables' rules, as `iptables-save` prints them, are of --masquerade-all."""
    if _RULE.search(rules):
        return _refused("kube-proxy's rules on this node masquerade every client of a service")
    return ok("no rule of kube-proxy here masquerades all")


def _refused(found: str) -> Finding:
    return missing(
        f"{found}: policy would see the node as every client",
        "remove --masquerade-all (masqueradeAll in the ConfigMap kube-proxy) and restart"
        " kube-proxy",
    )


CHECK = Check(
    "B5",
    "--masquerade-all",
    "--for kubernetes",
    "kube-proxy with it gives every packet to a service the node's address, so that no policy can"
    " tell clients apart. Looked at: its ConfigMap, the arguments of its DaemonSet, and the rules"
    " that it wrote on this node.",
    judge,
    applies=lambda modes: modes.purpose is Purpose.KUBERNETES,
)
