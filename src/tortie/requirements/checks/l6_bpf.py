"""L6: eBPF."""

from tortie.requirements.checks.judging import judge_trials
from tortie.requirements.machine import Machine
from tortie.requirements.model import Check, Finding, Verdict, ok, warning
from tortie.requirements.modes import Dataplane
from tortie.requirements.trials.bpf import NAMES

_NEEDED = {"bpf at /sys/fs/bpf": " /sys/fs/bpf bpf ", "cgroup2": " cgroup2 "}
MOUNTED = "".join(_NEEDED.values())


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
    return judge_mounts(found.found, machine.text("proc/self/mounts"))


def judge_mounts(works: str, mounts: str) -> Finding:
    """What works, and the text of /proc/self/mounts."""
    absent = [name for name, sign in _NEEDED.items() if sign not in mounts]
    if absent:
        return warning(
            f"{works}; not mounted: {', '.join(absent)}",
            "mount them: `mount -t bpf bpf /sys/fs/bpf`",
        )
    return ok(works)


CHECK = Check(
    "L6",
    "eBPF",
    "--dataplane bpf",
    "By bpf() itself: each type of map (hash, array, programs, per CPU, LRU, LPM trie, ring"
    " buffer) and of program (tc, XDP, connect4 and 6, sendmsg4, recvmsg4), the helpers"
    " fib_lookup, redirect, redirect_peer and redirect_neigh, the kernel's own types (BTF), and a"
    " program attached to an interface by tc and by XDP. Nothing is pinned. The dataplane itself"
    " is not there yet: this says whether a machine will do for it.",
    judge,
    NAMES,
    applies=lambda modes: modes.dataplane is Dataplane.BPF,
)
