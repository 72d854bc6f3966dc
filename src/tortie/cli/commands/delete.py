"""Remove resources, by name or as files name them.

  tortie delete np web -n shop
  tortie delete np/web gnp/deny tier/ops
  tortie delete np --selector "team == 'shop'" -n shop
  tortie delete -f policy.yaml

What files say beyond kinds, namespaces and names does not matter. A Node takes
its stored endpoints along, and the addresses that only it can have.
"""

import argparse

from tortie.api import Key
from tortie.cli import configuration, datastore, outcomes, selection, sources, writing
from tortie.cli.errors import UserError
from tortie.cli.terminal import complain
from tortie.datastore import Datastore


def arguments(parser: argparse.ArgumentParser) -> None:
    """Kinds and names, or files."""
    selection.add_words(parser)
    selection.add_file_options(parser, required=False)
    selection.add_namespace_options(parser, everywhere=False)
    selection.add_selector_option(parser)
    parser.add_argument(
        "--skip-not-exists", action="store_true", help="what is not there is no failure"
    )
    selection.add_change_options(parser)
    configuration.add_options(parser)


def run(options: argparse.Namespace) -> int:
    """Delete; status 1 where anything was not there or could not be."""
    if bool(options.filename) == bool(options.kind):
        raise UserError("say what to delete: KIND NAME…, or -f FILE")
    if options.selector and options.filename:
        raise UserError("--selector goes with KIND, not with files")
    manifests = sources.read_options(options)
    targets = selection.targets_of(selection.words_of(options))
    keys = [located.resource.key for located in manifests.resources]
    if not options.selector:
        keys += selection.keys_of(targets, options.namespace)

    async def delete(store: Datastore) -> int:
        chosen = await _selected(store, options, targets) if options.selector else keys
        remove = writing.preview_deletion if options.dry_run else writing.delete_all
        done = await remove(store, chosen)
        faults = {} if options.skip_not_exists else outcomes.NO_SUCH
        return outcomes.report(outcomes.faulted(done, faults), options.output, options.dry_run)

    kinds = {key.kind for key in keys} | {target.kind.name for target in targets}
    # What gives back addresses needs an event loop.
    run_on = datastore.follow if kinds & writing.RETIRED else datastore.read_from
    return complain(manifests.errors) | run_on(options, delete)


async def _selected(
    store: Datastore, options: argparse.Namespace, targets: list[selection.Target]
) -> list[Key]:
    """What of the targets the selector matches."""
    keys: list[Key] = []
    for target in targets:
        namespace = options.namespace if target.kind.namespaced else None
        listing = await store.list(target.kind.name, namespace)
        found = selection.selected(listing.resources, options.selector)
        keys += [resource.key for resource in found if target.wants(resource.metadata.name)]
    return keys
