"""Pack what helps to find out what is wrong with the cluster: every resource, what nodes say of
themselves, `tortie status`, `tortie ipam check`, and on Kubernetes the daemons' pods and logs.

Keys, tokens and passwords are taken out; Secrets are not read. Nothing is sent anywhere.
"""

import argparse
import contextlib
import io
from typing import TYPE_CHECKING, Any

from tortie.cli import configuration, datastore
from tortie.cli.bundling import add_folder_option, bundle

if TYPE_CHECKING:
    from tortie.datastore import Datastore
    from tortie.diagnostics.items import Item


def arguments(parser: argparse.ArgumentParser) -> None:
    """Where it goes, and of which cluster."""
    add_folder_option(parser)
    configuration.add_options(parser)


def run(options: argparse.Namespace) -> int:
    """Make it. Raises UserError, DatastoreError."""
    chosen = configuration.chosen_datastore(options)
    items: list[Item] = []

    async def look(store: "Datastore") -> int:
        items.extend(await _items(store, chosen.settings))
        return 0

    datastore.look_into(options, look)
    items.extend([_said(options, "status"), _said(options, "ipam", "check")])
    return bundle(options, "tortie-cluster-diags", items)


async def _items(store: "Datastore", settings: Any) -> list["Item"]:
    from tortie.datastore import DatastoreError
    from tortie.datastore.settings import KubernetesSettings
    from tortie.diagnostics.cluster import cluster_items, raising
    from tortie.diagnostics.items import Item
    from tortie.reports import opened_shelf

    async with opened_shelf(settings) as shelf:
        items = await cluster_items(store, await shelf.all())
    if isinstance(settings, KubernetesSettings):
        from tortie.diagnostics.pods import pod_items

        try:
            items += await pod_items(settings)
        except DatastoreError as problem:
            items.append(Item("pods/pods.json", raising(str(problem))))
    return items


def _said(options: argparse.Namespace, *words: str) -> "Item":
    """What another command says of the same cluster: now, since it takes standard output."""
    from tortie.diagnostics.cluster import saying
    from tortie.diagnostics.items import Item

    return Item("-".join(words), saying(_output([*words, *_same_cluster(options)])))


def _same_cluster(options: argparse.Namespace) -> list[str]:
    given = {
        "--datastore": options.datastore,
        "--config": options.config,
        "--context": options.context,
    }
    return [word for name, value in given.items() if value for word in (name, value)]


def _output(words: list[str]) -> str:
    from tortie.cli.main import main

    said = io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        status = main(words)
    return f"{said.getvalue()}[exit status {status}]\n"
