"""B4: how kube-proxy runs."""

from tortie.dataplane.policy.node import IPVS_DEVICE
from tortie.requirements.cluster.facts import KubeProxy
from tortie.requirements.machine import Machine
from tortie.requirements.model import Check, Finding, ok, warning
from tortie.requirements.modes import Dataplane, Modes, Purpose

_KNOWN = ("iptables", "ipvs", "nftables")


def judge(machine: Machine) -> Finding:
    """By its configuration, and its device on this node."""
    kube = machine.cluster.kubernetes if machine.cluster else None
    is_ipvs = machine.has_link(IPVS_DEVICE)
    return judge_proxy(kube.proxy if kube else KubeProxy(), is_ipvs, machine.modes)


def judge_proxy(proxy: KubeProxy, is_ipvs: bool, modes: Modes) -> Finding:
    """Its configuration, and whether IPVS's device kube-ipvs0 is here."""
    mode = proxy.mode or ("ipvs" if is_ipvs else "iptables")
    if not proxy.found and not is_ipvs:
        return ok("no configuration was found; iptables mode is its default")
    where = f"{mode} mode ({proxy.found or 'kube-ipvs0 is here'})"
    if modes.dataplane is Dataplane.BPF:
        return warning(where, "eBPF does its work: switch kube-proxy off on these nodes")
    if is_ipvs and mode != "ipvs":
        return warning(
            f"{where}, but kube-ipvs0 of IPVS mode is still here",
            "`kube-proxy --cleanup` on this node after a change of mode",
        )
    if mode not in _KNOWN:
        return warning(f"{where} is not known here", "use iptables, ipvs or nftables")
    return ok(where)


CHECK = Check(
    "B4",
    "kube-proxy",
    "--for kubernetes",
    "The mode in its ConfigMap (or in the arguments of its DaemonSet), and whether its device"
    " kube-ipvs0 is on this node. In IPVS mode the agent takes more mark bits and knows node ports"
    " by itself, also through a change of mode. Known limits: with IPVS, interfaces of the host not"
    " named ethN need FELIX_KUBENODEPORTRANGES as kube-proxy has them; local ExternalIPs are seen"
    " as the node's own addresses.",
    judge,
    applies=lambda modes: modes.purpose is Purpose.KUBERNETES,
)
