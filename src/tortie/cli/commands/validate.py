"""Check files without touching any datastore.

  tortie validate -f policies/ -R

All mistakes of all documents are told, each with its place.
"""

import argparse

from tortie.api.manifests import ManifestError
from tortie.cli import configuration, selection, sources
from tortie.cli.terminal import complain, plural


def arguments(parser: argparse.ArgumentParser) -> None:
    """Files."""
    selection.add_file_options(parser, required=True)
    selection.add_namespace_options(parser, everywhere=False)
    parser.add_argument("-o", "--output", choices=("text", "json"), default="text")
    configuration.add_options(parser)


def run(options: argparse.Namespace) -> int:
    """Check; status 1 where there is any mistake."""
    manifests = sources.read_options(options)
    if options.output == "json":
        import msgspec

        print(
            msgspec.json.format(msgspec.json.encode(list(map(_record, manifests.errors)))).decode()
        )
        return 1 if manifests.errors else 0
    if manifests.resources:
        print(f"{plural(len(manifests.resources), 'resource')} valid")
    return complain(manifests.errors)


def _record(error: ManifestError) -> dict[str, object]:
    fields = ("source", "document", "line", "path", "message", "suggestion")
    return {field: getattr(error, field) or None for field in fields}
