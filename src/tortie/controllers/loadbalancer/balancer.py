"""One Service at a time: what it asks for is held, shown in its status, and nothing else is.

The order makes a crash harmless and an address never a double. What is assigned is held by IPAM
before the status shows it; what is given up leaves the status before IPAM may give it to another.
Whoever comes after a crash finds what is held by the Service's handle.
"""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import NamedTuple, cast

from tortie.api import IPAMHandle, IPPool, Key, Resource
from tortie.api.kube.service import Service
from tortie.controllers.loadbalancer.plan import Plan, plan
from tortie.controllers.loadbalancer.status import showing, shown, without
from tortie.controllers.loadbalancer.wishes import (
    Wish,
    attributes_of,
    handle_of,
    is_ours,
    wish_of,
)
from tortie.datastore import Conflict, Datastore, Listing, NotFound
from tortie.ipam import IPAM, AlreadyAssigned, AssignRequest, FixedRequest, IpamError, NoPool
from tortie.ipam.names import LOAD_BALANCER
from tortie.ipam.types import ReleaseRequest
from tortie.net import Prefix

_PREFIX = "lb-"
_REASONS: tuple[tuple[type[IpamError], str], ...] = (
    (AlreadyAssigned, "AddressInUse"),
    (NoPool, "NoPool"),
    (IpamError, "NoAddress"),
)


class Unmet(IpamError):
    """A Service is without an address that it asks for; it is to be looked at again."""


class Held(NamedTuple):
    """What was assigned now, what could not be (reason, text), and what stays in its stead."""

    addresses: tuple[Prefix, ...]
    problem: tuple[str, str] | None
    kept_instead: tuple[Prefix, ...]


def _nothing() -> None:
    return


class Balancer:
    """The Services of `services`, with addresses of `store`'s pools. Raises DatastoreError."""

    def __init__(
        self,
        store: Datastore,
        services: Datastore,
        every_service: Callable[[], bool],
        freed: Callable[[], None] = _nothing,
    ) -> None:
        """`freed` is called after addresses were given back: others may be waiting for them."""
        self._store, self._services = store, services
        self._every = every_service
        self._freed = freed
        self._ipam = IPAM(store)
        self._handles: dict[Key, str] = {}  # of what this process has served

    async def reconcile(self, key: Key) -> None:
        """See to one Service. Raises Unmet once its status says what it lacks; Conflict to be
        called again.
        """
        service = await self._get(key)
        await self._release_earlier(key, service)
        if service is None:
            return
        if is_ours(service, self._every()):
            self._handles[key] = handle_of(service)
            await self._serve(service)
        elif key in self._handles or shown(service):  # most Services never had anything of ours
            await self._give_up(service)
            self._handles.pop(key, None)

    async def sweep(self) -> tuple[str, ...]:
        """Give back what is held for Services that are gone, or are not ours any more; the handles.

        Handles, which never tell less than is held, are read before the Services are: one made
        meanwhile keeps what it got.
        """
        handles = cast(tuple[IPAMHandle, ...], (await self._store.list("IPAMHandle")).resources)
        names = {one.spec.handle_id for one in handles}
        held = {name for name in names if name.startswith(_PREFIX)}
        listing = await self._services.list("Service") if held else Listing((), (), 0)
        services = cast(tuple[Service, ...], listing.resources)
        there = {handle_of(one): one for one in services}
        others = {name for name, one in there.items() if not is_ours(one, self._every())}
        # Which handle is a Service's that can't be read, nobody knows: its uid is part of it.
        gone = set[str]() if listing.malformed else held - set(there)
        for handle in sorted(held & others):
            await self._give_up(there[handle])
        for handle in sorted(gone):
            await self._release(handle)
        return tuple(sorted(held & others | gone))

    async def _release_earlier(self, key: Key, service: Service | None) -> None:
        """What an earlier Service of that name had."""
        before = self._handles.get(key)
        if before and (service is None or handle_of(service) != before):
            await self._release(before)
            del self._handles[key]

    async def _serve(self, service: Service) -> None:
        handle = handle_of(service)
        held = await self._ipam.addresses_of(handle)
        try:
            wish = wish_of(service)
        except ValueError as error:
            problem = ("InvalidAnnotation", f"{error}; what it has stays")
            await self._show(service, held, problem)
            raise Unmet(problem[1]) from None
        pools = await self._pools()
        found = plan(wish, held, shown(service), pools)
        had = await self._assigned(service, wish, found)
        addresses = _ordered((*found.kept, *had.addresses, *had.kept_instead), wish)
        await self._show(service, addresses, had.problem)
        going = {*found.replaced, *found.dropped} - set(addresses)
        wanted = [ReleaseRequest(address=one, handle=handle) for one in going]
        if await self._ipam.release(wanted):
            self._freed()
        if had.problem:
            raise Unmet(had.problem[1])

    async def _assigned(self, service: Service, wish: Wish, found: Plan) -> Held:
        """What is still asked for, each family for itself: one without must not cost the other."""
        got: list[Prefix] = []
        problems: list[tuple[str, str]] = []
        instead: list[Prefix] = []
        everything: tuple[Prefix | int, ...] = (*found.fixed, *found.any_of)
        for wanted in everything:
            try:
                got += await self._one(service, wish, wanted)
            except IpamError as error:
                version = wanted if isinstance(wanted, int) else wanted.version
                problems.append((_reason(error), str(error)))
                instead += [one for one in found.replaced if one.version == version]
        text = "; ".join(text for _, text in problems)
        return Held(tuple(got), (problems[0][0], text) if problems else None, tuple(instead))

    async def _one(self, service: Service, wish: Wish, wanted: Prefix | int) -> tuple[Prefix, ...]:
        """This address, or any of this version."""
        if isinstance(wanted, int):
            return await self._any(service, wish, wanted)
        return await self._fixed(service, wanted)

    async def _fixed(self, service: Service, address: Prefix) -> tuple[Prefix, ...]:
        request = FixedRequest(
            address=address,
            node=LOAD_BALANCER.name,
            handle=handle_of(service),
            use="LoadBalancer",
            attributes=attributes_of(service),
        )
        return (await self._ipam.assign_fixed(request)).ips

    async def _any(self, service: Service, wish: Wish, version: int) -> tuple[Prefix, ...]:
        pools = wish.pools.get(version, ())
        request = AssignRequest(
            node=LOAD_BALANCER.name,
            handle=handle_of(service),
            count4=int(version == 4),
            count6=int(version == 6),
            pools4=pools if version == 4 else (),
            pools6=pools if version == 6 else (),
            use="LoadBalancer",
            attributes=attributes_of(service),
            namespace=service.metadata.namespace,
            namespace_labels=await self._namespace_labels(service.metadata.namespace),
        )
        return (await self._ipam.auto_assign(request)).ips

    async def _give_up(self, service: Service) -> None:
        """It is not, or no more, ours. What another put into its status stays there."""
        handle = handle_of(service)
        held = await self._ipam.addresses_of(handle)
        await self._written(service, without(service, held))
        await self._release(handle)

    async def _release(self, handle: str) -> None:
        if await self._ipam.release_by_handle(handle):
            self._freed()

    async def _show(
        self, service: Service, addresses: Sequence[Prefix], problem: tuple[str, str] | None
    ) -> None:
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        await self._written(service, showing(service, addresses, problem, now))

    async def _written(self, before: Service, after: Service) -> None:
        """Only if it still is as it was read: else what is shown may not be what it asks for."""
        if after is before:
            return
        try:
            await self._services.update(after)
        except NotFound:
            raise Conflict(f"{before.key} went while its addresses were seen to") from None

    async def _pools(self) -> tuple[IPPool, ...]:
        return cast(tuple[IPPool, ...], (await self._store.list("IPPool")).resources)

    async def _namespace_labels(self, name: str) -> dict[str, str]:
        found = await self._find(Key("Namespace", "", name))
        return dict(found.metadata.labels) if found else {}

    async def _get(self, key: Key) -> Service | None:
        return cast(Service | None, await self._find(key))

    async def _find(self, key: Key) -> Resource | None:
        try:
            return await self._services.get(key)
        except NotFound:
            return None


def _ordered(addresses: Sequence[Prefix], wish: Wish) -> tuple[Prefix, ...]:
    return tuple(sorted(addresses, key=lambda one: wish.versions.index(one.version)))


def _reason(error: IpamError) -> str:
    return next(reason for sort, reason in _REASONS if isinstance(error, sort))
