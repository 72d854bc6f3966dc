"""L5: devices of workloads and tunnels."""

from tortie.requirements.checks.judging import judge_trials
from tortie.requirements.machine import Machine
from tortie.requirements.model import Check, Finding, Verdict, ok
from tortie.requirements.modes import Encap, Purpose
from tortie.requirements.tried import lacking


def _judge_veth(machine: Machine) -> Finding:
    return judge_trials(
        machine, ("link:veth",), "veth", "use a kernel with CONFIG_VETH: no pod can be without it"
    )


def _judge_ipip(machine: Machine) -> Finding:
    return judge_trials(
        machine,
        ("link:ipip",),
        "ipip",
        "load its modules (`modprobe ipip`; ip_tunnel and tunnel4 come with it), or use"
        " --encap vxlan",
    )


def _judge_vxlan(machine: Machine) -> Finding:
    return judge_trials(
        machine,
        ("link:vxlan", "link:vxlan-v6"),
        "vxlan, over IPv4 and IPv6",
        "load its module: `modprobe vxlan`",
    )


def _judge_wireguard(machine: Machine) -> Finding:
    found = judge_trials(
        machine,
        ("link:wireguard",),
        "wireguard",
        "load its module (`modprobe wireguard`, in kernels from 5.6 on), or install wireguard-go",
    )
    if lacking(machine.tried, ("link:wireguard",)) and machine.program("wireguard-go"):
        return ok("not in the kernel; wireguard-go is installed, and slower")
    return found if found.verdict is not Verdict.OK else ok("in the kernel")


VETH = Check(
    "L5",
    "veth",
    "--for kubernetes",
    "A pair of interfaces is made: one end of each pod's.",
    _judge_veth,
    ("link:veth",),
    applies=lambda modes: modes.purpose is Purpose.KUBERNETES,
)
IPIP = Check(
    "L5",
    "IPIP device",
    "--encap ipip",
    "`tunl0` is made. The module makes one in every namespace as soon as it is loaded: where the"
    " trial loaded it, it is unloaded again.",
    _judge_ipip,
    ("link:ipip",),
    applies=lambda modes: modes.uses(Encap.IPIP),
)
VXLAN = Check(
    "L5",
    "VXLAN device",
    "--encap vxlan, flannel",
    "A device over IPv4 and one over IPv6 is made.",
    _judge_vxlan,
    ("link:vxlan", "link:vxlan-v6"),
    applies=lambda modes: modes.uses(Encap.VXLAN, Encap.FLANNEL),
)
WIREGUARD = Check(
    "L5",
    "WireGuard device",
    "--encap wireguard",
    "A device is made. Without the kernel's the agent uses wireguard-go, where that is installed.",
    _judge_wireguard,
    ("link:wireguard",),
    applies=lambda modes: modes.uses(Encap.WIREGUARD),
)
