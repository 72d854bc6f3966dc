"""Make resources be as the files say: create those that are not there, replace those that differ.

  tortie apply -f policy.yaml -f more/     files, directories
  tortie get np -o yaml | tortie apply -f -
  tortie apply -f policy.yaml --dry-run    say what would happen

A document with a mistake is not applied, and its mistake is told; the others are.
"""

import argparse
import asyncio

from tortie.cli import datastore, outcomes, selection, sources, writing
from tortie.cli.terminal import complain


def arguments(parser: argparse.ArgumentParser) -> None:
    """Files, and where to apply them."""
    selection.add_file_option(parser, required=True)
    selection.add_namespace_options(parser, everywhere=False)
    parser.add_argument("--dry-run", action="store_true", help="say what would happen, no more")
    parser.add_argument("-o", "--output", choices=("text", "json"), default="text")
    datastore.add_option(parser)


def run(options: argparse.Namespace) -> int:
    """Apply; status 1 where any document or resource could not be."""
    return asyncio.run(_apply(options))


async def _apply(options: argparse.Namespace) -> int:
    manifests = sources.read(options.filename, options.namespace)
    write = writing.preview_all if options.dry_run else writing.apply_all
    async with datastore.opened(options.datastore) as store:
        manifests = await sources.with_known_namespaces(store, manifests)
        done = await write(store, (located.resource for located in manifests.resources))
    status = outcomes.report(done, options.output, options.dry_run)
    return complain(manifests.errors) or status
