"""Processes of their own that write to a SQLite store.

`writer.py PATH PREFIX COUNT` creates COUNT objects (-1: until killed), adds one to the label of the
object `counter` after each, and prints "REVISION NAME" of each create that was acknowledged.

`writer.py PATH --nursery` does that again and again in processes that it forks, which start at
once: for each prefix that it reads it prints "PID pid", what the writer prints, and "END end" when
that is gone.
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


def tell(number: int, what: str) -> None:
    os.write(1, f"{number} {what}\n".encode())


async def main(path: str, prefix: str, count: int) -> None:
    store = await SqliteDatastore.open(path)
    number = 0
    while number != count:
        name = f"{prefix}-{number}"
        wanted = GlobalNetworkSet(metadata=ObjectMeta(name=name), spec=NetworkSetSpec())
        made = await store.create(wanted)
        tell(int(made.metadata.resource_version), name)
        await update_with(store, Key("GlobalNetworkSet", "", "counter"), one_more)
        number += 1
    await store.close()


def nursery(path: str) -> None:
    for line in sys.stdin:
        child = os.fork()
        if not child:
            asyncio.run(main(path, line.strip(), -1))
        tell(child, "pid")
        os.waitpid(child, 0)
        tell(child, "end")


if sys.argv[2] == "--nursery":
    nursery(sys.argv[1])
else:
    asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3])))
