"""N3: the kernel's version."""

import re

from tortie.requirements.machine import Machine
from tortie.requirements.model import Check, Finding, missing, ok
from tortie.requirements.modes import Dataplane, Modes

OLDEST = {Dataplane.IPTABLES: (3, 10), Dataplane.NFTABLES: (4, 18), Dataplane.BPF: (5, 3)}
_NUMBERS = re.compile(r"(\d+)\.(\d+)")
_NAME = re.compile(r'^PRETTY_NAME="?([^"\n]*)', re.MULTILINE)


def judge(machine: Machine) -> Finding:
    """By the number that it tells."""
    system = _NAME.search(machine.text("etc/os-release"))
    return judge_release(machine.kernel[0], system.group(1) if system else "", machine.modes)


def judge_release(release: str, system: str, modes: Modes) -> Finding:
    """A release as `uname -r` prints it, and the system's name."""
    numbers = _NUMBERS.match(release)
    oldest = OLDEST[modes.dataplane]
    wanted = ".".join(map(str, oldest))
    shown = f"{release}{', ' if system else ''}{system}"
    if numbers is None or (int(numbers[1]), int(numbers[2])) < oldest:
        return missing(
            f"{shown}: {modes.dataplane} needs {wanted} or later",
            "use a newer kernel, or --dataplane iptables, which runs from 3.10 on",
        )
    return ok(shown)


CHECK = Check(
    "N3",
    "kernel",
    "always",
    "3.10 or later with iptables (RHEL 7, CentOS 7, Debian 8, Ubuntu 16.04), 4.18 with nftables"
    " (sets of intervals, their maps and `fib` in the form that our rules have; Flatcar, Fedora"
    " CoreOS, Ubuntu 18.04 with its newer kernel), 5.3 with eBPF. The number alone says little:"
    " distributions bring newer things to older kernels, so each thing is tried as well (rows L1 to"
    " L6). Kernels of 2.6, which the first generation knew for IPv4 alone, lack network namespaces"
    " that a process can enter: not supported.",
    judge,
)
