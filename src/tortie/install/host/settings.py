"""The file that all daemons of a host read their variables from. Pure."""

import re
from collections.abc import Mapping

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}", re.ASCII)
_HEAD = (
    "# What Tortie's daemons are told: NAME=value, names as Calico's (FELIX_*, ETCD_*, IP, ...).",
    "# `tortie install host --set NAME=VALUE` changes a line and leaves the others.",
    "NO_DEFAULT_POOLS=true",  # a host has no pods
    "CALICO_NETWORKING_BACKEND=none",
)


class WrongSetting(ValueError):
    """A setting that no environment takes; one line for people."""


def parsed(words: list[str]) -> dict[str, str]:
    """Settings from "NAME=VALUE" words. Raises WrongSetting."""
    found = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not equals or not _NAME.fullmatch(name):
            raise WrongSetting(f"{word!r} is no setting: write it as NAME=VALUE")
        if not value.isprintable() or '"' in value or "\\" in value:
            raise WrongSetting(f"{name}: a value has no line breaks, quotes or backslashes")
        found[name] = value
    return found


def settings_text(current: str, wanted: Mapping[str, str]) -> str:
    """The file with these settings: lines of others stay, in their order; "" takes one away."""
    lines = current.splitlines() if current else list(_HEAD)
    left = dict(wanted)
    result = []
    for line in lines:
        name = line.partition("=")[0].strip()
        if name in left:
            value = left.pop(name)
            result += [_line(name, value)] if value else []
        elif name not in wanted:  # nor a second line of the same name
            result.append(line)
    result += [_line(name, value) for name, value in left.items() if value]
    return "\n".join(result) + "\n"


def _line(name: str, value: str) -> str:
    return f'{name}="{value}"' if any(c in value for c in " #;'$`") else f"{name}={value}"
