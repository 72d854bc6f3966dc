"""N8: versions of the tools."""

import re
from typing import NamedTuple

from tortie.requirements.machine import Machine
from tortie.requirements.model import Check, Finding, missing, ok, warning
from tortie.requirements.modes import Dataplane, Modes

_NUMBERS = re.compile(r"v?(\d+)\.(\d+)(?:\.(\d+))?")
Version = tuple[int, ...]


class Tool(NamedTuple):
    """A tool: how it tells its version, the oldest that will do, and which dataplane needs it."""

    name: str
    command: tuple[str, ...]
    oldest: Version
    package: str
    dataplane: Dataplane | None = None


TOOLS = (
    Tool("iptables", ("iptables", "--version"), (1, 4, 7), "iptables", Dataplane.IPTABLES),
    Tool("ip6tables", ("ip6tables", "--version"), (1, 4, 7), "iptables", Dataplane.IPTABLES),
    Tool("ipset", ("ipset", "--version"), (6, 11), "ipset", Dataplane.IPTABLES),
    Tool("conntrack", ("conntrack", "--version"), (1, 4, 1), "conntrack"),
    Tool("nft", ("nft", "--version"), (0, 9, 0), "nftables"),
    Tool("ip", ("ip", "-V"), (3, 10), "iproute2"),
)


def judge(machine: Machine) -> Finding:
    """By what each tells of itself."""
    return judge_versions(
        {tool.name: machine.version(*tool.command) for tool in TOOLS}, machine.modes
    )


def judge_versions(told: dict[str, str], modes: Modes) -> Finding:
    """By the line that each prints; an empty one: it is not there."""
    problems = {tool: problem for tool in TOOLS if (problem := _problem(tool, told[tool.name]))}
    shown = ", ".join(
        f"{tool.name} {_text(version)}"
        for tool in TOOLS
        if (version := version_of(told[tool.name]))
    )
    if not problems:
        return ok(shown)
    words = "; ".join(problems.values()) + (f" (there: {shown})" if shown else "")
    fix = f"install {', '.join(dict.fromkeys(tool.package for tool in problems))}"
    if any(tool.dataplane is modes.dataplane for tool in problems):
        return missing(words, fix)
    return warning(words, f"{fix}; only people use them with this dataplane")


def version_of(line: str) -> Version:
    """The first version in a line: 1.8.9 of "iptables v1.8.9 (legacy)"; () where there is none."""
    found = _NUMBERS.search(line)
    return tuple(int(one) for one in found.groups() if one) if found else ()


def _problem(tool: Tool, line: str) -> str:
    if not line:
        return f"{tool.name} is not installed"
    version = version_of(line)
    if version and version < tool.oldest:
        return f"{tool.name} is {_text(version)}, {_text(tool.oldest)} or later is needed"
    return ""


def _text(version: Version) -> str:
    return ".".join(map(str, version))


CHECK = Check(
    "N8",
    "tools",
    "iptables and ipset: --dataplane iptables",
    "What each tool prints as its version: iptables and ip6tables 1.4.7 or later, ipset 6.11,"
    " conntrack 1.4.1, nft 0.9, ip. Our daemons speak netlink themselves; only the iptables"
    " dataplane needs iptables and ipset. The others are for people, who miss them when they search"
    " for a fault, so that their absence is a warning.",
    judge,
)
