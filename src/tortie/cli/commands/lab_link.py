"""Cut the cable of a lab's node, or mend it.

tortie lab link node-3 down
tortie lab link node-3 up
"""

import argparse
import asyncio

from tortie.cli.labs import add_name_option, changing


def arguments(parser: argparse.ArgumentParser) -> None:
    """Whose, and what becomes of it."""
    parser.add_argument("node", metavar="NODE")
    parser.add_argument("state", choices=("up", "down"))
    add_name_option(parser)


def run(options: argparse.Namespace) -> int:
    """Do it."""
    asyncio.run(_link(options))
    print(f"the cable of {options.node} is {'mended' if options.state == 'up' else 'cut'}")
    return 0


async def _link(options: argparse.Namespace) -> None:
    async with changing(options.name) as lab:
        await lab.set_link(options.node, up=options.state == "up")
