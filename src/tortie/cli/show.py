"""Resources as tables, YAML, JSON and names."""

import argparse
from collections.abc import Sequence

from tortie.api import KINDS, Kind, Resource, to_manifest
from tortie.cli.columns import header, row
from tortie.cli.terminal import table

FORMATS = ("table", "wide", "ps", "name", "yaml", "json")  # "ps" is calicoctl's word for a table


def add_option(parser: argparse.ArgumentParser) -> None:
    """`-o`."""
    parser.add_argument("-o", "--output", choices=FORMATS, default="table")


def as_text(output: str, kinds: Sequence[Kind], resources: Sequence[Resource], named: bool) -> str:
    """What `get` prints. `named`: one object was asked for by name, so it is no list.

    Tables have one part for each kind that has objects.
    """
    if output in ("yaml", "json"):
        manifests = [to_manifest(resource) for resource in resources]
        one = manifests[0] if named and len(manifests) == 1 else None
        return _dump(output, one or {"apiVersion": "v1", "kind": "List", "items": manifests})
    if output == "name":
        return "\n".join(map(name_of, resources))
    parts = [
        _table(kind, [r for r in resources if r.kind == kind.name], output == "wide")
        for kind in kinds
    ]
    return "\n\n".join(filter(None, parts))


def as_line(output: str, kind: Kind, resource: Resource) -> str:
    """One changed resource, as `get --watch` shows it: a line, or a document."""
    if output in ("yaml", "json"):
        return "---\n" * (output == "yaml") + as_text(output, [kind], [resource], named=True)
    if output == "name":
        return name_of(resource)
    return "   ".join(("changed", *row(resource, output == "wide", kind.namespaced)))


def name_of(resource: Resource) -> str:
    """ "networkpolicies/shop/web": its plural, its namespace, its name."""
    parts = (KINDS[resource.kind].plural, resource.metadata.namespace, resource.metadata.name)
    return "/".join(filter(None, parts))


def _table(kind: Kind, resources: Sequence[Resource], wide: bool) -> str:
    if not resources:
        return ""
    rows = (row(resource, wide, kind.namespaced) for resource in resources)
    return table(header(kind.name, wide, kind.namespaced), rows)


def _dump(output: str, value: object) -> str:
    if output == "json":
        import msgspec

        return msgspec.json.format(msgspec.json.encode(value), indent=2).decode()
    import yaml

    text: str = yaml.dump(
        value, Dumper=yaml.CSafeDumper, sort_keys=False, default_flow_style=False, width=100
    )
    return text.rstrip("\n")
