"""`create`, `apply` and `replace`: the resources of files, each written as planned."""

import argparse
from collections.abc import Mapping

from tortie.api import Resource
from tortie.api.manifests import Manifests
from tortie.cli import configuration, datastore, outcomes, selection, sources, writing
from tortie.cli.checking import fitting
from tortie.cli.terminal import complain
from tortie.datastore import Datastore


def arguments(parser: argparse.ArgumentParser) -> None:
    """Files, and where their resources go."""
    selection.add_file_options(parser, required=True)
    selection.add_namespace_options(parser, everywhere=False)
    selection.add_change_options(parser)
    configuration.add_options(parser)


def run(
    options: argparse.Namespace,
    plan: writing.Planner[Resource],
    faults: Mapping[str, str],
) -> int:
    """Write each resource; status 1 where any document or resource could not be.

    `faults` are the results that count as failures, and their reasons.
    """
    manifests = sources.read_options(options)

    async def write(store: Datastore) -> int:
        return await _write(store, options, manifests, plan, faults)

    return datastore.write_to(options, write)


async def _write(
    store: Datastore,
    options: argparse.Namespace,
    manifests: Manifests,
    plan: writing.Planner[Resource],
    faults: Mapping[str, str],
) -> int:
    manifests = await fitting(store, manifests, plan)
    carry_out = writing.preview if options.dry_run else writing.carry_out
    done = await carry_out(store, (located.resource for located in manifests.resources), plan)
    status = outcomes.report(outcomes.faulted(done, faults), options.output, options.dry_run)
    return complain(manifests.errors) or status
