"""Pack what helps to find out what is wrong with this node: its kernel's state, its daemons' words,
its configuration and logs. Keys, tokens and passwords are taken out.

Run it on the node, as root. Nothing is changed and nothing is sent anywhere.
"""

import argparse
import contextlib
import io
from typing import TYPE_CHECKING

from tortie.cli.asking import ask, run_dir_of
from tortie.cli.bundling import add_folder_option, bundle

if TYPE_CHECKING:
    from tortie.diagnostics.items import Item


def arguments(parser: argparse.ArgumentParser) -> None:
    """Where it goes, and whose daemons are asked."""
    add_folder_option(parser)
    parser.add_argument("--run-dir", metavar="DIR", help="the daemons' (TORTIE_RUN_DIR)")


def run(options: argparse.Namespace) -> int:
    """Make it. Raises UserError."""
    from tortie.diagnostics.node import node_items

    items: list[Item] = list(node_items(run_dir_of(options.run_dir), ask, _check()))
    return bundle(options, "tortie-node-diags", items)


def _check() -> str:
    """What `tortie node check` says, as JSON. Not in a thread: it takes standard output."""
    from tortie.cli.main import main

    said = io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.suppress(SystemExit):
        main(["node", "check", "-o", "json"])
    return said.getvalue()
