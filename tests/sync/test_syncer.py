"""The stream of a datastore: the first picture, changes, conversions, warnings, outages."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Collection

import pytest

from strategies.datastore import global_network_set
from strategies.faults import FaultyStore, endpoint, pod
from tortie.api import (
    GlobalNetworkSet,
    Key,
    KubernetesNetworkPolicy,
    KubernetesNetworkPolicySpec,
    LabelSelector,
    Namespace,
    NetworkPolicy,
    ObjectMeta,
    Profile,
    Resource,
    ServiceAccount,
    Tier,
    TierSpec,
    WorkloadEndpoint,
    with_metadata,
)
from tortie.datastore import Batch, Datastore, Rewound, update_with
from tortie.datastore.memory import MemoryDatastore
from tortie.kubernetes import Conversion, conversion, convert
from tortie.sync import (
    FELIX_KINDS,
    Backoff,
    InSync,
    Item,
    Outage,
    Progress,
    Syncer,
    SyncWarning,
    Update,
)
from tortie.sync import translator as translator_module
from tortie.sync.backoff import LONGEST, SHORTEST

Stream = AsyncGenerator[list[Item], None]
START = [""] * (1 + len(FELIX_KINDS) + 1)  # revision, a page of each kind, watch
BAD = Key("GlobalNetworkSet", "", "bad")


async def until(stream: Stream, revision: int) -> list[Item]:
    """All items up to the progress to `revision`."""
    items: list[Item] = []
    async with asyncio.timeout(30):
        async for batch in stream:
            items += batch
            if Progress(revision) in batch:
                break
    return items


def updates(items: list[Item]) -> dict[Key, Resource | None]:
    """The updates among items; each key at most once."""
    found = [item for item in items if isinstance(item, Update)]
    assert len({item.key for item in found}) == len(found)
    return {item.key: item.value for item in found}


def follow(
    scenario: Callable[[MemoryDatastore, Stream, list[SyncWarning]], Awaitable[None]],
    faults: list[str] | None = None,
) -> None:
    """Run a scenario with a store and the stream of it."""

    async def body() -> None:
        store = MemoryDatastore()
        warnings: list[SyncWarning] = []
        seen: Datastore = FaultyStore(store, faults or [])
        stream = Syncer(seen, on_warning=warnings.append, backoff=hurried()).stream()
        await scenario(store, stream, warnings)
        await stream.aclose()
        await store.close()

    asyncio.run(body())


def hurried() -> Backoff:
    return Backoff(sleep=lambda _: asyncio.sleep(0))


def test_an_empty_datastore_is_in_sync_at_once() -> None:
    async def scenario(_: MemoryDatastore, stream: Stream, __: list[SyncWarning]) -> None:
        assert await anext(stream) == [InSync(), Progress(0)]

    follow(scenario)


def test_what_is_there_comes_before_in_sync_and_changes_after() -> None:
    async def scenario(store: MemoryDatastore, stream: Stream, _: list[SyncWarning]) -> None:
        first = await store.create(global_network_set("a"))
        assert await until(stream, 1) == [Update(first.key, first), InSync(), Progress(1)]
        second = await store.update(with_metadata(first, labels={"app": "x"}))
        assert await until(stream, 2) == [Update(first.key, second), Progress(2)]
        await store.delete(first.key)
        assert await until(stream, 3) == [Update(first.key, None), Progress(3)]

    follow(scenario)


def test_several_changes_of_one_object_come_as_the_last() -> None:
    async def scenario(store: MemoryDatastore, stream: Stream, _: list[SyncWarning]) -> None:
        await until(stream, 0)
        made: Resource = await store.create(global_network_set("a"))
        for number in range(9):
            made = await store.update(with_metadata(made, labels={"n": str(number)}))
        assert await until(stream, 10) == [Update(made.key, made), Progress(10)]

    follow(scenario)


def test_kubernetes_objects_leave_as_what_they_stand_for() -> None:
    async def scenario(store: MemoryDatastore, stream: Stream, _: list[SyncWarning]) -> None:
        await store.create(Namespace(metadata=ObjectMeta(name="web")))
        await store.create(ServiceAccount(metadata=ObjectMeta(name="default", namespace="web")))
        await store.create(pod("a"))
        await store.create(
            KubernetesNetworkPolicy(
                metadata=ObjectMeta(name="deny", namespace="web"),
                spec=KubernetesNetworkPolicySpec(pod_selector=LabelSelector()),
            )
        )
        items = await until(stream, 4)
        values = {item.key: type(item.value) for item in items if isinstance(item, Update)}
        assert values == {
            Key("Profile", "", "kns.web"): Profile,
            Key("Profile", "", "ksa.web.default"): Profile,
            Key("WorkloadEndpoint", "web", "node--a-k8s-a-eth0"): WorkloadEndpoint,
            Key("KubernetesNetworkPolicy", "web", "deny"): NetworkPolicy,
        }
        for kind, namespace, name in (
            ("Namespace", "", "web"),
            ("ServiceAccount", "web", "default"),
            ("Pod", "web", "a"),
            ("KubernetesNetworkPolicy", "web", "deny"),
        ):
            await store.delete(Key(kind, namespace, name))
        items = await until(stream, 8)
        assert {item.key for item in items if isinstance(item, Update)} == set(values)
        assert all(item.value is None for item in items if isinstance(item, Update))

    follow(scenario)


def test_a_pod_that_loses_its_address_or_its_node_leaves_its_endpoint() -> None:
    async def scenario(store: MemoryDatastore, stream: Stream, _: list[SyncWarning]) -> None:
        await store.create(pod("a", "node-a"))
        await until(stream, 1)
        moved = await store.update(pod("a", "node-b"))
        old = Key("WorkloadEndpoint", "web", "node--a-k8s-a-eth0")
        new = Key("WorkloadEndpoint", "web", "node--b-k8s-a-eth0")
        assert updates(await until(stream, 2)) == {old: None, new: convert(moved)}
        await store.update(pod("a", "node-b", address=""))
        assert await until(stream, 3) == [Update(new, None), Progress(3)]

    follow(scenario)


@pytest.mark.parametrize("pod_first", [True, False])
def test_a_stored_endpoint_wins_over_a_pod_and_the_pod_inherits(pod_first: bool) -> None:
    async def scenario(store: MemoryDatastore, stream: Stream, _: list[SyncWarning]) -> None:
        both: list[Resource] = [pod("a", app="pod"), endpoint("a", app="stored")]
        for resource in both if pod_first else reversed(both):
            await store.create(resource)
        stored = await store.get(endpoint("a").key)
        items = await until(stream, 2)
        assert [item for item in items if isinstance(item, Update)][-1] == Update(
            stored.key, stored
        )
        await store.delete(stored.key)
        heir = convert(await store.get(pod("a").key))
        assert await until(stream, 3) == [Update(stored.key, heir), Progress(3)]

    follow(scenario)


def test_an_inheritance_that_could_not_be_read_is_made_up_for() -> None:
    async def scenario(store: MemoryDatastore, stream: Stream, _: list[SyncWarning]) -> None:
        await store.create(pod("a", app="pod"))
        await store.create(endpoint("a", app="stored"))
        await until(stream, 2)
        await store.delete(endpoint("a").key)
        items = await until(stream, 3)
        heir = convert(await store.get(pod("a").key))
        assert Update(endpoint("a").key, heir) in items

    follow(scenario, [*START, "", "unavailable"])


def test_a_malformed_object_leaves_its_last_good_value_in_force_and_is_named_once() -> None:
    async def scenario(store: MemoryDatastore, stream: Stream, warnings: list[SyncWarning]) -> None:
        await store.create(global_network_set("bad"))
        await store.create(global_network_set("good"))
        await until(stream, 2)
        await store.put_raw(BAD, b'{"metadata": 7}')
        assert await until(stream, 3) == [Progress(3)]
        await store.put_raw(BAD, b'{"metadata": 7}')
        assert await until(stream, 4) == [Progress(4)]
        (warning,) = warnings
        assert warning.key == BAD
        assert "GlobalNetworkSet(bad) stays in force as it was at revision 1: " in str(warning)
        healed = await store.update(global_network_set("bad"))
        assert await until(stream, 5) == [Update(BAD, healed), Progress(5)]
        await store.put_raw(BAD, b"{")
        assert await until(stream, 6) == [Progress(6)]
        assert "at revision 5: " in str(warnings[1])
        await store.delete(BAD)
        assert await until(stream, 7) == [Update(BAD, None), Progress(7)]
        await store.put_raw(BAD, b"{")
        assert await until(stream, 8) == [Progress(8)]
        assert "counts as absent" in str(warnings[2])

    follow(scenario)


def test_an_object_damaged_during_an_outage_leaves_its_last_good_value_in_force() -> None:
    async def scenario(store: MemoryDatastore, stream: Stream, warnings: list[SyncWarning]) -> None:
        await store.create(global_network_set("bad"))
        await until(stream, 1)
        await store.put_raw(BAD, b"{")
        assert await until(stream, 2) == [Progress(2)]
        assert "stays in force as it was at revision 1" in str(warnings[-1])
        await store.delete(BAD)
        assert await until(stream, 3) == [Update(BAD, None), Progress(3)]

    follow(scenario, [*START, "unavailable"])


def test_what_was_never_read_well_is_absent_and_said_so() -> None:
    async def body() -> None:
        store = MemoryDatastore()
        warnings: list[SyncWarning] = []
        syncer = Syncer(store, on_warning=warnings.append)
        stream = syncer.stream()
        policy = Key("GlobalNetworkPolicy", "", "deny")
        await store.put_raw(BAD, b"{")
        await store.put_raw(policy, b"{")
        assert await until(stream, 2) == [InSync(), Progress(2)]
        assert {warning.key for warning in warnings} == {BAD, policy}
        assert all("counts as absent" in str(warning) for warning in warnings)
        (line,) = syncer.absent_policies()
        assert line.startswith("GlobalNetworkPolicy(deny) counts as absent")
        await store.delete(policy)
        assert await until(stream, 3) == [Progress(3)]
        assert syncer.absent_policies() == []
        await stream.aclose()

    asyncio.run(body())


def test_an_heir_that_can_not_be_read_does_not_inherit() -> None:
    """What is out is the value of the one that is gone, not one of its own."""

    async def scenario(store: MemoryDatastore, stream: Stream, warnings: list[SyncWarning]) -> None:
        await store.create(pod("a", app="pod"))
        stored = await store.create(endpoint("a", app="stored"))
        await until(stream, 2)
        await store.put_raw(pod("a").key, b"{")
        assert await until(stream, 3) == [Progress(3)]
        await store.delete(stored.key)
        assert await until(stream, 4) == [Update(stored.key, None), Progress(4)]
        assert "counts as absent" in str(warnings[-1])

    follow(scenario)


def test_an_object_that_breaks_the_conversion_harms_no_other(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def broken(resource: Resource) -> Conversion:
        if "broken" in resource.metadata.labels:
            raise ZeroDivisionError(resource.metadata.name)
        return conversion(resource)

    async def scenario(store: MemoryDatastore, stream: Stream, warnings: list[SyncWarning]) -> None:
        monkeypatch.setattr(translator_module, "conversion", broken)
        await store.create(global_network_set("a"))
        await until(stream, 1)
        await store.update(global_network_set("a", broken="yes"))
        other = await store.create(global_network_set("b"))
        assert await until(stream, 3) == [Update(other.key, other), Progress(3)]
        assert "at revision 1: ZeroDivisionError in its conversion: a" in str(warnings[0])

    follow(scenario)


def test_a_kind_whose_history_goes_while_it_is_listed_is_listed_again_at_once() -> None:
    async def body() -> None:
        store = MemoryDatastore()
        made = [await store.create(global_network_set(name)) for name in ("a", "b", "c")]
        faulty = FaultyStore(store, ["", "", "gone"], page=2)
        waits = 0

        async def wait(_: float) -> None:
            nonlocal waits
            waits += 1

        stream = Syncer(faulty, ["GlobalNetworkSet"], backoff=Backoff(sleep=wait)).stream()
        assert updates(await until(stream, 3)) == {each.key: each for each in made}
        assert faulty.calls == ["revision", *["page"] * 4]
        assert waits == 0
        await stream.aclose()

    asyncio.run(body())


def test_what_is_gone_is_known_at_the_last_page_also_where_the_listing_began_again() -> None:
    async def scenario(store: MemoryDatastore, stream: Stream, _: list[SyncWarning]) -> None:
        names = ("a", "b", "c", "d", "e")
        for name in names:
            await store.create(global_network_set(name))
        await until(stream, 5)
        for name in names[1:]:
            await store.delete(global_network_set(name).key)
        added = await store.create(global_network_set("f"))
        gone = {global_network_set(name).key: None for name in names[1:]}
        assert updates(await until(stream, 10)) == gone | {added.key: added}

    follow(scenario, [*START, "unavailable", *START[:10], "gone", "gone"])


def test_what_came_and_went_between_two_listings_is_never_told() -> None:
    """The watch begins at the older listing; the younger one has overtaken its events."""

    class Busy(FaultyStore):
        async def pages(self, kind, namespace=None, size=500):  # type: ignore[no-untyped-def]
            if kind == "GlobalNetworkSet":
                await self.create(global_network_set("brief"))
                await self.delete(global_network_set("brief").key)
            async for page in super().pages(kind, namespace, size):
                yield page

    async def body() -> None:
        store = MemoryDatastore()
        tier = await store.create(Tier(metadata=ObjectMeta(name="t"), spec=TierSpec(order=1.0)))
        stream = Syncer(Busy(store, []), ["Tier", "GlobalNetworkSet"]).stream()
        assert await until(stream, 3) == [
            Update(tier.key, tier),
            InSync(),
            Progress(1),
            Progress(3),
        ]
        await stream.aclose()

    asyncio.run(body())


def test_no_page_is_asked_for_before_the_one_before_it_went_out() -> None:
    """A listing is never held as a whole, however many objects there are."""

    async def body() -> None:
        store = MemoryDatastore()
        for number in range(10):
            await store.create(global_network_set(f"n{number}"))
        faulty = FaultyStore(store, [], page=3)
        stream = Syncer(faulty, ["GlobalNetworkSet"]).stream()
        sizes = []
        for asked in range(1, 5):
            sizes.append(len(await anext(stream)))
            assert faulty.calls.count("page") == asked
        assert sizes == [3, 3, 3, 1]
        await stream.aclose()

    asyncio.run(body())


def test_a_watch_that_ends_by_itself_is_an_outage_and_not_the_end() -> None:
    async def scenario(store: MemoryDatastore, stream: Stream, warnings: list[SyncWarning]) -> None:
        await until(stream, 0)
        first = await store.create(global_network_set("a"))
        assert await until(stream, 1) == [Update(first.key, first), Progress(1)]
        second = await store.create(global_network_set("b"))
        assert updates(await until(stream, 2)) == {second.key: second}
        assert "ended the watch" in str(warnings[0])

    follow(scenario, [*START, "", "end"])


def test_an_outage_is_told_once_for_each_reason_and_not_for_each_attempt() -> None:
    async def scenario(_: MemoryDatastore, stream: Stream, warnings: list[SyncWarning]) -> None:
        await until(stream, 0)
        assert [str(warning).partition(": ")[2] for warning in warnings] == [
            "unavailable, as told",
            "forbidden, as told",
        ]

    follow(scenario, [*["unavailable"] * 5, "forbidden", "unavailable", "forbidden"])


def test_rights_lost_while_an_heir_is_read_are_an_outage_and_take_nothing_away() -> None:
    async def scenario(store: MemoryDatastore, stream: Stream, _: list[SyncWarning]) -> None:
        await store.create(pod("a", app="pod"))
        stored = await store.create(endpoint("a", app="stored"))
        await until(stream, 2)
        await store.delete(stored.key)
        heir = convert(await store.get(pod("a").key))
        assert updates(await until(stream, 3)) == {stored.key: heir}

    follow(scenario, [*START, "", "forbidden"])


def test_another_store_in_the_place_of_the_one_before_is_not_read() -> None:
    class Other(Exception):
        pass

    async def body() -> None:
        first, second = MemoryDatastore(), MemoryDatastore()
        store, pledged = Switch(first), await first.identity()

        def admit(identity: str) -> None:
            if identity != pledged:
                raise Other(identity)

        stream = Syncer(store, backoff=hurried(), admit=admit).stream()
        await first.create(global_network_set("a"))
        await until(stream, 1)
        store.current = second
        await first.close()
        with pytest.raises(Other):
            await anext(stream)

    asyncio.run(body())


def test_after_an_outage_only_the_differences_come() -> None:
    async def scenario(store: MemoryDatastore, stream: Stream, warnings: list[SyncWarning]) -> None:
        for name in ("kept", "changed", "gone"):
            await store.create(global_network_set(name))
        await until(stream, 3)
        changed = await store.update(global_network_set("changed", app="x"))
        await store.delete(global_network_set("gone").key)
        await store.create(pod("a", address=""))
        items = await until(stream, 6)
        assert updates(items) == {changed.key: changed, global_network_set("gone").key: None}
        assert [str(warning) for warning in warnings if warning.key is None]

    follow(scenario, [*START, "gone", "unavailable"])


def test_a_store_that_was_restored_from_a_copy_is_read_anew() -> None:
    """The same revision may then stand for another value."""

    async def body() -> None:
        first, second = MemoryDatastore(), MemoryDatastore()
        store = Switch(first)
        stream = Syncer(store, backoff=hurried()).stream()
        for name in ("a", "b", "c"):
            await first.create(global_network_set(name))
        await until(stream, 3)
        other = await second.create(global_network_set("a", app="other"))
        store.current = second
        await first.close()  # ends the watch, which the switch turns into an outage
        items = await until(stream, 1)
        assert updates(items) == {
            other.key: other,
            global_network_set("b").key: None,
            global_network_set("c").key: None,
        }
        await stream.aclose()

    asyncio.run(body())


def test_a_store_that_says_it_was_put_back_is_read_anew_though_it_has_passed_us() -> None:
    async def body() -> None:
        first, second = MemoryDatastore(), MemoryDatastore()
        store = PutBack(first)
        stream = Syncer(store, backoff=hurried()).stream()
        await first.create(global_network_set("a"))
        await until(stream, 1)
        await first.create(global_network_set("b"))
        await until(stream, 2)  # by the watch
        other = await second.create(global_network_set("a", app="other"))
        for name in ("b", "c"):
            await second.create(global_network_set(name))
        store.current = second
        await first.close()  # ends the watch
        assert updates(await until(stream, 3))[other.key] == other
        await stream.aclose()

    asyncio.run(body())


class Switch(FaultyStore):
    """A store that can be exchanged for another."""

    def __init__(self, store: MemoryDatastore) -> None:
        super().__init__(store, [])

    @property
    def current(self) -> Datastore:
        return self._store

    @current.setter
    def current(self, store: Datastore) -> None:
        self._store = store

    async def watch(self, kinds, since):  # type: ignore[no-untyped-def]
        async for batch in super().watch(kinds, since):
            yield batch
        self._script = iter(["unavailable"])
        self.fail("watch")


class PutBack(Switch):
    """One that notices, when the watch has ended, that it was put back to a copy."""

    async def watch(self, kinds: Collection[str], since: int) -> AsyncGenerator[Batch, None]:
        watched = self.current
        async for batch in FaultyStore.watch(self, kinds, since):
            yield batch
        if self.current is not watched:
            raise Rewound("put back")


def test_the_outage_says_since_when_and_why() -> None:
    async def body() -> None:
        store = MemoryDatastore()
        syncer: Syncer
        outages: list[Outage | None] = []

        async def look(_: float) -> None:
            outages.append(syncer.outage)

        syncer = Syncer(FaultyStore(store, ["unavailable"] * 2), backoff=Backoff(sleep=look))
        assert not syncer.in_sync
        stream = syncer.stream()
        await until(stream, 0)
        assert [outage and "as told" in outage.reason for outage in outages] == [True, True]
        assert outages[0] == outages[1]
        assert syncer.outage is None
        assert syncer.in_sync
        await stream.aclose()

    asyncio.run(body())


def test_a_closed_datastore_ends_the_stream() -> None:
    async def scenario(store: MemoryDatastore, stream: Stream, _: list[SyncWarning]) -> None:
        await until(stream, 0)
        await store.close()
        assert [batch async for batch in stream] == []

    follow(scenario)


def test_a_datastore_closed_during_an_outage_ends_the_stream_too() -> None:
    async def scenario(store: MemoryDatastore, stream: Stream, _: list[SyncWarning]) -> None:
        await store.close()
        assert [batch async for batch in stream] == []

    follow(scenario, ["unavailable"])


def test_waits_double_up_to_a_bound_with_jitter_and_start_anew_after_a_good_time() -> None:
    async def body() -> None:
        waits: list[float] = []
        now = [0.0]

        async def note(seconds: float) -> None:
            waits.append(seconds)

        backoff = Backoff(sleep=note, clock=lambda: now[0], chance=lambda: 0.0)
        for _ in range(20):
            await backoff.wait()
        assert waits[:3] == [SHORTEST / 2, SHORTEST, SHORTEST * 2]
        assert waits[-1] == LONGEST / 2
        backoff.connected()
        now[0] += LONGEST / 2
        await backoff.wait()
        assert waits[-1] == LONGEST / 2, "a short connection is no sign of health"
        backoff.connected()
        now[0] += LONGEST
        await backoff.wait()
        assert waits[-1] == SHORTEST / 2

    asyncio.run(body())


def test_a_change_through_update_with_reaches_the_stream() -> None:
    async def scenario(store: MemoryDatastore, stream: Stream, _: list[SyncWarning]) -> None:
        made = await store.create(global_network_set("a"))
        await until(stream, 1)

        def label(resource: Resource) -> Resource:
            assert isinstance(resource, GlobalNetworkSet)
            return with_metadata(resource, labels={"app": "x"})

        changed = await update_with(store, made.key, label)
        assert await until(stream, 2) == [Update(made.key, changed), Progress(2)]

    follow(scenario)
