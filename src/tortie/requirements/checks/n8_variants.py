"""N8: rules in both kinds of iptables at once."""

from tortie.requirements.machine import Machine
from tortie.requirements.model import Check, Finding, ok, warning

_COMMANDS = {
    "legacy": ("iptables-legacy-save", "ip6tables-legacy-save"),
    "nft": ("iptables-nft-save", "ip6tables-nft-save"),
}


def judge(machine: Machine) -> Finding:
    """By what each kind has."""
    counts = {}
    for kind, commands in _COMMANDS.items():
        saved = [machine.output(command) for command in commands]
        if None in saved:
            return unreadable(kind)
        counts[kind] = sum(count_rules(text) for text in saved if text)
    return judge_counts(counts)


def unreadable(kind: str) -> Finding:
    """Where one kind's rules can't be listed."""
    return warning(f"the rules of iptables-{kind} can't be read", "run it as root, privileged")


def count_rules(saved: str) -> int:
    """How many rules iptables-save printed; policies and empty chains are none."""
    return sum(line.startswith("-A ") for line in saved.splitlines())


def judge_counts(counts: dict[str, int]) -> Finding:
    """By how many rules each kind has."""
    if counts["legacy"] and counts["nft"]:
        return warning(
            f"{counts['legacy']} rules of iptables-legacy and {counts['nft']} of iptables-nft",
            "have every program use one kind (update-alternatives --config iptables), and set"
            " FELIX_IPTABLESBACKEND if ours is to use a certain one",
        )
    used = next((kind for kind, count in counts.items() if count), "")
    return ok(f"only iptables-{used} has rules" if used else "neither kind has rules")


CHECK = Check(
    "N8",
    "one iptables",
    "always",
    "iptables has two kinds, legacy and nft, with tables of their own. Rules in both are asked one"
    " after the other, and whoever looks for a rule looks in one of them. Counted: the rules of"
    " each kind, of IPv4 and IPv6.",
    judge,
)
