"""Run a command inside a workload, a node, an outside host or the router.

  tortie lab exec shop/web-1 -- ip route
  tortie lab exec node-1 -- nft list ruleset

It sees that namespace's network, and everything else as outside.
"""

import argparse
import asyncio
import os

from tortie.cli.errors import UserError
from tortie.cli.labs import add_name_option, using
from tortie.linux.namespaces import in_namespace, path_of


def arguments(parser: argparse.ArgumentParser) -> None:
    """Where, and what."""
    parser.usage = "%(prog)s [-h] [--name NAME] WORKLOAD -- COMMAND [ARGUMENT ...]"
    parser.add_argument("where", metavar="WORKLOAD")
    parser.add_argument("command", metavar="-- COMMAND", nargs="+")
    add_name_option(parser)


def run(options: argparse.Namespace) -> int:
    """Become the command; its exit status is ours."""
    namespace = asyncio.run(_namespace(options.name, options.where))
    # After plain `su`, a person's PATH has none of what shows a network.
    path = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin"])
    with in_namespace(path_of(namespace)):
        try:
            os.execvpe(options.command[0], options.command, {**os.environ, "PATH": path})
        except FileNotFoundError:
            raise UserError(f"there is no command {options.command[0]!r} on this machine") from None


async def _namespace(name: str, where: str) -> str:
    async with using(name) as lab:
        return lab.namespace_of(where)
