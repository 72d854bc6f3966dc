"""L6: eBPF."""

from tortie.requirements.checks.judging import judge_trials
from tortie.requirements.machine import Machine
from tortie.requirements.model import Check, Finding, Verdict, warning
from tortie.requirements.modes import Dataplane
from tortie.requirements.trials.bpf import NAMES

_MOUNT = "sys/fs/bpf"
_CGROUP = " cgroup2 "


def judge(machine: Machine) -> Finding:
    """What the kernel does, and what has to be mounted."""
    found = judge_trials(
        machine,
        NAMES,
        f"{len(NAMES)} things: maps, programs, helpers, hooks of tc and XDP",
        "use a kernel 5.10 or later with CONFIG_BPF_SYSCALL, CONFIG_NET_CLS_BPF,"
        " CONFIG_CGROUP_BPF and CONFIG_DEBUG_INFO_BTF, or another --dataplane",
    )
    if found.verdict is not Verdict.OK:
        return found
    mounts = machine.text("proc/self/mounts")
    absent = [
        name
        for name, sign in (("bpf at /sys/fs/bpf", f" /{_MOUNT} bpf "), ("cgroup2", _CGROUP))
        if sign not in mounts
    ]
    if absent:
        return warning(
            f"{found.found}; not mounted: {', '.join(absent)}",
            "mount them: `mount -t bpf bpf /sys/fs/bpf`",
        )
    return found


CHECK = Check(
    "L6",
    "eBPF",
    "--dataplane bpf",
    "By bpf() itself: each type of map (hash, array, programs, per CPU, LRU, LPM trie, ring buffer)"
    " and of program (tc, XDP, connect4 and 6, sendmsg4, recvmsg4), the helpers fib_lookup,"
    " redirect, redirect_peer and redirect_neigh, the kernel's own types (BTF), and a program"
    " attached to an interface by tc and by XDP. Nothing is pinned.",
    judge,
    NAMES,
    applies=lambda modes: modes.dataplane is Dataplane.BPF,
)
