"""Whether a line of documentation is a command that exists, with flags that exist."""

import importlib
import re
import shlex
from collections.abc import Iterator

from tortie.cli.dispatch import PACKAGE, Command, Group, parser_of
from tortie.cli.main import TORTIE

_ENDS = re.compile(r"\s*(?:\|\||&&|[|;&]|[12]?>{1,2}|<)\s*")
_OPTIONAL = re.compile(r"[\[\]…]|\.\.\.")


def commands_in(text: str) -> Iterator[list[str]]:
    """The words of each `tortie …` in a text for a shell; of a synopsis, too."""
    for line in text.replace("\\\n", " ").splitlines():
        if "<<" in line:
            line = line.split("<<")[0]
        for part in _ENDS.split(line):
            words = _words(part)
            while words and re.match(r"^[A-Z_]+=", words[0]):
                words = words[1:]
            if words and words[0] in ("tortie", "sudo") and "tortie" in words[:2]:
                yield words[words.index("tortie") + 1 :]


def _words(part: str) -> list[str]:
    try:
        return shlex.split(_OPTIONAL.sub(" ", part), comments=True)
    except ValueError:
        return []


def check(words: list[str]) -> None:
    """Raises AssertionError where there is no such command, or it takes no such option."""
    group, called, rest = TORTIE, "tortie", [*words]
    rest = _without_leading(rest)
    while rest and not rest[0].startswith("-"):
        command: Command | None = group.commands.get(rest[0]) or group.hidden.get(rest[0])
        assert command is not None, f"{called} has no command {rest[0]!r}"
        called = f"{called} {rest.pop(0)}"
        module = importlib.import_module(f"{PACKAGE}.{command.module}")
        inner = getattr(module, "GROUP", None)
        if not isinstance(inner, Group):
            _options_exist(parser_of(called, module)._option_string_actions, called, rest)
            return
        group = inner


def _without_leading(words: list[str]) -> list[str]:
    """Options of calicoctl's that may stand before the command."""
    while words and words[0].startswith("-") and words[0] not in ("--version", "-V", "--help"):
        words = words[1:] if "=" in words[0] else words[2:]
    return words


def _options_exist(known: object, called: str, words: list[str]) -> None:
    assert isinstance(known, dict)
    for word in words:
        if word == "--":
            return
        if word.startswith("--"):
            assert word.split("=")[0] in known, f"{called} takes no {word}"
        elif re.fullmatch(r"-[a-zA-Z]", word):
            assert word in known, f"{called} takes no {word}"
