"""The cluster that a question is about: of a datastore, of files, or of files over either."""

import argparse
from collections.abc import Iterable, Sequence

from tortie.api import Resource
from tortie.api.manifests import read_all
from tortie.cli import configuration, datastore, selection, sources
from tortie.cli.errors import UserError
from tortie.cli.others import Others
from tortie.cli.terminal import complain, warn
from tortie.datastore import Datastore
from tortie.trace.cluster import Cluster, cluster_of
from tortie.trace.completing import completed


def add_options(parser: argparse.ArgumentParser) -> None:
    """Files in place of a datastore, and which datastore."""
    parser.add_argument(
        "-f",
        "--filename",
        metavar="FILE",
        action="append",
        default=[],
        help="manifests instead of a datastore: a file, a directory with all in it, or -",
    )
    selection.add_namespace_options(parser, everywhere=False)
    configuration.add_options(parser)


def cluster_from(options: argparse.Namespace) -> Cluster:
    """The cluster of the files, or else of the datastore. Raises UserError, DatastoreError."""
    if options.filename:
        return built(completed(read(options.filename, options.namespace)))
    return built(stored(options))


def stored(options: argparse.Namespace) -> list[Resource]:
    """All that the datastore has and policy cares about. Raises UserError, DatastoreError."""
    found: list[Resource] = []

    async def gather(store: Datastore) -> int:
        found.extend(await _everything(store))
        return 0

    datastore.read_from(options, gather)
    return found


def built(resources: Iterable[Resource]) -> Cluster:
    """The cluster of these resources; what can't be used in it is told."""
    cluster = cluster_of(resources)
    for warning in cluster.warnings:
        warn(warning)
    return cluster


def read(names: Sequence[str], namespace: str) -> list[Resource]:
    """What files hold that policy cares about, directories included whole.

    Raises UserError after saying what is wrong in them.
    """
    search = sources.Search("**/*", skip_empty=True)
    others = Others(namespace)
    manifests = read_all(list(sources.texts(names, search)), namespace, others.take)
    if complain([*manifests.errors, *others.errors]):
        raise UserError("the files have mistakes: nothing was judged")
    resources = [located.resource for located in manifests.resources]
    return [*resources, *others.pods({resource.key for resource in resources})]


async def _everything(store: Datastore) -> list[Resource]:
    from tortie.sync import FELIX_KINDS

    found: list[Resource] = []
    for kind in FELIX_KINDS:
        listing = await store.list(kind)
        found += listing.resources
        for malformed in listing.malformed:
            warn(f"{malformed.key} can't be read and is left out: {malformed.reason}")
    return found


def file_text(path: str) -> str:
    """The text of a file, or of stdin for "-". Raises UserError, OSError."""
    try:
        return "".join(text.decode() for _, text in sources.texts([path], sources.FLAT))
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: it is no UTF-8 text: {error}") from None
