"""Show resources.

  tortie get gnp                      the GlobalNetworkPolicies
  tortie get pods -A -o wide          all pods, with all columns
  tortie get np web -n shop -o yaml   one policy, as a manifest
  tortie get pods,wep -n shop         several kinds

Workload endpoints of Pods and profiles of Namespaces are shown with those that
are stored.
"""

import argparse
import asyncio

from tortie.api import Kind, Resource
from tortie.cli import datastore, selection, show
from tortie.cli.derived import listed
from tortie.cli.errors import UserError
from tortie.cli.terminal import warn
from tortie.datastore import Datastore, Malformed


def arguments(parser: argparse.ArgumentParser) -> None:
    """Kinds and names, and how to show them."""
    parser.add_argument("kinds", metavar="KIND[,KIND…]")
    parser.add_argument("names", metavar="NAME", nargs="*")
    parser.add_argument(
        "-w", "--watch", action="store_true", help="go on with changes as they come"
    )
    selection.add_namespace_options(parser, everywhere=True)
    show.add_option(parser)
    datastore.add_option(parser)


def run(options: argparse.Namespace) -> int:
    """Print what there is. Status 1 where something asked for is not there or can't be read."""
    kinds = selection.kinds_of(options.kinds)
    if options.names and len(kinds) > 1:
        raise UserError("names go with one kind: ask for each kind on its own")
    return asyncio.run(_get(options, kinds))


async def _get(options: argparse.Namespace, kinds: list[Kind]) -> int:
    async with datastore.existing(options.datastore) as store:
        resources: list[Resource] = []
        malformed: list[Malformed] = []
        since: list[int] = []
        for kind in kinds:
            found, broken, revision = await listed(store, kind.name, _namespace(options, kind))
            resources += _named(found, options, kind)
            malformed += [item for item in broken if _asked_for(item.key.name, options)]
            since.append(revision)
        _print(options, kinds, resources)
        for item in malformed:
            warn(f"{item.key} can't be read: {item.reason}")
        if options.watch:
            await _watch(store, options, kinds, min(since))
    return 1 if malformed else 0


def _namespace(options: argparse.Namespace, kind: Kind) -> str | None:
    return None if options.all_namespaces or not kind.namespaced else options.namespace


def _asked_for(name: str, options: argparse.Namespace) -> bool:
    return not options.names or name in options.names


def _named(found: list[Resource], options: argparse.Namespace, kind: Kind) -> list[Resource]:
    """Those of the names asked for. Raises UserError for one that is not there."""
    if not options.names:
        return found
    chosen = [r for r in found if r.metadata.name in options.names]
    for name in options.names:
        if all(resource.metadata.name != name for resource in chosen):
            raise _not_there(name, found, options, kind)
    return chosen


def _not_there(
    name: str, found: list[Resource], options: argparse.Namespace, kind: Kind
) -> UserError:
    from difflib import get_close_matches

    near = get_close_matches(name, [resource.metadata.name for resource in found], n=1)
    namespace = _namespace(options, kind)
    where = f" in namespace {namespace!r}" if namespace else ""
    hint = f"; did you mean {near[0]!r}?" if near else ""
    return UserError(f"there is no {kind.manifest_kind} {name!r}{where}{hint}")


def _print(options: argparse.Namespace, kinds: list[Kind], resources: list[Resource]) -> None:
    text = show.as_text(options.output, kinds, resources, named=len(options.names) == 1)
    if text:
        print(text, flush=True)
    elif not options.watch:
        warn(f"there are no {', '.join(kind.plural for kind in kinds)} {_where(options, kinds)}")


def _where(options: argparse.Namespace, kinds: list[Kind]) -> str:
    """Why nothing may have been found: people forget -A."""
    if options.all_namespaces or not any(kind.namespaced for kind in kinds):
        return f"in {options.datastore}"
    return f"in namespace {options.namespace!r} (-A shows all namespaces)"


async def _watch(
    store: Datastore, options: argparse.Namespace, kinds: list[Kind], since: int
) -> None:
    from tortie.cli.watching import changes

    async for key, kind, resource in changes(store, kinds, since):
        if _namespace(options, kind) in (None, key.namespace) and _asked_for(key.name, options):
            text = show.as_line(options.output, kind, resource) if resource else f"deleted   {key}"
            print(text, flush=True)
