"""Kubernetes' label selectors as text of the selector language."""

import re

from tortie.api.kube.selector import OPERATORS, LooseRequirement, LooseSelector
from tortie.kubernetes.names import ORCHESTRATOR, ORCHESTRATOR_LABEL

PODS = f"{ORCHESTRATOR_LABEL} == '{ORCHESTRATOR}'"
_KEY = re.compile(r"[A-Za-z0-9_./-]{1,512}")


class ConversionError(ValueError):
    """Something that has no equivalent; the message says what and why."""


def pods_selector(selector: LooseSelector | None) -> str:
    """The pods that `selector` matches, None all; never an endpoint that is no pod."""
    return " && ".join((PODS, *_terms(selector or LooseSelector())))


def namespaces_selector(selector: LooseSelector | None) -> str:
    """The namespaces that `selector` matches: empty is all, None is "" (the policy's own)."""
    if selector is None:
        return ""
    return " && ".join(_terms(selector)) or "all()"


def _terms(selector: LooseSelector) -> list[str]:
    """Raises ConversionError for keys, values and conditions that no selector can hold."""
    equal = [
        f"{_key(key)} == {_text(value)}" for key, value in sorted(selector.match_labels.items())
    ]
    return equal + [_term(condition) for condition in selector.match_expressions]


def _term(condition: LooseRequirement) -> str:
    key = _key(condition.key)
    if condition.operator not in OPERATORS:
        raise ConversionError(f"label {key!r}: there is no operator {condition.operator!r}")
    match condition.operator:
        case "Exists":
            return f"has({key})"
        case "DoesNotExist":
            return f"! has({key})"
    if not condition.values:
        raise ConversionError(f"label {key!r}: {condition.operator} needs at least one value")
    word = "in" if condition.operator == "In" else "not in"
    return f"{key} {word} {{ {', '.join(_text(value) for value in condition.values)} }}"


def _key(key: str) -> str:
    if not _KEY.fullmatch(key):
        raise ConversionError(f"{key!r} is no label")
    return key


def _text(value: str) -> str:
    for quote in "'\"":
        if quote not in value:
            return f"{quote}{value}{quote}"
    raise ConversionError(f"label value {value!r} has both kinds of quotes")
