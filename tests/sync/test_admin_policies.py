"""Admin policies on their way from a datastore to the engine."""

import asyncio

import msgspec
import pytest

from tortie.api import GlobalNetworkPolicy, Key, Resource, kind_of_manifest
from tortie.datastore.memory import MemoryDatastore
from tortie.kubernetes import CONVERTED_KINDS, convert
from tortie.sync import FELIX_KINDS, InSync, Progress, Syncer, SyncWarning, Update

V1, V2 = "policy.networking.k8s.io/v1alpha1", "policy.networking.k8s.io/v1alpha2"
RULE = {"action": "Deny", "from": [{"namespaces": {}}]}
KINDS = [
    (V1, "AdminNetworkPolicy", {"priority": 1}),
    (V1, "BaselineAdminNetworkPolicy", {}),
    (V2, "ClusterNetworkPolicy", {"priority": 1, "tier": "Baseline"}),
]


def policy(version: str, kind: str, place: dict, **spec) -> Resource:
    data = {
        "metadata": {"name": "default"},
        "spec": {"subject": {"namespaces": {}}, "ingress": [RULE], **place, **spec},
    }
    return msgspec.convert(data, kind_of_manifest(version, kind).type)


def plain() -> Resource:
    """A policy of Calico's own, with the same name."""
    data = {"metadata": {"name": "default"}, "spec": {"selector": "all()"}}
    return msgspec.convert(data, GlobalNetworkPolicy)


async def until(stream, revision: int) -> dict[Key, Resource | None]:
    """The updates up to the progress to `revision`."""
    found: dict[Key, Resource | None] = {}
    async with asyncio.timeout(30):
        async for batch in stream:
            found |= {item.key: item.value for item in batch if isinstance(item, Update)}
            assert all(isinstance(item, Update | InSync | Progress) for item in batch)
            if Progress(revision) in batch:
                return found
    raise AssertionError("the stream has ended")


def test_a_node_follows_everything_that_is_converted():
    assert set(FELIX_KINDS) >= CONVERTED_KINDS


@pytest.mark.parametrize("late", [False, True], ids=["listed", "watched"])
def test_policies_of_one_name_go_out_each_under_its_own_key(late):
    async def body() -> None:
        store = MemoryDatastore()
        stream = Syncer(store).stream()
        if late:
            await until(stream, 0)
        made = [await store.create(policy(*each)) for each in KINDS]
        own = await store.create(plain())
        found = await until(stream, 4)
        assert found == {own.key: own} | {each.key: convert(each) for each in made}
        assert {type(value) for value in found.values()} == {GlobalNetworkPolicy}
        for resource in made:
            await store.delete(resource.key)
        assert await until(stream, 7) == {each.key: None for each in made}
        await stream.aclose()

    asyncio.run(body())


def test_a_policy_without_rules_goes_and_comes_back():
    async def body() -> None:
        store = MemoryDatastore()
        stream = Syncer(store).stream()
        made = await store.create(policy(*KINDS[2]))
        assert await until(stream, 1) == {made.key: convert(made)}
        await store.update(policy(*KINDS[2], ingress=[]))
        assert await until(stream, 2) == {made.key: None}
        again = await store.update(policy(*KINDS[2]))
        assert await until(stream, 3) == {made.key: convert(again)}
        await stream.aclose()

    asyncio.run(body())


def test_what_can_not_be_converted_is_said_with_the_stored_object():
    async def body() -> None:
        store = MemoryDatastore()
        warnings: list[SyncWarning] = []
        stream = Syncer(store, on_warning=warnings.append).stream()
        odd = await store.create(policy(*KINDS[0], ingress=[{**RULE, "from": [{}]}]))
        (value,) = (await until(stream, 1)).values()
        assert [rule.action for rule in value.spec.ingress] == ["Deny"]
        (warning,) = warnings
        assert warning.key == odd.key
        assert str(warning).startswith("AdminNetworkPolicy default: ingress[0]: ")
        await stream.aclose()

    asyncio.run(body())
