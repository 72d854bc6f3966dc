"""Show resources.

  tortie get gnp                      the GlobalNetworkPolicies
  tortie get pods -A -o wide          all pods, with all columns
  tortie get np web -n shop -o yaml   one policy, as a manifest
  tortie get pods,wep -n shop         several kinds
  tortie get np/web tier/ops          several objects
  tortie get -f policy.yaml           what is stored of what a file names

Workload endpoints of Pods and profiles of Namespaces are shown with those that are stored.
"""

import argparse

from tortie.api import Resource
from tortie.cli import configuration, datastore, finding, selection, show
from tortie.cli.errors import UserError
from tortie.cli.terminal import complain, warn
from tortie.datastore import Datastore


def arguments(parser: argparse.ArgumentParser) -> None:
    """Kinds and names, and how to show them."""
    selection.add_words(parser)
    selection.add_file_options(parser, required=False)
    selection.add_namespace_options(parser, everywhere=True)
    selection.add_selector_option(parser)
    show.add_option(parser)
    parser.add_argument(
        "--export", action="store_true", help="without what belongs to this cluster"
    )
    parser.add_argument(
        "-w", "--watch", action="store_true", help="go on with changes as they come"
    )
    configuration.add_options(parser)


def run(options: argparse.Namespace) -> int:
    """Print what there is. Status 1 where something asked for is not there or can't be read."""
    if bool(options.kind) == bool(options.filename):
        raise UserError("say what to get: KIND [NAME…], KIND/NAME…, or -f FILE")
    if options.filename:
        return _get_of_files(options)
    question = finding.Question(
        tuple(selection.targets_of(selection.words_of(options))),
        None if options.all_namespaces else options.namespace,
        options.selector,
    )

    async def get(store: Datastore) -> int:
        return await _get(store, options, question)

    return (datastore.follow if options.watch else datastore.read_from)(options, get)


def _get_of_files(options: argparse.Namespace) -> int:
    from tortie.cli import sources

    if options.watch:
        raise UserError("--watch goes with kinds, not with files")
    manifests = sources.read_options(options)
    keys = [located.resource.key for located in manifests.resources]

    async def get(store: Datastore) -> int:
        return _print(options, await finding.of_keys(store, keys))

    return complain(manifests.errors) | datastore.read_from(options, get)


async def _get(store: Datastore, options: argparse.Namespace, question: finding.Question) -> int:
    found = await finding.answer(store, question)
    status = _print(options, found)
    if not (found.resources or found.faults or options.watch):
        status = await _tell_of_nothing(store, question)
    if options.watch:
        await _watch(store, options, question, found.revision)
    return status


def _print(options: argparse.Namespace, found: finding.Found) -> int:
    resources = list(map(_exported, found.resources)) if options.export else found.resources
    namespaced = getattr(options, "all_namespaces", False) or found.spread
    text = show.as_text(
        options.output, show.Shown(found.kinds, resources, found.is_one, namespaced)
    )
    if text:
        ending = "" if options.output.startswith(("go-template", "jsonpath")) else "\n"
        print(text, end=ending, flush=True)
    for fault in found.faults:
        warn(fault)
    return 1 if found.faults else 0


def _exported(resource: Resource) -> Resource:
    from tortie.cli.merging import exported

    return exported(resource)


async def _tell_of_nothing(store: Datastore, question: finding.Question) -> int:
    """Why nothing was found: people forget -A, and misspell namespaces."""
    kinds = ", ".join(target.kind.plural for target in question.targets)
    if question.namespace is None or not any(t.kind.namespaced for t in question.targets):
        warn(f"there are no {kinds}{' that match' if question.selector else ''}")
        return 0
    from tortie.cli.sources import known_namespaces, namespace_hint

    known = await known_namespaces(store)
    if question.namespace not in known:
        hint = namespace_hint(question.namespace, known)
        raise UserError(f"there is no namespace {question.namespace!r}; {hint}")
    warn(f"there are no {kinds} in namespace {question.namespace!r} (-A shows all namespaces)")
    return 0


async def _watch(
    store: Datastore, options: argparse.Namespace, question: finding.Question, since: int
) -> None:
    from tortie.cli.watching import changes

    kinds = [target.kind for target in question.targets]
    async for key, kind, resource in changes(store, kinds, since):
        if not question.is_about(key, kind, resource):
            continue
        if resource and options.export:
            resource = _exported(resource)
        text = show.as_line(options.output, kind, resource) if resource else f"deleted   {key}"
        print(text, flush=True)
