"""From `-f` to resources: files, directories and stdin, read whole and checked before any write."""

import sys
from collections.abc import Iterable, Iterator, Sequence
from difflib import get_close_matches
from pathlib import Path

from tortie.api import KINDS
from tortie.api.manifests import Located, ManifestError, Manifests, read_all
from tortie.cli.errors import UserError
from tortie.cli.selection import DEFAULT_NAMESPACE
from tortie.datastore import Datastore

STDIN = "standard input"
SUFFIXES = (".yaml", ".yml", ".json")


def read(names: Sequence[str], namespace: str) -> Manifests:
    """The resources of all these files, and all errors; `namespace` is for those without one.

    Raises UserError or OSError for a file that can't be read.
    """
    return read_all(_texts(names), namespace)


async def with_known_namespaces(store: Datastore, manifests: Manifests) -> Manifests:
    """The same, with resources of a namespace that nobody has made turned into errors.

    A namespace may be in the datastore or among the resources; `default` is always there.
    """
    listing = await store.list("Namespace")
    known = {DEFAULT_NAMESPACE, *(resource.metadata.name for resource in listing.resources)}
    known |= {r.metadata.name for r, _ in manifests.resources if r.kind == "Namespace"}
    homeless = [located for located in manifests.resources if _is_homeless(located, known)]
    return Manifests(
        tuple(located for located in manifests.resources if located not in homeless),
        (*manifests.errors, *(_unknown_namespace(located, known) for located in homeless)),
    )


def _is_homeless(located: Located, known: Iterable[str]) -> bool:
    resource = located.resource
    return KINDS[resource.kind].namespaced and resource.metadata.namespace not in known


def _unknown_namespace(located: Located, known: Iterable[str]) -> ManifestError:
    name = located.resource.metadata.namespace
    near = get_close_matches(name, known, n=1)
    hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(sorted(known))}"
    return located.place.error("metadata.namespace", f"there is no namespace {name!r}", hint)


def _texts(names: Sequence[str]) -> Iterator[tuple[str, bytes]]:
    for name in names:
        if name == "-":
            yield STDIN, sys.stdin.buffer.read()
        elif Path(name).is_dir():
            yield from _directory(Path(name))
        else:
            yield name, Path(name).read_bytes()


def _directory(path: Path) -> Iterator[tuple[str, bytes]]:
    files = sorted(file for file in path.iterdir() if file.suffix in SUFFIXES and file.is_file())
    if not files:
        raise UserError(f"{path}: no file in it ends with {', '.join(SUFFIXES)}")
    for file in files:
        yield str(file), file.read_bytes()
