"""A process that uses a cluster: `client.py write|watch|read ENDPOINTS ARGUMENT`.

`write PREFIX`: until its input ends, several callers create objects and add one to the object
`counter` after each. Prints "created REVISION NAME" and "counted" for what was acknowledged,
"unknown NAME" and "uncounted" for what may or may not have been done.
`watch REVISION`: prints "put REVISION NAME VALUE" for each change until the object `end` is there;
"listed" where its history is gone.
`read -`: prints "object REVISION NAME VALUE" for each object.
"""

import asyncio
import sys

from tortie.api import GlobalNetworkSet, Key, NetworkSetSpec, ObjectMeta, Resource, with_metadata
from tortie.datastore import DatastoreError, Gone, Put, update_with
from tortie.datastore.etcd import EtcdDatastore
from tortie.datastore.settings import EtcdSettings

KIND, CALLERS = "GlobalNetworkSet", 4


def tell(*words: object) -> None:
    print(*words, flush=True)


def made(name: str, value: int = 0) -> GlobalNetworkSet:
    metadata = ObjectMeta(name=name, labels={"n": str(value)})
    return GlobalNetworkSet(metadata=metadata, spec=NetworkSetSpec())


def one_more(resource: Resource) -> Resource:
    return with_metadata(resource, labels={"n": str(int(resource.metadata.labels["n"]) + 1)})


async def write(store: EtcdDatastore, prefix: str) -> None:
    ended = asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    await asyncio.gather(*(_caller(store, f"{prefix}-{n}", ended) for n in range(CALLERS)))


async def _caller(store: EtcdDatastore, prefix: str, ended: "asyncio.Future[str]") -> None:
    number = 0
    while not ended.done():
        name = f"{prefix}-{number}"
        number += 1
        try:
            found = await store.create(made(name))
            tell("created", found.metadata.resource_version, name)
        except DatastoreError as error:
            tell("unknown", name, error)
        try:
            await update_with(store, Key(KIND, "", "counter"), one_more)
            tell("counted")
        except DatastoreError as error:
            tell("uncounted", error)


async def watch(store: EtcdDatastore, since: str) -> None:
    revision = int(since)
    tell("watching")
    while True:
        try:
            async for batch in store.watch([KIND], revision):
                for event in batch.events:
                    assert isinstance(event, Put)
                    metadata = event.resource.metadata
                    tell("put", event.revision, metadata.name, metadata.labels["n"])
                    if metadata.name == "end":
                        return
                revision = batch.revision
        except Gone:
            tell("listed")
            revision = (await store.list(KIND)).revision
        except DatastoreError:
            await asyncio.sleep(0.1)  # as every user of a watch: again, from where it was


async def read(store: EtcdDatastore, _: str) -> None:
    for found in (await store.list(KIND)).resources:
        metadata = found.metadata
        tell("object", metadata.resource_version, metadata.name, metadata.labels["n"])


async def create(store: EtcdDatastore, name: str) -> None:
    tell("created", (await store.create(made(name))).metadata.resource_version, name)


ROLES = {"write": write, "watch": watch, "read": read, "create": create}


async def main(role: str, endpoints: str, argument: str) -> None:
    store = await EtcdDatastore.open(EtcdSettings(endpoints=tuple(endpoints.split(","))))
    await ROLES[role](store, argument)
    await store.close()


asyncio.run(main(*sys.argv[1:]))
