"""The words that choose kinds, names and namespaces, the same for all commands."""

import argparse

from tortie.api import Kind, kind_named

DEFAULT_NAMESPACE = "default"


def add_namespace_options(parser: argparse.ArgumentParser, everywhere: bool) -> None:
    """`-n`, and `-A` where a command can look everywhere."""
    group = parser.add_mutually_exclusive_group()
    group.add_argument("-n", "--namespace", default=DEFAULT_NAMESPACE, help="default: default")
    if everywhere:
        group.add_argument("-A", "--all-namespaces", action="store_true")


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


def kinds_of(words: str) -> list[Kind]:
    """The kinds of "gnp,tiers". Raises UnknownKind."""
    return [kind_named(word) for word in words.split(",") if word.strip()]
