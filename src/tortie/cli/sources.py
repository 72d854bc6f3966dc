"""From `-f` to resources: files, directories and stdin, read whole and checked before any write."""

import argparse
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from tortie.api import KINDS
from tortie.api.manifests import Located, ManifestError, Manifests, read_all
from tortie.api.problems import likeliest
from tortie.cli.errors import UserError
from tortie.cli.selection import DEFAULT_NAMESPACE
from tortie.datastore import Datastore

STDIN = "standard input"
SUFFIXES = (".yaml", ".yml", ".json")


class Search(NamedTuple):
    """Which files of a directory are read, and whether finding nothing is fine."""

    pattern: str = "*"
    skip_empty: bool = False


FLAT = Search()


def read(names: Sequence[str], namespace: str, search: Search = FLAT) -> Manifests:
    """The resources of all these files, and all errors; `namespace` is for those without one.

    Raises UserError or OSError for a file that can't be read.
    """
    found = list(texts(names, search))
    manifests = read_all(found, namespace)
    return manifests if search.skip_empty else without(manifests, _empty(found, manifests))


def read_options(options: argparse.Namespace) -> Manifests:
    """The same, for the options `-f`, `-R`, `--skip-empty` and `-n`."""
    search = Search("**/*" if options.recursive else "*", options.skip_empty)
    return read(options.filename, options.namespace, search)


def without(manifests: Manifests, errors: Iterable[ManifestError]) -> Manifests:
    """The same with more errors: nothing of a document with an error is left."""
    errors = tuple(errors)
    broken = {(error.source, error.document) for error in errors}
    return Manifests(
        tuple(
            located
            for located in manifests.resources
            if (located.place.source, located.place.document) not in broken
        ),
        (*manifests.errors, *errors),
    )


async def with_known_namespaces(store: Datastore, manifests: Manifests) -> Manifests:
    """The same, with errors for resources of a namespace that nobody has made.

    A namespace may be in the datastore or among the resources; `default` is always there.
    """
    known = await known_namespaces(store)
    known |= {r.metadata.name for r, _ in manifests.resources if r.kind == "Namespace"}
    homeless = (located for located in manifests.resources if _is_homeless(located, known))
    return without(manifests, [_unknown_namespace(located, known) for located in homeless])


async def known_namespaces(store: Datastore) -> set[str]:
    """All that there are; `default` is always there."""
    listing = await store.list("Namespace")
    return {DEFAULT_NAMESPACE, *(resource.metadata.name for resource in listing.resources)}


def namespace_hint(name: str, known: Iterable[str]) -> str:
    """The namespace that may have been meant, or all that there are."""
    near = likeliest(name, known)
    return f"did you mean {near!r}?" if near else f"there are {', '.join(sorted(known))}"


def _is_homeless(located: Located, known: Iterable[str]) -> bool:
    resource = located.resource
    return KINDS[resource.kind].namespaced and resource.metadata.namespace not in known


def _unknown_namespace(located: Located, known: Iterable[str]) -> ManifestError:
    name = located.resource.metadata.namespace
    message = f"there is no namespace {name!r}"
    return located.place.error("metadata.namespace", message, namespace_hint(name, known))


def _empty(texts: Iterable[tuple[str, bytes]], manifests: Manifests) -> Iterator[ManifestError]:
    """An error for each text that gave neither a resource nor an error."""
    sources = {located.place.source for located in manifests.resources}
    sources |= {error.source for error in manifests.errors}
    for source, _ in texts:
        if source not in sources:
            yield ManifestError(
                source=source,
                document=1,
                message="there is no resource in it",
                suggestion="--skip-empty passes over it",
            )


def texts(names: Sequence[str], search: Search) -> Iterator[tuple[str, bytes]]:
    """The name and content of each file. Raises UserError or OSError."""
    for name in names:
        if name == "-":
            yield STDIN, sys.stdin.buffer.read()
        elif Path(name).is_dir():
            yield from _directory(Path(name), search)
        else:
            yield name, Path(name).read_bytes()


def _directory(path: Path, search: Search) -> Iterator[tuple[str, bytes]]:
    found = path.glob(search.pattern)
    files = sorted(file for file in found if file.suffix in SUFFIXES and file.is_file())
    if not files and not search.skip_empty:
        raise UserError(f"{path}: no file in it ends with {', '.join(SUFFIXES)}")
    for file in files:
        yield str(file), file.read_bytes()
