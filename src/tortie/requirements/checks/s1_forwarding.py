"""S1: the machine forwards packets."""

from tortie.requirements.machine import Machine
from tortie.requirements.model import Check, Finding, ok, warning
from tortie.requirements.modes import Purpose

_SETTINGS = {"net/ipv4/ip_forward": "IPv4", "net/ipv6/conf/all/forwarding": "IPv6"}
_FOLDERS = ("usr/lib/sysctl.d", "run/sysctl.d", "etc/sysctl.d")


def judge(machine: Machine) -> Finding:
    """As it is now, and as files would have it after the next start."""
    now = {words: machine.sysctl(name) for name, words in _SETTINGS.items()}
    texts = {
        f"/{folder}/{name}": machine.text(f"{folder}/{name}")
        for folder in _FOLDERS
        for name in machine.listing(folder)
        if name.endswith(".conf")
    }
    return judge_settings(
        now, [*texts.items(), ("/etc/sysctl.conf", machine.text("etc/sysctl.conf"))]
    )


def judge_settings(now: dict[str, str], files: list[tuple[str, str]]) -> Finding:
    """The values of IPv4 and IPv6 (empty: not there), and files of sysctl.d."""
    off = [where for where, text in files if _switches_off(text)]
    if off:
        return warning(
            f"{', '.join(off)} switches forwarding off",
            "remove the line, or `sysctl --system`"
            " takes the pods' way away until the agent's next look",
        )
    told = [f"{words} {'on' if value == '1' else 'off'}" for words, value in now.items() if value]
    if now["IPv4"] != "1":
        return ok(f"{', '.join(told)}; the agent switches it on")
    return ok(", ".join(told))


def _switches_off(text: str) -> bool:
    for line in text.splitlines():
        key, _, value = line.lstrip("-").partition("=")
        if key.strip().replace(".", "/") in _SETTINGS and value.strip() == "0":
            return True
    return False


CHECK = Check(
    "S1",
    "forwarding",
    "--for kubernetes, openstack",
    "ip_forward and its twin of IPv6. The agent switches them on; a file of sysctl.d that switches"
    " them off would win for a while whenever somebody runs `sysctl --system`.",
    judge,
    applies=lambda modes: modes.purpose is not Purpose.HOSTS,
)
