"""A process of its own that writes to a SQLite store: `writer.py PATH PREFIX COUNT`.

Creates COUNT objects (-1: until killed), adds one to the label of the object `counter` after each,
and prints "REVISION NAME" of each create that was acknowledged.
"""

import asyncio
import os
import sys

from tortie.api import GlobalNetworkSet, Key, NetworkSetSpec, ObjectMeta, with_metadata
from tortie.datastore import update_with
from tortie.datastore.sqlite import SqliteDatastore


def one_more(resource: GlobalNetworkSet) -> GlobalNetworkSet:
    count = int(resource.metadata.labels["n"]) + 1
    return with_metadata(resource, labels={"n": str(count)})


async def main(path: str, prefix: str, count: int) -> None:
    store = await SqliteDatastore.open(path)
    number = 0
    while number != count:
        name = f"{prefix}-{number}"
        wanted = GlobalNetworkSet(metadata=ObjectMeta(name=name), spec=NetworkSetSpec())
        made = await store.create(wanted)
        os.write(1, f"{made.metadata.resource_version} {name}\n".encode())
        await update_with(store, Key("GlobalNetworkSet", "", "counter"), one_more)
        number += 1
    await store.close()


asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3])))
