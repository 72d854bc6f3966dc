"""The words that choose kinds, names and namespaces, the same for all commands."""

import argparse
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from tortie.api import KINDS, Key, Kind, Resource, kind_named
from tortie.cli.errors import UserError

DEFAULT_NAMESPACE = "default"


class Target(NamedTuple):
    """Objects of one kind; `names` empty: all of them."""

    kind: Kind
    names: tuple[str, ...]

    def wants(self, name: str) -> bool:
        """Whether the name was asked for."""
        return not self.names or name in self.names


def add_namespace_options(parser: argparse.ArgumentParser, everywhere: bool) -> None:
    """`-n`, and `-A` where a command can look everywhere."""
    group = parser.add_mutually_exclusive_group()
    group.add_argument("-n", "--namespace", default=DEFAULT_NAMESPACE, help="default: default")
    if everywhere:
        group.add_argument(
            "-A", "-a", "--all-namespaces", action="store_true", help="look in all namespaces"
        )


def add_words(parser: argparse.ArgumentParser, names: str = "NAME") -> None:
    """KIND and names; `words_of` are the words that were given."""
    parser.add_argument("kind", metavar="KIND", nargs="?", help="as in np, or np/web")
    parser.add_argument("names", metavar=names, nargs="*")


def words_of(options: argparse.Namespace) -> list[str]:
    """The words that name objects; empty where none was given."""
    return [options.kind, *options.names] if options.kind else []


def add_file_option(parser: argparse.ArgumentParser, required: bool) -> None:
    """`-f`, which may be given several times."""
    parser.add_argument(
        "-f",
        "--filename",
        metavar="FILE",
        action="append",
        default=[],
        required=required,
        help="a file, a directory (its *.yaml, *.yml, *.json), or - for stdin; may be repeated",
    )


def add_file_options(parser: argparse.ArgumentParser, required: bool) -> None:
    """`-f`, and how it is read."""
    add_file_option(parser, required)
    parser.add_argument(
        "-R", "--recursive", action="store_true", help="directories within directories, too"
    )
    parser.add_argument(
        "--skip-empty", action="store_true", help="files and directories may hold nothing"
    )


def add_selector_option(parser: argparse.ArgumentParser) -> None:
    """`--selector`."""
    parser.add_argument("--selector", help="only those whose labels it matches: \"app == 'web'\"")


def add_change_options(parser: argparse.ArgumentParser) -> None:
    """What all commands that write have in common."""
    parser.add_argument("--dry-run", action="store_true", help="say what would happen, no more")
    parser.add_argument("-o", "--output", choices=("text", "name", "json"), default="text")


def kinds_of(words: str) -> list[Kind]:
    """The kinds of "gnp,tiers". Raises UnknownKind."""
    return list(dict.fromkeys(kind_named(word) for word in words.split(",") if word.strip()))


def targets_of(words: Sequence[str]) -> list[Target]:
    """What "np web", "np,gnp", "np/web tier/ops" ask for. Raises UnknownKind, UserError."""
    if not any("/" in word for word in words):
        return [Target(kind, tuple(words[1:])) for kind in kinds_of(words[0])] if words else []
    names: dict[Kind, list[str]] = {}
    for word in words:
        kind, slash, name = word.partition("/")
        if not (kind and slash and name):
            raise UserError(f"{word!r}: where one word is KIND/NAME, all are")
        names.setdefault(kind_named(kind), []).append(name)
    return [Target(kind, tuple(chosen)) for kind, chosen in names.items()]


def word_for(key: Key) -> str:
    """ "networkpolicies/shop/web": the plural of its kind, its namespace, its name."""
    return "/".join(filter(None, (KINDS[key.kind].plural, *key[1:])))


def keys_of(targets: Iterable[Target], namespace: str) -> list[Key]:
    """The keys of all names. Raises UserError where a target has none."""
    keys: list[Key] = []
    for kind, names in targets:
        if not names:
            raise UserError(f"which {kind.plural}? Name one or more")
        keys += [Key(kind.name, namespace if kind.namespaced else "", name) for name in names]
    return list(dict.fromkeys(keys))


def selected(resources: Iterable[Resource], selector: str | None) -> list[Resource]:
    """Those whose labels the selector matches; all without one. Raises UserError."""
    if not selector:
        return list(resources)
    from tortie.selectors import SelectorError, parse

    try:
        matches = parse(selector).matches
    except SelectorError as error:
        raise UserError(f"--selector: {error}") from None
    return [resource for resource in resources if matches(resource.metadata.labels)]
