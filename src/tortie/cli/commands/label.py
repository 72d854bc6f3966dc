"""Set and remove labels of stored resources.

tortie label nodes node-1 rack=a zone=b
tortie label pods web -n shop app=shop --overwrite
tortie label nodes node-1 rack-           remove it
tortie label nodes node-1 rack --remove   the same, as calicoctl writes it
tortie label pods -A --selector "app == 'web'" tier=front
"""

import argparse
from collections.abc import Mapping
from typing import Any, NamedTuple

from tortie.api import Key
from tortie.cli import configuration, datastore, outcomes, selection
from tortie.cli.editing import edit_all, editing
from tortie.cli.errors import UserError
from tortie.datastore import Datastore


class Labels(NamedTuple):
    """Labels to set and to remove; `overwrite`: also where there is another value."""

    wanted: Mapping[str, str]
    unwanted: tuple[str, ...]
    overwrite: bool

    def edited(self, manifest: dict[str, Any]) -> Mapping[str, Any]:
        """A manifest with the labels. Raises UserError where a label has another value."""
        labels = dict(manifest["metadata"].get("labels", {}))
        for key, value in self.wanted.items():
            if not self.overwrite and labels.get(key, value) != value:
                raise UserError(f"label {key} is {labels[key]!r} already; --overwrite changes it")
        for key in self.unwanted:
            labels.pop(key, None)
        metadata = {**manifest["metadata"], "labels": {**labels, **self.wanted}}
        return {**manifest, "metadata": metadata}


def arguments(parser: argparse.ArgumentParser) -> None:
    """What to label, and how."""
    selection.add_words(parser, "NAME|KEY=VALUE|KEY-")
    parser.add_argument(
        "--overwrite", action="store_true", help="change labels that have another value"
    )
    parser.add_argument(
        "--remove", action="store_true", help="the last word is a label to be removed"
    )
    parser.add_argument("--all", action="store_true", help="all objects of the kind")
    selection.add_namespace_options(parser, everywhere=True)
    selection.add_selector_option(parser)
    selection.add_change_options(parser)
    configuration.add_options(parser)


def run(options: argparse.Namespace) -> int:
    """Label; status 1 where anything was not there or has another value."""
    if not options.kind:
        raise UserError("say what to label: KIND NAME… KEY=VALUE…")
    objects, labels = _understood(options)
    targets = selection.targets_of(objects)
    several = options.all or options.selector or options.all_namespaces
    if several and any(target.names for target in targets):
        raise UserError("name objects, or choose them by --all, -A or --selector: not both")
    keys = [] if several else selection.keys_of(targets, options.namespace)
    plan = editing(labels.edited)

    async def change(store: Datastore) -> int:
        chosen = await _chosen(store, options, targets) if several else keys
        done = await edit_all(store, chosen, plan, options.dry_run)
        done = outcomes.faulted(done, outcomes.NO_SUCH)
        return outcomes.report(done, options.output, options.dry_run)

    return datastore.read_from(options, change)


async def _chosen(
    store: Datastore, options: argparse.Namespace, targets: list[selection.Target]
) -> list[Key]:
    keys: list[Key] = []
    for kind, _ in targets:
        everywhere = options.all_namespaces or not kind.namespaced
        listing = await store.list(kind.name, None if everywhere else options.namespace)
        found = selection.selected(listing.resources, options.selector)
        keys += [resource.key for resource in found]
    return keys


def _understood(options: argparse.Namespace) -> tuple[list[str], Labels]:
    """The words that name objects, and the labels."""
    words = selection.words_of(options)
    removed = [words.pop()] if options.remove else []
    changes = [word for word in words if "=" in word or word.endswith("-")]
    wanted = dict(word.split("=", 1) for word in changes if "=" in word)
    unwanted = (*removed, *(word.removesuffix("-") for word in changes if "=" not in word))
    if not changes and not removed:
        raise UserError("say which labels: KEY=VALUE to set one, KEY- to remove one")
    if both := sorted(wanted.keys() & set(unwanted)):
        raise UserError(f"label {both[0]} can't be set and removed at once")
    objects = [word for word in words if word not in changes]
    return objects, Labels(wanted, unwanted, options.overwrite)
