"""N1: the processor."""

from tortie.requirements.machine import Machine
from tortie.requirements.model import Check, Finding, ok, warning

KNOWN = {
    "x86_64": "x86-64",
    "aarch64": "arm64",
    "ppc64le": "ppc64le",
    "s390x": "s390x",
}


def judge(machine: Machine) -> Finding:
    """By the name that the kernel gives."""
    return judge_name(machine.kernel[1])


def judge_name(name: str) -> Finding:
    """Another one may work: nothing of ours is compiled for one processor."""
    if name in KNOWN:
        return ok(KNOWN[name])
    return warning(f"{name}: it is not tested there", f"use one of {', '.join(KNOWN.values())}")


CHECK = Check(
    "N1",
    "processor",
    "always",
    "The processor's name, as the kernel tells it. On others than the four it may work: the code is"
    " Python, and every codec says which byte order it means.",
    judge,
)
