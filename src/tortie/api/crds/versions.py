"""What younger API servers know and older ones refuse, each with the release that brought it.

A rule that an older server can't judge is left out of its definitions: Tortie's own validation
(`tortie apply`, `tortie validate`) refuses there too what the rule would.
"""

import re
from typing import Any, NamedTuple


class Release(NamedTuple):
    """A minor release of Kubernetes."""

    major: int
    minor: int

    def __str__(self) -> str:
        return f"{self.major}.{self.minor}"


OLDEST = Release(1, 21)
WHOLE = Release(1, 31)
"""From here on API servers take definitions whole."""

_RULES = "x-kubernetes-validations"
_FIELDS = {_RULES: Release(1, 25), "reason": Release(1, 28), "selectableFields": Release(1, 30)}
_ADDRESSES = re.compile(r"\b(?:isIP|ip|isCIDR|cidr)\(")  # functions for rules, from WHOLE on


def parse_release(text: str) -> Release:
    """The release that "1.30", "v1.30" or "v1.30.14" names. Raises ValueError, for people."""
    found = re.fullmatch(r"v?(\d{1,3})\.(\d{1,3})(?:\.[\w.+-]*)?", text, re.ASCII)
    if found is None:
        raise ValueError(f"{text!r} is no release of Kubernetes: write it like 1.30")
    release = Release(int(found[1]), int(found[2]))
    if release < OLDEST:
        raise ValueError(f"Kubernetes {release} is too old: {OLDEST} is the oldest that works")
    return release


def fitted(part: Any, release: Release) -> Any:
    """A definition, or any part of one, without what API servers of `release` don't know."""
    if isinstance(part, list):
        return [fitted(item, release) for item in part]
    if not isinstance(part, dict):
        return part
    kept = {}
    for name, value in part.items():
        if isinstance(value, list) and release < _FIELDS.get(name, OLDEST):
            continue
        kept[name] = _judged(value, release) if name == _RULES else fitted(value, release)
    return {name: value for name, value in kept.items() if name != _RULES or value}


def _judged(rules: list[dict[str, str]], release: Release) -> list[dict[str, str]]:
    return [
        {name: value for name, value in rule.items() if release >= _FIELDS.get(name, OLDEST)}
        for rule in rules
        if release >= WHOLE or not _ADDRESSES.search(rule["rule"])
    ]
