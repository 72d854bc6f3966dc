"""An API server, for whole objects of any kind."""

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import quote

from tortie.datastore.contract import NotFound
from tortie.datastore.kubernetes.client import Client, Refused, Request
from tortie.datastore.kubernetes.opened import opened_client
from tortie.datastore.settings import KubernetesSettings
from tortie.install.cluster.places import Place, place_of
from tortie.install.manifests.objects import Object

MANAGER = "tortie-install"
_APPLY = "application/apply-patch+yaml"
_MERGE = "application/merge-patch+json"
_PAGE = "500"


class Server:
    """One API server, one identity. All raise DatastoreError, in words for people."""

    def __init__(self, client: Client) -> None:
        self._client = client

    @property
    def address(self) -> str:
        """Where it is."""
        return self._client.access.server

    async def version(self) -> str:
        """What it calls itself, such as "v1.30.4". Raises DatastoreError."""
        return str((await self._get("its version", "/version")).get("gitVersion", ""))

    async def apply(self, made: Object, *, try_only: bool = False) -> Object:
        """Make an object be as it is made, and ours (server-side apply, strictly checked)."""
        parameters = (
            ("fieldManager", MANAGER),
            ("force", "true"),
            ("fieldValidation", "Strict"),
            *((("dryRun", "All"),) if try_only else ()),
        )
        path, about = _path(made), _about(made)
        body = json.dumps(made).encode()
        return await self._send(Request(about, path, parameters, "PATCH", body, _APPLY))

    async def get(self, made: Object) -> Object | None:
        """The object as it is now; None where there is none."""
        try:
            return await self._get(_about(made), _path(made))
        except NotFound:
            return None

    async def list(self, place: Place, labels: Mapping[str, str]) -> list[Object]:
        """All objects of a kind with these labels, in all namespaces; none where it is unknown.

        A label without a value: whatever its value is.
        """
        chosen = ",".join(f"{name}={value}" if value else name for name, value in labels.items())
        found: list[Object] = []
        token = ""
        while True:
            parameters = (("limit", _PAGE), ("labelSelector", chosen), ("continue", token))
            given = tuple(each for each in parameters if each[1])
            try:
                page = await self._send(Request(place.kind, place.collection, given))
            except NotFound:
                return found
            head = {"apiVersion": place.version, "kind": place.kind}
            found += [{**head, **each} for each in page.get("items") or ()]
            token = page["metadata"].get("continue", "")
            if not token:
                return found

    async def delete(self, made: Object) -> bool:
        """Remove an object and, in the background, what it owns; whether there was one."""
        body = b'{"propagationPolicy":"Background"}'
        try:
            await self._send(Request(_about(made), _path(made), (), "DELETE", body))
        except NotFound:
            return False
        return True

    async def change(self, made: Object, patch: Object, place: Place | None = None) -> None:
        """Merge a patch into an object (of a `place` of its own); nothing where there is none."""
        body, path = json.dumps(patch).encode(), _path(made, place)
        try:
            await self._send(Request(_about(made), path, (), "PATCH", body, _MERGE))
        except NotFound:
            return

    async def _get(self, about: str, path: str) -> dict[str, Any]:
        return await self._send(Request(about, path))

    async def _send(self, request: Request) -> dict[str, Any]:
        try:
            answer = await self._client.send(request)
        except Refused as refused:
            raise refused.error from None
        found: dict[str, Any] = json.loads(answer) if answer else {}
        return found


@asynccontextmanager
async def opened(settings: KubernetesSettings) -> AsyncIterator[Server]:
    """The server that the settings name, until the end of the block."""
    async with opened_client(settings) as client:
        yield Server(client)


def _path(made: Object, place: Place | None = None) -> str:
    place, metadata = place or place_of(made), made["metadata"]
    return f"{place.within(metadata.get('namespace', ''))}/{quote(metadata['name'], safe='')}"


def _about(made: Object) -> str:
    metadata = made["metadata"]
    within = f"{metadata['namespace']}/" if metadata.get("namespace") else ""
    return f"{made['kind']}({within}{metadata['name']})"
