"""All objects of a kind, page by page, while the next page is already on its way."""

import asyncio
from collections.abc import AsyncGenerator

from tortie.datastore.contract import Listing
from tortie.datastore.kubernetes.client import Client, Refused, Request
from tortie.datastore.kubernetes.decoding import head_of, page_of
from tortie.datastore.kubernetes.errors import is_unknown_resource, not_installed
from tortie.datastore.kubernetes.places import Place

_TURNS = 12  # of the event loop: what a request takes until it is written


async def pages(
    client: Client, place: Place, namespace: str, size: int
) -> AsyncGenerator[Listing, None]:
    """Pages of one snapshot, in the server's order. Raises Gone, NotInstalled and as `send`.

    The next page is asked for before this one is decoded: the server works while we do, and no
    more than two pages are held.
    """
    coming: asyncio.Task[bytes] | None = asyncio.ensure_future(
        _page(client, place, namespace, size)
    )
    try:
        while coming is not None:
            body = await coming
            head = head_of(body, place)
            following = _page(client, place, namespace, size, head.next) if head.next else None
            coming = asyncio.ensure_future(following) if following else None
            if coming is not None:
                for _ in range(_TURNS):  # so that the request goes out before we decode
                    await asyncio.sleep(0)
            page = page_of(body, place)
            del body
            yield Listing(tuple(page.resources), tuple(page.malformed), head.revision)
    finally:
        if coming is not None:
            coming.cancel()
            await asyncio.gather(coming, return_exceptions=True)


async def _page(
    client: Client, place: Place, namespace: str, size: int, following: str = ""
) -> bytes:
    parameters = [("limit", str(size))]
    if following:
        parameters.append(("continue", following))
    path = place.collection(namespace)
    try:
        return await client.send(Request(place.kind, path, tuple(parameters)))
    except Refused as refused:
        if is_unknown_resource(refused.status):
            raise NotInstalled(place, client.access.server) from None
        raise refused.error from None


class NotInstalled(Exception):
    """The server does not have the kind."""

    def __init__(self, place: Place, server: str) -> None:
        super().__init__(place.definition)
        self.error = not_installed(place.kind, place.definition, server)
