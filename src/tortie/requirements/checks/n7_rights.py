"""N7: the rights of the process that is the agent."""

from tortie.requirements.machine import Machine
from tortie.requirements.model import Check, Finding, Outcome, missing, ok
from tortie.requirements.modes import Dataplane, Modes

CAPABILITIES = {"NET_ADMIN": 12, "NET_RAW": 13, "SYS_ADMIN": 21}
"""Those of an agent, with their bits (linux/capability.h)."""
_BPF = {"BPF": 39, "PERFMON": 38}


def lacking_capabilities(held: int, wanted: dict[str, int]) -> list[str]:
    """ "CAP_NET_ADMIN" and its like, of those wanted."""
    return [f"CAP_{name}" for name, bit in wanted.items() if not held >> bit & 1]


def wanted_of(modes: Modes) -> dict[str, int]:
    """Those that an agent of these modes needs."""
    if modes.dataplane is not Dataplane.BPF:
        return CAPABILITIES
    return CAPABILITIES | _BPF


def judge(machine: Machine) -> Finding:
    """What this process has, since it is to run where the agent runs."""
    return judge_rights(machine.capabilities(), machine)


def judge_rights(held: int, machine: Machine) -> Finding:
    """The capabilities as bits; and whether kernel settings can be written."""
    lacking = lacking_capabilities(held, wanted_of(machine.modes))
    if lacking:
        return missing(
            f"this process lacks {', '.join(lacking)}",
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
