"""N2: the interfaces that are ours by name."""

from tortie.linux.links import Links
from tortie.linux.netlink.sockets import NetlinkSocket
from tortie.requirements.machine import Machine
from tortie.requirements.model import Check, Finding, ok, warning

_OURS = {
    "tunl0": "ipip",
    "vxlan.calico": "vxlan",
    "vxlan-v6.calico": "vxlan",
    "wireguard.cali": "wireguard",
    "wg-v6.cali": "wireguard",
}
_WORKLOADS = "cali"


def judge(_: Machine) -> Finding:
    """Whether a name of ours belongs to something else."""
    try:
        with NetlinkSocket() as sock:
            kinds = {link.name: link.kind for link in Links(sock).list()}
    except OSError as error:
        return warning(f"interfaces can't be listed: {error}", "run it with more rights")
    return judge_names(kinds)


def judge_names(kinds: dict[str, str]) -> Finding:
    """The same of interfaces by name, with their kinds."""
    wrong = [
        f"{name} is a {kinds[name] or 'device'}, not {kind}"
        for name, kind in _OURS.items()
        if kinds.get(name, kind) not in (kind, "tun")  # wireguard-go's is a TUN
    ]
    if wrong:
        return warning("; ".join(wrong), "remove or rename it: the agent needs the name")
    workloads = sum(name.startswith(_WORKLOADS) for name in kinds)
    shared = [name for name in _OURS if name in kinds]
    return ok(f"{workloads} cali*, {', '.join(shared) or 'no tunnel'}")


CHECK = Check(
    "N2",
    "our interfaces",
    "always",
    "The agent manages `cali*`, `tunl0`, `vxlan.calico`, `vxlan-v6.calico`, `wireguard.cali` and"
    " `wg-v6.cali`. Looked at: whether another program has made a device of another kind under one"
    " of these names.",
    judge,
)
