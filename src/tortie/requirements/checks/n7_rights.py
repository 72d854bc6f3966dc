"""N7: the rights of the process that is the agent."""

from tortie.requirements.machine import Machine
from tortie.requirements.model import Check, Finding, missing, ok
from tortie.requirements.modes import Dataplane, Modes
from tortie.requirements.rights import AGENTS, held, lacking
from tortie.requirements.tried import Outcome

_BPF = ("BPF", "PERFMON")


def wanted_of(modes: Modes) -> tuple[str, ...]:
    """Those that an agent of these modes needs."""
    return (*AGENTS, *_BPF) if modes.dataplane is Dataplane.BPF else AGENTS


def judge(machine: Machine) -> Finding:
    """What this process has, since it is to run where the agent runs."""
    return judge_rights(held(), machine)


def judge_rights(bits: int, machine: Machine) -> Finding:
    """The capabilities as bits; and whether kernel settings can be written."""
    absent = lacking(bits, wanted_of(machine.modes))
    if absent:
        return missing(
            f"this process lacks {', '.join(absent)}",
            "run it (and the agent) as root, in a container privileged",
        )
    written = machine.tried["tracking:sysctls"]
    if written.outcome is Outcome.LACKING:
        return missing(
            f"/proc/sys can't be written: {written.words}", "run the container privileged"
        )
    return ok(", ".join(f"CAP_{name}" for name in wanted_of(machine.modes)))


CHECK = Check(
    "N7",
    "rights",
    "always",
    "The capabilities in force of the process that asks: CAP_SYS_ADMIN (namespaces of workloads),"
    " CAP_NET_ADMIN (devices, routes, rules) and CAP_NET_RAW (what packets of raw sockets need);"
    " for eBPF CAP_BPF and CAP_PERFMON, too. And a kernel setting is written in the throw-away"
    " namespace: in a container without privileges /proc/sys can only be read. Without root the"
    " other rows are tried in a user namespace, as far as the machine allows those.",
    judge,
    ("tracking:sysctls",),
)
