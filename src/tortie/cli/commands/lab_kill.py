"""End a lab's node as a power cut would: its agent is killed and its cable cut.

tortie lab kill node-3
tortie lab link node-3 up && tortie lab up     brings it back
"""

import argparse
import asyncio

from tortie.cli.labs import add_name_option, changing


def arguments(parser: argparse.ArgumentParser) -> None:
    """Which one."""
    parser.add_argument("node", metavar="NODE")
    add_name_option(parser)


def run(options: argparse.Namespace) -> int:
    """Do it."""
    asyncio.run(_kill(options))
    print(f"{options.node} is dead")
    return 0


async def _kill(options: argparse.Namespace) -> None:
    async with changing(options.name) as lab:
        await lab.kill(options.node)
