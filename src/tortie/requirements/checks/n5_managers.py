"""N5: others that write the firewall."""

import re

from tortie.requirements.machine import Machine
from tortie.requirements.model import Check, Finding, ok, warning

_RULES = (("nft", "list", "tables"), ("iptables-legacy-save",), ("iptables-nft-save",))
_SIGNS = {
    "firewalld": re.compile(r"^table \w+ firewalld|^:IN_public ", re.MULTILINE),
    "ufw": re.compile(r"^:ufw6?-", re.MULTILINE),
}


def judge(machine: Machine) -> Finding:
    """Whether one is at work."""
    rules = "".join(machine.output(*command) or "" for command in _RULES)
    return judge_found(sorted({*_at_work(machine), *names_in(rules)}))


def judge_found(found: list[str]) -> Finding:
    """By their names."""
    if not found:
        return ok("none found")
    return warning(
        f"{' and '.join(found)} is at work: what it denies stays denied",
        "switch it off and say it by HostEndpoints, or let it allow rows P1 to P9;"
        " its reloads do no harm to our rules",
    )


def names_in(rules: str) -> list[str]:
    """Those whose tables or chains are here: in a container their processes can't be seen."""
    return [name for name, sign in _SIGNS.items() if sign.search(rules)]


def _at_work(machine: Machine) -> list[str]:
    found = []
    if "firewalld" in machine.processes or machine.path("run/firewalld.pid").exists():
        found.append("firewalld")
    if "ENABLED=yes" in machine.text("etc/ufw/ufw.conf").replace('"', "").splitlines():
        found.append("ufw")
    if machine.path("var/lib/shorewall/state").exists():
        found.append("Shorewall")
    if any(
        machine.path(f"etc/systemd/system/multi-user.target.wants/{unit}.service").is_symlink()
        for unit in ("iptables", "netfilter-persistent")
    ):
        found.append("a service that restores iptables' rules")
    return found


CHECK = Check(
    "N5",
    "other firewalls",
    "always",
    "Looked for: a running firewalld, an enabled ufw, Shorewall, services that restore rules; and"
    " the tables and chains of the first two, since a container sees no processes of its host. Our"
    " rules survive their reloads (tested with a firewalld); but what another one drops, no policy"
    " of ours allows again. With several tables a packet passes only if all let it.",
    judge,
)
