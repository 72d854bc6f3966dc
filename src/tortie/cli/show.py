"""Resources as tables, YAML, JSON, names, and as templates say."""

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from tortie.api import Kind, Resource, to_manifest
from tortie.cli.errors import UserError
from tortie.cli.selection import word_for
from tortie.cli.terminal import table

FORMATS = ("table", "wide", "ps", "name", "yaml", "json")  # "ps" is calicoctl's word for a table
TEMPLATES = ("custom-columns", "go-template", "jsonpath")
"""Each takes `=TEXT`, and, with -file at its end, `=FILE`."""

HELP = """\
output:
  -o table | ps | wide | name | yaml | json
  -o custom-columns=NAME,CIDR                   columns of `-o wide`
  -o custom-columns=NAME:.metadata.name,NETS:.spec.nets[*]
  -o jsonpath='{range .items[*]}{.metadata.name}{"\\n"}{end}'
  -o go-template='{{range .items}}{{.metadata.name}}{{"\\n"}}{{end}}'
  -o custom-columns-file=FILE, jsonpath-file=FILE, go-template-file=FILE

  go-template has fields, variables, pipelines, if, with, range, else, break,
  continue, end, {{- trimming -}}, {{/* comments */}}, and the functions
    and or not eq ne lt le gt ge len index slice print printf println
    html js urlquery join exists
  but no define, template or block. Several objects are a List with .items;
  {{range .}}{{range .Items}}{{.ObjectMeta.Name}} works as with calicoctl.
"""


class Shown(NamedTuple):
    """What is to be shown: resources of these kinds, in order.

    `named`: one object was asked for by name, so it is no list. `namespaced`: they come from all
    namespaces, so tables say which.
    """

    kinds: Sequence[Kind]
    resources: Sequence[Resource]
    named: bool = False
    namespaced: bool = True

    def groups(self) -> list[tuple[Kind, list[Resource]]]:
        """The kinds that have resources, with them."""
        groups = ((kind, [r for r in self.resources if r.kind == kind.name]) for kind in self.kinds)
        return [(kind, found) for kind, found in groups if found]

    def data(self) -> dict[str, Any]:
        """One manifest, or a List of them."""
        manifests = [to_manifest(resource) for resource in self.resources]
        if self.named and len(manifests) == 1:
            return manifests[0]
        return {"apiVersion": "v1", "kind": "List", "items": manifests}


def add_option(parser: argparse.ArgumentParser) -> None:
    """`-o`, and its description below the options."""
    parser.add_argument(
        "-o", "--output", metavar="FORMAT", type=output_format, default="table", help="see below"
    )
    parser.epilog = HELP


def output_format(text: str) -> str:
    """The word of `-o`, where it is one."""
    head, equals, rest = text.partition("=")
    if head.removesuffix("-file") in TEMPLATES and equals and rest:
        return text
    if text in FORMATS:
        return text
    wanted = f"{head} needs =TEXT" if head.removesuffix("-file") in TEMPLATES else ""
    known = ", ".join((*FORMATS, *(f"{template}=…" for template in TEMPLATES)))
    raise argparse.ArgumentTypeError(wanted or f"there is no format {text!r}; there are {known}")


def as_text(output: str, shown: Shown) -> str:
    """What `get` prints, with no line feed at its end. Raises UserError for a wrong template."""
    head, _, text = output.partition("=")
    if head.endswith("-file"):
        head, text = head.removesuffix("-file"), Path(text).read_text()
    return _FORMS[head](text, shown)


def as_line(output: str, kind: Kind, resource: Resource) -> str:
    """One changed resource, as `get --watch` shows it: a line, or a document."""
    if output in ("table", "ps", "wide"):
        from tortie.cli.columns import row

        return "   ".join(("changed", *row(resource, output == "wide", kind.namespaced)))
    text = as_text(output, Shown([kind], [resource], named=True))
    if output.startswith("custom-columns"):
        return text.splitlines()[-1]
    return f"---\n{text}" if output == "yaml" else text


def name_of(resource: Resource) -> str:
    """ "networkpolicies/shop/web"."""
    return word_for(resource.key)


def as_json(value: object) -> str:
    """JSON for people and machines."""
    import msgspec

    return msgspec.json.format(msgspec.json.encode(value), indent=2).decode()


def _names(_: str, shown: Shown) -> str:
    return "\n".join(map(name_of, shown.resources))


def _json(_: str, shown: Shown) -> str:
    return as_json(shown.data()) if shown.resources else ""


def _yaml(_: str, shown: Shown) -> str:
    from tortie.api.writing import yaml_text

    return yaml_text(shown.data()).rstrip("\n") if shown.resources else ""


def _table(_: str, shown: Shown) -> str:
    return _tables(shown, wide=False)


def _wide(_: str, shown: Shown) -> str:
    return _tables(shown, wide=True)


def _tables(shown: Shown, wide: bool) -> str:
    """One part for each kind that has objects."""
    from tortie.cli.columns import header, row

    parts = []
    for kind, resources in shown.groups():
        namespaced = kind.namespaced and shown.namespaced
        rows = [row(resource, wide, namespaced) for resource in resources]
        parts.append(table(header(kind.name, wide, namespaced), rows))
    return "\n\n".join(parts)


def _custom_columns(text: str, shown: Shown) -> str:
    from tortie.cli.custom import columns_of

    parts = []
    for kind, resources in shown.groups():
        columns = columns_of(text, kind)
        rows = [[column.cell(resource) for column in columns] for resource in resources]
        parts.append(table([column.header for column in columns], rows))
    return "\n\n".join(parts)


def _jsonpath(text: str, shown: Shown) -> str:
    from tortie.cli.jsonpath import JsonPathError, parse_template

    try:
        return parse_template(text).render(shown.data())
    except JsonPathError as error:
        raise UserError(str(error)) from None


def _go_template(text: str, shown: Shown) -> str:
    from tortie.cli.gotemplate import TemplateError, Whole, parse

    try:
        return parse(text).render(Whole(shown.data()))
    except TemplateError as error:
        raise UserError(str(error)) from None


_FORMS: dict[str, Callable[[str, Shown], str]] = {
    "table": _table,
    "ps": _table,
    "wide": _wide,
    "name": _names,
    "yaml": _yaml,
    "json": _json,
    "custom-columns": _custom_columns,
    "jsonpath": _jsonpath,
    "go-template": _go_template,
}
