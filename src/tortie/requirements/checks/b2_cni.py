"""B2: where the container runtime looks for plugins."""

from tortie.requirements.machine import Machine
from tortie.requirements.model import Check, Finding, ok, warning
from tortie.requirements.modes import Purpose

_CONFIGURATIONS, _PROGRAMS = "etc/cni/net.d", "opt/cni/bin"
_RUNTIMES = ("containerd", "crio", "dockerd", "cri-dockerd")
_PLUGINS = ("calico", "loopback", "portmap", "bandwidth")


def judge(machine: Machine) -> Finding:
    """The folders, who reads them, and what is in them."""
    runtimes = [name for name in _RUNTIMES if name in machine.processes]
    absent = [f"/{one}" for one in (_CONFIGURATIONS, _PROGRAMS) if not machine.path(one).is_dir()]
    plugins = [name for name in _PLUGINS if name in machine.listing(_PROGRAMS)]
    return judge_found(runtimes, plugins, absent)


def judge_found(runtimes: list[str], plugins: list[str], absent: list[str]) -> Finding:
    """By the names of what runs and what is there; `absent` are folders that are not."""
    found = f"{', '.join(runtimes) or 'no container runtime runs'};" + (
        f" plugins: {', '.join(plugins)}" if plugins else " no plugin yet"
    )
    if absent:
        return warning(
            f"{found}; there is no {' and no '.join(absent)}",
            "`tortie cni install` makes them; if the runtime looks elsewhere, say where by"
            " --bin-dir and --conf-dir",
        )
    return ok(found) if runtimes else warning(found, "start containerd or CRI-O on this node")


CHECK = Check(
    "B2",
    "CNI's folders",
    "--for kubernetes",
    "/etc/cni/net.d and /opt/cni/bin, which containerd and CRI-O read unless they are told other"
    " ones; whether a runtime runs, and which plugins are there.",
    judge,
    applies=lambda modes: modes.purpose is Purpose.KUBERNETES,
)
