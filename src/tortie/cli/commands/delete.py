"""Remove resources, by name or as files name them.

  tortie delete np web -n shop
  tortie delete -f policy.yaml

What files say beyond kinds, namespaces and names does not matter.
"""

import argparse
import asyncio

from tortie.api import Key, kind_named
from tortie.cli import datastore, outcomes, selection, sources, writing
from tortie.cli.errors import UserError
from tortie.cli.terminal import complain
from tortie.datastore import Datastore


def arguments(parser: argparse.ArgumentParser) -> None:
    """A kind and names, or files."""
    parser.add_argument("kind", metavar="KIND", nargs="?")
    parser.add_argument("names", metavar="NAME", nargs="*")
    selection.add_file_option(parser, required=False)
    selection.add_namespace_options(parser, everywhere=False)
    parser.add_argument(
        "--skip-not-exists", action="store_true", help="what is not there is no failure"
    )
    parser.add_argument("-o", "--output", choices=("text", "json"), default="text")
    datastore.add_option(parser)


def run(options: argparse.Namespace) -> int:
    """Delete; status 1 where anything was not there or could not be."""
    if bool(options.filename) == bool(options.kind):
        raise UserError("say what to delete: KIND NAME…, or -f FILE")
    if options.kind and not options.names:
        raise UserError(f"which {options.kind}? Name one or more")
    return asyncio.run(_delete(options))


async def _delete(options: argparse.Namespace) -> int:
    manifests = sources.read(options.filename, options.namespace)
    keys = [located.resource.key for located in manifests.resources] or _named(options)
    async with datastore.existing(options.datastore) as store:
        done = await delete_keys(store, keys, options.skip_not_exists)
    status = outcomes.report(done, options.output)
    return complain(manifests.errors) or status


async def delete_keys(
    store: Datastore, keys: list[Key], absent_is_fine: bool
) -> list[writing.Outcome]:
    """Delete in an order that is safe for what goes on to work."""
    done = await writing.delete_all(store, keys)
    if absent_is_fine:
        return done
    return [
        outcome._replace(result=writing.FAILED, error="there is none")
        if outcome.result == writing.ABSENT
        else outcome
        for outcome in done
    ]


def _named(options: argparse.Namespace) -> list[Key]:
    if not options.kind:
        return []
    kind = kind_named(options.kind)
    namespace = options.namespace if kind.namespaced else ""
    return [Key(kind.name, namespace, name) for name in options.names]
