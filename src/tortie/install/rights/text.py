"""Roles as YAML for people: each rule under its reason."""

from textwrap import wrap
from typing import Any

from tortie.api.writing import yaml_text
from tortie.install.rights.roles import Role, account, binding, cluster_role, rule_in

_WIDTH = 100
_IN_A_LINE = 80


def role_text(role: Role, group: str, *, with_account: bool = True) -> str:
    """The documents of a role: its account, itself, and what binds the two."""
    documents = [yaml_text(account(role.account))] if role.account and with_account else []
    documents.append(role_text_of(role, group, cluster_role(role, group)))
    documents += [yaml_text(binding(role))] if role.account else []
    return comment(role.why) + "---\n".join(documents)


def role_text_of(role: Role, group: str, made: dict[str, Any]) -> str:
    """One ClusterRole as it was made (`cluster_role`), with its reasons."""
    head = {name: value for name, value in made.items() if name != "rules"}
    lines = [yaml_text(head), "rules:\n"]
    for rule in role.rules:
        if (found := rule_in(rule, group)) is not None:
            lines.append(comment(rule.why, "  "))
            lines.append(_rule(found))
    return "".join(lines)


def _rule(rule: dict[str, Any]) -> str:
    lines = []
    for name, values in rule.items():
        shown = ", ".join(value or '""' for value in values)
        if len(shown) <= _IN_A_LINE:
            lines.append(f"{name}: [{shown}]\n")
        else:
            lines.append(f"{name}:\n" + "".join(f"      - {value}\n" for value in values))
    return "  - " + "    ".join(lines)


def comment(text: str, indent: str = "") -> str:
    """Lines of comment; what is set in stays as it is."""
    found = []
    for line in text.splitlines():
        short = not line or line.startswith(" ")
        parts = [line] if short else wrap(line, _WIDTH - len(indent) - 2)
        found += [f"{indent}# {part}".rstrip() + "\n" for part in parts]
    return "".join(found)
