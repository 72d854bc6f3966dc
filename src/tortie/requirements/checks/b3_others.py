"""B3: other network providers."""

import json

from tortie.requirements.machine import Machine
from tortie.requirements.model import Check, Finding, ok, warning
from tortie.requirements.modes import Encap, Purpose

_FOLDER = "etc/cni/net.d"
_ENDINGS = (".conf", ".conflist", ".json")
_OURS = ("calico", "tortie")
_BESIDE = ("flannel", "aws-cni", "azure-vnet", "gke", "ptp")


def judge(machine: Machine) -> Finding:
    """The configurations that the runtime would find; the first by name is the one it takes."""
    found = {
        name: types_of(machine.text(f"{_FOLDER}/{name}"))
        for name in machine.listing(_FOLDER)
        if name.endswith(_ENDINGS)
    }
    return judge_configurations(found, Encap.FLANNEL in machine.modes.encaps)


def types_of(text: str) -> list[str]:
    """The plugins of a configuration; empty where it can't be read."""
    try:
        data = json.loads(text)
    except ValueError:
        return []
    if not isinstance(data, dict):
        return []
    plugins = data.get("plugins")
    several = plugins if isinstance(plugins, list) else [data]
    return [str(one.get("type", "")) for one in several if isinstance(one, dict)]


def judge_configurations(found: dict[str, list[str]], with_flannel: bool) -> Finding:
    """By file, the plugins of each."""
    ours = [name for name, types in found.items() if set(types) & set(_OURS)]
    others = [name for name in found if name not in ours]
    first = min(found, default="")
    if not others:
        return ok(f"only {', '.join(ours)}" if ours else "none yet")
    if with_flannel and all(set(found[name]) & set(_BESIDE) for name in others) and first in ours:
        return ok(f"{first}, over {', '.join(others)}")
    shown = ", ".join(f"{name} ({', '.join(found[name]) or 'unreadable'})" for name in others)
    if ours and first in ours:
        return warning(
            f"{shown} beside {first}, which the runtime takes",
            "remove it, unless a meta plugin such as Multus uses it",
        )
    return warning(
        f"the runtime takes {first}: {shown}",
        f"move it away from /{_FOLDER} once every pod of its provider is gone; policy alone, over"
        " flannel or a cloud's plugin: `tortie install manifests --help`",
    )


CHECK = Check(
    "B3",
    "other networks",
    "--for kubernetes",
    "The configurations in /etc/cni/net.d: a runtime takes the first one by name. Another"
    " provider's makes pods that no policy guards. Known to work beside ours: flannel (policy"
    " only, Canal), and a cloud's own plugin.",
    judge,
    applies=lambda modes: modes.purpose is Purpose.KUBERNETES,
)
