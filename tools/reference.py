"""docs/reference: a page for each kind of resource, and one of all commands, from the code itself.

`make reference` writes them anew; a test holds that they are what is written.
"""

import argparse
import importlib
import os
import sys
import textwrap
from collections.abc import Iterator, Mapping
from pathlib import Path

import yaml

from tortie.api.explain import FieldHelp, explain
from tortie.api.registry import KINDS, Kind
from tortie.cli.dispatch import PACKAGE, Group, parser_of
from tortie.cli.main import TORTIE

CHECKOUT = Path(__file__).parents[1]
FOLDER = CHECKOUT / "docs" / "reference"
EXAMPLES = Path(__file__).parent / "reference_examples.yaml"
OURS = "projectcalico.org/v3"
_MADE = "This page is made by `make reference` and not edited by hand.\n"


def pages() -> dict[str, str]:
    """Every page, by its file's name."""
    kinds = [kind for kind in KINDS.values() if kind.api_version == OURS]
    examples = _examples()
    made = {f"{kind.name}.md": _page(kind, examples.get(kind.name, "")) for kind in kinds}
    return {**made, "index.md": _index(kinds), "commands.md": _commands()}


def main() -> int:
    """Write them."""
    FOLDER.mkdir(exist_ok=True)
    for name, text in pages().items():
        (FOLDER / name).write_text(text, encoding="utf-8")
    print(f"docs/reference: {len(pages())} pages")
    return 0


def _examples() -> Mapping[str, str]:
    texts = EXAMPLES.read_text(encoding="utf-8").split("\n---\n")
    return {str(yaml.safe_load(text)["kind"]): text.strip() for text in texts}


def _index(kinds: list[Kind]) -> str:
    table = "\n".join(["| kind | scope | what it is |", "|---|---|---|", *map(_row, kinds)])
    return (
        f"# Resources\n\n{_MADE}\nAll of them are of `{OURS}`. `tortie explain KIND.field` says the"
        f" same in a terminal.\n\n{table}\n\n[Every command](commands.md)\n"
    )


def _row(kind: Kind) -> str:
    described = explain(kind.name).help.description
    return f"| [{kind.name}]({kind.name}.md) | {_scope(kind)} | {described} |"


def _scope(kind: Kind) -> str:
    return "namespace" if kind.namespaced else "cluster"


def _page(kind: Kind, example: str) -> str:
    found = explain(kind.name).help
    names = ", ".join(f"`{name}`" for name in (kind.plural, *kind.aliases))
    lines = [f"# {kind.name}", "", _MADE, found.description, ""]
    lines += [f"`{OURS}`, of a {_scope(kind)}. The command line also knows it as {names}.", ""]
    if example:
        lines += ["```yaml", example, "```", ""]
    for child in found.children:
        if child.name in ("spec", "status"):
            lines += _section(child.name, child)
    return "\n".join(lines).rstrip() + "\n"


def _section(path: str, field: FieldHelp) -> Iterator[str]:
    """A field that has fields, and then those of its own that have."""
    yield f"## {path}"
    yield ""
    if not field.children:
        yield from (_of_leaf(field), "")
        return
    yield from _rules(field)
    for child in field.children:
        yield from textwrap.wrap(
            _of_leaf(child),
            100,
            subsequent_indent="  ",
            break_long_words=False,
            break_on_hyphens=False,
        )
    yield ""
    for child in field.children:
        if child.children:
            yield from _section(f"{path}.{child.name}{_many(child)}", child)


def _many(field: FieldHelp) -> str:
    return "[]" if field.type.startswith("[]") else ""


def _rules(field: FieldHelp) -> Iterator[str]:
    if field.rules:
        yield "Rules:"
        yield ""
        yield from (f"- {_plain(rule)}" for rule in dict.fromkeys(field.rules))
        yield ""


def _of_leaf(field: FieldHelp) -> str:
    facts = [field.type, *(["required"] if field.required else []), *map(_bound, field.bounds)]
    if field.default is not None:
        facts.append(f"default `{field.default}`")
    if field.choices:
        facts.append("one of " + ", ".join(f"`{choice}`" for choice in field.choices))
    return f"- `{field.name}` ({'; '.join(facts)}): {_plain(field.description)}"


def _bound(text: str) -> str:
    """A pattern is full of what Markdown would take for markup."""
    return f"matches `{text.removeprefix('matches ')}`" if text.startswith("matches ") else text


def _plain(text: str) -> str:
    """What Markdown would take for markup, as it is."""
    return text.replace("<", "&lt;").replace("*", "\\*").replace("|", "\\|")


def _commands() -> str:
    os.environ["COLUMNS"] = "80"
    for variable in ("TORTIE_LAB", "TORTIE_RUN_DIR", "NO_COLOR"):
        os.environ.pop(variable, None)
    lines = ["# Commands", "", _MADE, "Every command takes `--help`.", ""]
    for called, parser in _parsers("tortie", TORTIE):
        lines += [f"## {called}", "", "```text", parser.format_help().rstrip(), "```", ""]
    return "\n".join(lines)


def _parsers(called: str, group: Group) -> Iterator[tuple[str, argparse.ArgumentParser]]:
    for word, command in group.commands.items():
        module = importlib.import_module(f"{PACKAGE}.{command.module}")
        inner = getattr(module, "GROUP", None)
        name = f"{called} {word}"
        if isinstance(inner, Group):
            yield from _parsers(name, inner)
        else:
            yield name, parser_of(name, module)


if __name__ == "__main__":
    sys.exit(main())
