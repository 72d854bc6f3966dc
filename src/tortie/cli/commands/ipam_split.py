"""Make one pool into several smaller ones of one size.

tortie ipam split 4 --name default-ipv4-ippool
tortie ipam split 2 --cidr 10.0.0.0/16

The new ones, split-NAME-0 and so on, have all its settings; workloads keep their addresses, and no
moment is without a pool. Lock the datastore first: a pod that asks for the old pool by its name
would not find it.
"""

import argparse
from typing import TYPE_CHECKING

from tortie.cli import configuration, datastore
from tortie.cli.errors import UserError
from tortie.cli.terminal import table

if TYPE_CHECKING:
    from tortie.api import IPPool
    from tortie.datastore import Datastore


def arguments(parser: argparse.ArgumentParser) -> None:
    """Which pool, and into how many."""
    parser.add_argument("number", metavar="NUMBER", type=int, help="how many: 2, 4, 8 …")
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("--name", metavar="POOL", help="the pool, by its name")
    which.add_argument("--cidr", metavar="CIDR", help="the pool, by its CIDR")
    configuration.add_options(parser)


def run(options: argparse.Namespace) -> int:
    """Split it. Raises UserError, IpamError, DatastoreError."""

    async def work(store: "Datastore") -> int:
        from tortie.datastore.cluster import Locked, check_unlocked
        from tortie.ipam.splitting import split_pool

        pool = await _pool(store, options)
        try:
            await check_unlocked(store)
        except Locked:
            pass
        else:
            raise UserError("lock the datastore first: tortie datastore migrate lock")
        parts = await split_pool(store, pool, options.number)
        rows = [(part.metadata.name, part.spec.cidr) for part in parts]
        print(table(("NAME", "CIDR"), rows))
        print("next: tortie datastore migrate unlock")
        return 0

    return datastore.read_from(options, work)


async def _pool(store: "Datastore", options: argparse.Namespace) -> "IPPool":
    from tortie.api import IPPool

    pools = [one for one in (await store.list("IPPool")).resources if isinstance(one, IPPool)]
    for pool in pools:
        if options.name == pool.metadata.name or options.cidr == pool.spec.cidr:
            return pool
    known = ", ".join(f"{one.metadata.name} ({one.spec.cidr})" for one in pools) or "none"
    raise UserError(f"there is no IPPool {options.name or options.cidr}; there are: {known}")
