"""A seat that one process of all has: a Lease, as Kubernetes' own components elect their leaders.

Clocks of machines need not agree: who wants the seat waits until its record has stood unchanged for
as long as it says, by their own clock, from when they first saw it so.
"""

import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from tortie.datastore.contract import AlreadyExists, Conflict, DatastoreError, NotFound
from tortie.datastore.kubernetes.client import Client, Refused, Request
from tortie.datastore.kubernetes.places import segment

_API = "coordination.k8s.io/v1"


class _Meta(Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    name: str = ""
    namespace: str = ""
    resource_version: str = ""
    labels: Any = None
    annotations: Any = None


class _Spec(Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    holder_identity: str | None = None
    lease_duration_seconds: int | None = None
    acquire_time: str | None = None
    renew_time: str | None = None
    lease_transitions: int | None = None


class _Lease(Struct, frozen=True, kw_only=True, rename="camel"):
    api_version: str = _API
    kind: str = "Lease"
    metadata: _Meta
    spec: _Spec = _Spec()


class KubernetesSeat:
    """The Lease `namespace`/`name`; `holder` is what others call us."""

    def __init__(
        self,
        client: Client,
        name: str,
        holder: str,
        seconds: int,
        namespace: str,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.seconds = seconds
        self._client, self._clock = client, clock
        self._meta, self._holder = _Meta(name=name, namespace=namespace), holder
        self._about = f"Lease({namespace}/{name})"
        self._folder = f"/apis/{_API}/namespaces/{segment(namespace)}/leases"
        self._path = f"{self._folder}/{segment(name)}"
        self._seen: _Lease | None = None
        self._since = 0.0

    async def take(self) -> str | None:
        """Sit down if nobody does; None: it is ours, else who has it. Raises DatastoreError."""
        try:
            found = await self._sent("GET", self._path)
        except NotFound:
            return await self._made()
        holder = found.spec.holder_identity or ""
        if holder not in ("", self._holder) and not self._is_over(found):
            return holder
        transitions = (found.spec.lease_transitions or 0) + (holder != self._holder)
        return await self._written(found, replace(self._record(), lease_transitions=transitions))

    async def renew(self) -> bool:
        """Whether it is still ours. Raises DatastoreError where nobody says so."""
        found = self._seen or await self._sent("GET", self._path)
        kept = replace(found.spec, renew_time=_now(), holder_identity=self._holder)
        if await self._written(found, kept) is None:
            return True
        return await self._renewed_anew()

    async def give_up(self) -> None:
        """Leave it to others at once. Raises DatastoreError."""
        if self._seen is not None:
            empty = replace(self._seen.spec, holder_identity="", renew_time=_now())
            await self._written(self._seen, replace(empty, lease_duration_seconds=1))

    async def close(self) -> None:
        """End the connection."""
        await self._client.close()

    async def _renewed_anew(self) -> bool:
        """Somebody wrote to it: maybe only a label."""
        found = await self._sent("GET", self._path)
        if found.spec.holder_identity != self._holder:
            return False
        return await self._written(found, replace(found.spec, renew_time=_now())) is None

    async def _made(self) -> str | None:
        try:
            lease = _Lease(metadata=self._meta, spec=replace(self._record(), lease_transitions=0))
            self._seen = await self._sent("POST", self._folder, lease)
        except AlreadyExists:
            return "somebody who was faster"
        return None

    async def _written(self, found: _Lease, spec: _Spec) -> str | None:
        try:
            self._seen = await self._sent("PUT", self._path, replace(found, spec=spec))
        except (Conflict, NotFound):
            self._seen = None
            return "somebody who was faster"
        return None

    def _is_over(self, found: _Lease) -> bool:
        if self._seen != found:
            self._seen, self._since = found, self._clock()
        waited = self._clock() - self._since
        return waited >= (found.spec.lease_duration_seconds or self.seconds)

    def _record(self) -> _Spec:
        now = _now()
        return _Spec(
            holder_identity=self._holder,
            lease_duration_seconds=self.seconds,
            acquire_time=now,
            renew_time=now,
        )

    async def _sent(self, method: str, path: str, body: _Lease | None = None) -> _Lease:
        data = b"" if body is None else msgspec.json.encode(body)
        try:
            answer = await self._client.send(Request(self._about, path, method=method, body=data))
        except Refused as refused:
            raise refused.error from None
        try:
            return msgspec.json.decode(answer, type=_Lease)
        except msgspec.DecodeError as error:
            raise DatastoreError(f"{self._about} can't be read: {error}") from None


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
