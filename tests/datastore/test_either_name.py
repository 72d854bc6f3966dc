"""Policies that an older version stored are found, changed and deleted by either name."""

import asyncio

import pytest

from tortie.api import Key, NetworkPolicy, NetworkPolicySpec, ObjectMeta
from tortie.datastore import AlreadyExists, NotFound
from tortie.datastore.either_name import EitherName
from tortie.datastore.memory import MemoryDatastore

OLD, NEW = "default.web", "web"


def policy(name: str, tier: str = "default", order: float = 1) -> NetworkPolicy:
    return NetworkPolicy(
        metadata=ObjectMeta(name=name, namespace="n"),
        spec=NetworkPolicySpec(tier=tier, order=order),
    )


def key(name: str) -> Key:
    return policy(name).key


def follow(scenario, *stored: NetworkPolicy) -> None:
    async def body() -> None:
        inner = MemoryDatastore()
        for each in stored:
            await inner.create(each)
        store = EitherName(inner)
        await scenario(store, inner)
        await store.close()

    asyncio.run(body())


async def names(inner: MemoryDatastore) -> dict[str, float | None]:
    """Name → order of what is stored."""
    listing = await inner.list("NetworkPolicy")
    return {each.metadata.name: each.spec.order for each in listing.resources}


@pytest.mark.parametrize(("stored", "asked"), [(OLD, NEW), (NEW, OLD)])
def test_either_name_finds_changes_and_deletes_the_one_policy(stored, asked):
    async def scenario(store: EitherName, inner: MemoryDatastore) -> None:
        assert (await store.get(key(asked))).metadata.name == stored
        await store.update(policy(asked, order=2))
        assert await names(inner) == {stored: 2}
        with pytest.raises(AlreadyExists, match=f"as '{stored}'"):
            await store.create(policy(asked))
        await store.delete(key(asked))
        assert await names(inner) == {}

    follow(scenario, policy(stored))


def test_where_both_names_are_stored_each_means_itself():
    async def scenario(store: EitherName, inner: MemoryDatastore) -> None:
        await store.update(policy(NEW, order=2))
        await store.update(policy(OLD, order=3))
        assert await names(inner) == {NEW: 2, OLD: 3}
        await store.delete(key(OLD))
        assert await names(inner) == {NEW: 2}

    follow(scenario, policy(NEW), policy(OLD))


def test_a_policy_of_another_tier_keeps_its_name_for_itself():
    async def scenario(store: EitherName, inner: MemoryDatastore) -> None:
        for missing in (store.get(key(NEW)), store.delete(key(NEW)), store.update(policy(NEW))):
            with pytest.raises(NotFound):
                await missing
        await store.create(policy(NEW))
        await store.create(policy("web2", tier="security"))
        assert await names(inner) == {OLD: 1, NEW: 1, "web2": 1}
        with pytest.raises(NotFound):
            await store.get(key("default.web2"))

    follow(scenario, policy(OLD, tier="security"))


def test_what_has_neither_name_is_created():
    async def scenario(store: EitherName, inner: MemoryDatastore) -> None:
        assert (await store.create(policy(OLD))).metadata.name == OLD
        assert await names(inner) == {OLD: 1}

    follow(scenario)
