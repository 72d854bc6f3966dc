"""From the words of a command line to the one module that carries them out.

A group knows its commands' names and one-line summaries without importing them, so that help is
cheap and a command costs only its own imports.
"""

import argparse
import importlib
import os
from collections.abc import Mapping, Sequence
from types import ModuleType
from typing import NamedTuple

from tortie.cli.errors import UserError

PACKAGE = "tortie.cli.commands"


class Command(NamedTuple):
    """Where a command lives (a module of `tortie.cli.commands`) and what it does, in a line."""

    module: str
    summary: str


class Group(NamedTuple):
    """Commands under one name: `tortie` itself, `tortie lab`."""

    name: str
    summary: str
    commands: Mapping[str, Command]
    hidden: Mapping[str, Command] = {}
    note: str = ""

    def help(self) -> str:
        """The group's summary and its commands, each with its line."""
        width = max(map(len, self.commands))
        lines = [f"  {word:<{width}}  {command.summary}" for word, command in self.commands.items()]
        head = f"usage: {self.name} COMMAND [options]\n\n{self.summary}\n\ncommands:\n"
        return (
            head + "\n".join(lines) + f"\n\n`{self.name} COMMAND --help` says more.\n" + self.note
        )


def run_group(group: Group, words: Sequence[str], leading: Sequence[str] = ()) -> int:
    """Carry out `words`, the first of which names a command of the group.

    `leading` are options that stood before it.
    """
    if not words or words[0] in ("-h", "--help", "help"):
        print(group.help(), end="")
        return 0 if words else 2
    command = group.commands.get(words[0]) or group.hidden.get(words[0])
    if command is None:
        raise unknown_command(group, words[0])
    return run_command(f"{group.name} {words[0]}", command, words[1:], leading)


def run_command(
    name: str, command: Command, words: Sequence[str], leading: Sequence[str] = ()
) -> int:
    """Parse a command's own options and run it."""
    module = importlib.import_module(f"{PACKAGE}.{command.module}")
    if isinstance(group := getattr(module, "GROUP", None), Group):
        return run_group(group, words, leading)
    parser = parser_of(name, module)
    words = [*leading, *words]
    options, rest = parser.parse_known_args(words)
    if rest:  # names may stand behind options: `get np -n shop web`
        options = parser.parse_intermixed_args(words)
    status: int = module.run(options)
    return status


def parser_of(name: str, module: ModuleType) -> argparse.ArgumentParser:
    """The parser of a command's options."""
    parser = argparse.ArgumentParser(
        prog=name,
        description=module.__doc__,
        formatter_class=_Help,
        allow_abbrev=False,
    )
    module.arguments(parser)
    return parser


class _Help(argparse.HelpFormatter):
    """Fills paragraphs to the terminal's width; commands and what is set in stay as they are."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, width=columns() - 2)  # else shutil is loaded for every command

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        from textwrap import fill

        paragraphs = text.strip().split("\n\n")
        return "\n\n".join(
            part if _is_set(part) else fill(part, width, initial_indent=indent)
            for part in paragraphs
        )


def _is_set(paragraph: str) -> bool:
    lines = paragraph.splitlines()
    return any(line.startswith(" ") for line in lines) or lines[0].startswith("tortie ")


def columns() -> int:
    """The width of the terminal."""
    try:
        return int(os.environ["COLUMNS"])
    except (KeyError, ValueError):
        pass
    try:
        return os.get_terminal_size().columns or 80
    except OSError:  # no terminal
        return 80


def unknown_command(group: Group, word: str) -> UserError:
    """The error for a word that names no command, with the nearest one that does."""
    from difflib import get_close_matches

    near = get_close_matches(word, group.commands, n=1)
    hint = f"did you mean '{group.name} {near[0]}'?" if near else f"see '{group.name} --help'"
    return UserError(f"there is no command '{group.name} {word}': {hint}")
