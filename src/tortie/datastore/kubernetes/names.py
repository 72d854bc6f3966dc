"""Which objects there are of a kind that is not ours, as of virtual machines: by name alone."""

from typing import Any

import msgspec
from msgspec import Struct

from tortie.datastore.contract import Unavailable
from tortie.datastore.kubernetes.client import Client, Refused, Request
from tortie.datastore.kubernetes.places import segment

_PAGE = "500"
_NOT_FOUND = 404


class _Meta(Struct, frozen=True):
    name: str = ""
    namespace: str = ""


class _Item(Struct, frozen=True):
    metadata: _Meta


class _ListMeta(Struct, frozen=True, rename={"more": "continue"}):
    more: str = ""


class _List(Struct, frozen=True):
    items: list[_Item] = []
    metadata: _ListMeta = _ListMeta()


_decode = msgspec.json.Decoder(_List).decode


async def names(client: Client, group_version: str, plural: str) -> frozenset[tuple[str, str]]:
    """Namespace and name of each; none where the server has no such kind. Raises DatastoreError."""
    group, _, version = group_version.partition("/")
    path = f"/apis/{segment(group)}/{segment(version)}/{segment(plural)}"
    found: set[tuple[str, str]] = set()
    more = ""
    while True:
        parameters: tuple[Any, ...] = (("limit", _PAGE), *((("continue", more),) if more else ()))
        try:
            page = _decode(await client.send(Request(plural, path, parameters)))
        except Refused as refused:
            if refused.status.code == _NOT_FOUND:
                return frozenset()
            raise refused.error from None
        except msgspec.DecodeError as error:
            raise Unavailable(f"the list of {plural} can't be read: {error}") from None
        found.update((one.metadata.namespace, one.metadata.name) for one in page.items)
        more = page.metadata.more
        if not more:
            return frozenset(found)
