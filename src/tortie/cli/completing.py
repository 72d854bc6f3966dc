"""What the last word of a command line can become."""

import argparse
import importlib
import os
from collections.abc import Iterable, Sequence
from contextlib import redirect_stderr

from tortie.api import KINDS, Kind, UnknownKind, kind_named
from tortie.cli import datastore
from tortie.cli.derived import listed
from tortie.cli.dispatch import PACKAGE, Group, parser_of
from tortie.cli.selection import DEFAULT_NAMESPACE
from tortie.cli.show import FORMATS, TEMPLATES
from tortie.datastore import Datastore

FILES = [":files"]
"""Shells complete names of files themselves."""

_OF_FILES = ("filename", "config", "patch_file", "datastore")


def candidates(group: Group, words: Sequence[str]) -> list[str]:
    """What the last word can become, the others being what stands before it. Sorted.

    Raises what opening a datastore raises.
    """
    *before, prefix = words or [""]
    if not before:
        return _starting(group.commands, prefix)
    command = group.commands.get(before[0])
    if command is None:
        return []
    module = importlib.import_module(f"{PACKAGE}.{command.module}")
    if isinstance(inner := getattr(module, "GROUP", None), Group):
        return candidates(inner, words[1:])
    return _of_command(parser_of(before[0], module), before[1:], prefix)


def _of_command(parser: argparse.ArgumentParser, before: list[str], prefix: str) -> list[str]:
    options = parser._option_string_actions
    if before and (action := options.get(before[-1])) and action.nargs != 0:
        return _values(parser, action, before[:-1], prefix)
    if prefix.startswith("-"):
        name, equals, value = prefix.partition("=")
        if equals and name in options:
            return [f"{name}={item}" for item in _values(parser, options[name], before, value)]
        return _starting(options, prefix)
    action = _positional(parser, before)
    return _values(parser, action, before, prefix) if action else []


def _positional(parser: argparse.ArgumentParser, before: list[str]) -> argparse.Action | None:
    """The argument that the next word is."""
    actions = parser._get_positional_actions()
    words = _words(parser, before)
    for action in actions:
        if action.nargs in ("*", "+") or not words:
            return action
        words = words[1:]
    return None


def _words(parser: argparse.ArgumentParser, before: list[str]) -> list[str]:
    """Those that are neither options nor their values."""
    words: list[str] = []
    value = False
    for word in before:
        action = parser._option_string_actions.get(word)
        if not value and not word.startswith("-"):
            words.append(word)
        value = action is not None and action.nargs != 0
    return words


def _values(
    parser: argparse.ArgumentParser, action: argparse.Action, before: list[str], prefix: str
) -> list[str]:
    if action.choices is not None:
        return _starting(map(str, action.choices), prefix)
    match action.dest:
        case "output":
            found = _starting([*FORMATS, *(f"{name}=" for name in TEMPLATES)], prefix)
        case "namespace":
            found = _starting(_names(parser, before, KINDS["Namespace"]), prefix)
        case "kind" | "kinds" | "path":
            found = _kinds(parser, before, prefix)
        case "names":
            found = _names_of_kind(parser, before, prefix)
        case _:
            found = FILES if action.dest in _OF_FILES else []
    return found


def _kinds(parser: argparse.ArgumentParser, before: list[str], prefix: str) -> list[str]:
    """Kinds, "kind,kind", or "kind/name"."""
    kind, slash, name = prefix.partition("/")
    if slash:
        return [f"{kind}/{found}" for found in _named(parser, before, kind, name)]
    first, comma, last = prefix.rpartition(",")
    found = _starting((kind.plural for kind in KINDS.values()), last) if last else []
    found = found or _starting(_all_words(), last)
    return [f"{first}{comma}{word}" for word in found]


def _all_words() -> list[str]:
    return [word for kind in KINDS.values() for word in (kind.plural, *kind.aliases)]


def _names_of_kind(parser: argparse.ArgumentParser, before: list[str], prefix: str) -> list[str]:
    first = _words(parser, before)[0]
    return _kinds(parser, before, prefix) if "/" in first else _named(parser, before, first, prefix)


def _named(parser: argparse.ArgumentParser, before: list[str], kind: str, prefix: str) -> list[str]:
    try:
        return _starting(_names(parser, before, kind_named(kind)), prefix)
    except UnknownKind:
        return []


def _names(parser: argparse.ArgumentParser, before: list[str], kind: Kind) -> list[str]:
    """The names of all objects of a kind, where the options so far say to look."""
    options = _parsed(parser, before)
    if not hasattr(options, "datastore"):
        return []
    everywhere = getattr(options, "all_namespaces", False) or not kind.namespaced
    namespace = None if everywhere else getattr(options, "namespace", DEFAULT_NAMESPACE)
    names: list[str] = []

    async def collect(store: Datastore) -> int:
        found, _, _ = await listed(store, kind.name, namespace)
        names.extend(resource.metadata.name for resource in found)
        return 0

    datastore.look_into(options, collect)
    return names


def _parsed(parser: argparse.ArgumentParser, before: list[str]) -> argparse.Namespace:
    """The options so far; none of them where they are not right yet."""
    try:
        with open(os.devnull, "w") as nowhere, redirect_stderr(nowhere):
            return parser.parse_known_args(before)[0]
    except SystemExit:
        return argparse.Namespace()


def _starting(words: Iterable[str], prefix: str) -> list[str]:
    return sorted({word for word in words if word.startswith(prefix)})
