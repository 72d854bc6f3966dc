"""Say what a kind or a field is: its type, bounds, default, and the fields inside.

tortie explain gnp                          a kind
tortie explain IPPool.spec.blockSize        a field
tortie explain np.spec.ingress.source       a field of all items of a list
tortie explain bgppeer --recursive          all fields below, by name and type
"""

import argparse
import textwrap
from collections.abc import Iterator

from tortie.api.explain import Explained, FieldHelp, UnknownField, explain
from tortie.cli.errors import UserError
from tortie.cli.terminal import paint

WIDTH = 80  # columns


def arguments(parser: argparse.ArgumentParser) -> None:
    """What to explain."""
    parser.add_argument("path", metavar="KIND[.FIELD…]")
    parser.add_argument(
        "-r", "--recursive", action="store_true", help="all fields below, by name and type"
    )


def run(options: argparse.Namespace) -> int:
    """Print it."""
    try:
        found = explain(options.path)
    except UnknownField as error:
        raise UserError(str(error)) from None
    fields = _tree(found.help, 1) if options.recursive else _fields(found.help)
    print("\n".join((*_head(found), *fields)))
    return 0


def _head(found: Explained) -> Iterator[str]:
    kind, about = found.kind, found.help
    name = f"{kind.name}.{found.path}" if found.path else kind.name
    yield f"{paint(name, 'bold')}  <{about.type}>{_required(about)}"
    if not found.path:
        scope = "in a namespace" if kind.namespaced else "cluster-wide"
        yield f"{kind.api_version} {kind.manifest_kind}, {scope}"
        yield from _filled(f"also: {', '.join((kind.plural, *kind.aliases))}", "")
    yield ""
    yield from _filled(about.description, "  ")
    yield from _facts(about)


def _facts(about: FieldHelp) -> Iterator[str]:
    bounds = [("bounds", "; ".join(about.bounds))]
    facts = [(label, text) for label, text in (*bounds, *_values(about)) if text]
    if facts:
        yield ""
    for label, text in facts:
        yield from _filled(f"{label}: {text}", "  ", "    ")
    if about.rules:
        yield ""
        yield "  rules:"
        for rule in about.rules:
            yield from _filled(f"- {rule}", "  ", "    ")


def _values(about: FieldHelp) -> Iterator[tuple[str, str]]:
    yield "choices", ", ".join(about.choices)
    yield "default", "" if about.default is None else _literal(about.default)


def _fields(about: FieldHelp) -> Iterator[str]:
    """The fields inside, each with what it is; at the end those that are only kept."""
    if about.children:
        yield ""
        yield "fields:"
    for child in about.children:
        if child.is_used:
            yield f"  {paint(child.name, 'bold')}  <{child.type}>{_required(child)}"
            yield from _filled(child.description, "    ")
            for label, text in _values(child):
                yield from _filled(text and f"{label}: {text}", "    ", "      ")
    kept = [child.name for child in about.children if not child.is_used]
    if kept:
        yield from _filled(f"kept as they came, but never looked at: {', '.join(kept)}", "  ")


def _tree(about: FieldHelp, depth: int) -> Iterator[str]:
    if depth == 1:
        yield ""
        yield "fields:"
    for child in about.children:
        yield f"{'  ' * depth}{child.name}  <{child.type}>{_required(child)}"
        yield from _tree(child, depth + 1)


def _required(about: FieldHelp) -> str:
    return "  required" if about.required else ""


def _literal(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value) or '""'


def _filled(text: str, indent: str, further: str = "") -> list[str]:
    """Lines of at most WIDTH; a word that is longer, such as a pattern, stands alone."""
    return textwrap.wrap(
        text,
        WIDTH,
        initial_indent=indent,
        subsequent_indent=further or indent,
        break_long_words=False,
        break_on_hyphens=False,
    )
