"""What follows from Kubernetes' objects: names, that only differences are written, and the end."""

import asyncio
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from structlog.testing import capture_logs

from strategies.controllers import HISTORIES, Unsure, World, drop, eventually, put
from strategies.faults import pod
from strategies.resources import resources
from tortie.api import (
    GlobalNetworkPolicy,
    GlobalNetworkPolicySpec,
    Key,
    KubernetesNetworkPolicy,
    Namespace,
    NetworkPolicy,
    NetworkPolicySpec,
    ObjectMeta,
    PodStatus,
    Profile,
    ProfileSpec,
    Resource,
    ServiceAccount,
    WorkloadEndpoint,
    WorkloadEndpointSpec,
    decode,
)
from tortie.controllers import kube_policies, kube_profiles
from tortie.controllers.controller import Side
from tortie.controllers.feed import Feed
from tortie.controllers.kept import kept
from tortie.controllers.kube_pods import Endpoints, follow, followed
from tortie.datastore.memory import MemoryDatastore
from tortie.kubernetes import conversion
from tortie.kubernetes.names import POD_UID


def policy(name: str, label: str = "x") -> KubernetesNetworkPolicy:
    """A policy of the namespace `shop`."""
    text = (
        '{"metadata":{"name":"%s","namespace":"shop"},"spec":{"podSelector":{"matchLabels":'
        '{"app":"%s"}},"policyTypes":["Ingress"],"ingress":[{"ports":[{"port":80}]}]}}'
    )
    found = decode("KubernetesNetworkPolicy", (text % (name, label)).encode())
    assert isinstance(found, KubernetesNetworkPolicy)
    return found


SOURCES = [
    (
        Key("KubernetesNetworkPolicy", "shop", "web"),
        Key("NetworkPolicy", "shop", "knp.default.web"),
    ),
    (
        Key("KubernetesAdminNetworkPolicy", "", "a.b"),
        Key("GlobalNetworkPolicy", "", "kanp.adminnetworkpolicy.a.b"),
    ),
    (
        Key("KubernetesBaselineAdminNetworkPolicy", "", "default"),
        Key("GlobalNetworkPolicy", "", "kbanp.baselineadminnetworkpolicy.default"),
    ),
    (
        Key("KubernetesClusterNetworkPolicy", "", "c"),
        Key("GlobalNetworkPolicy", "", "kcnp.c"),
    ),
]


@pytest.mark.parametrize(("source", "target"), SOURCES)
def test_names_of_policies_are_calicos_and_lead_back(source: Key, target: Key) -> None:
    assert kube_policies.target_of(source) == target
    assert kube_policies.source_of(target) == source


@pytest.mark.parametrize(
    "name", ["web", "default.web", "knp.default.", "knp.other.web", "kanp.adminnetworkpolicy.x"]
)
def test_other_policies_of_a_namespace_are_somebodys_own(name: str) -> None:
    assert kube_policies.source_of(Key("NetworkPolicy", "shop", name)) is None


@pytest.mark.parametrize(
    ("source", "name"),
    [
        (Key("Namespace", "", "shop"), "kns.shop"),
        (Key("ServiceAccount", "shop", "a.b"), "ksa.shop.a.b"),
    ],
)
def test_names_of_profiles_are_calicos_and_lead_back(source: Key, name: str) -> None:
    profile = Key("Profile", "", name)
    assert kube_profiles.profile_of(source) == profile
    found = [kube_profiles.namespace_of(profile), kube_profiles.account_of(profile)]
    assert [one for one in found if one] == [source]


@pytest.mark.parametrize("name", ["mine", "kns.", "ksa.shop", "ksa.shop.", "projectcalico-default"])
def test_other_profiles_are_somebodys_own(name: str) -> None:
    profile = Key("Profile", "", name)
    assert kube_profiles.namespace_of(profile) is None
    assert kube_profiles.account_of(profile) is None


def endpoint(**labels: str) -> WorkloadEndpoint:
    return WorkloadEndpoint(
        metadata=ObjectMeta(name="node--a-k8s-w-eth0", namespace="web", labels=labels),
        spec=WorkloadEndpointSpec(
            node="node-a", orchestrator="k8s", pod="w", ip_networks=("10.0.0.1/32",)
        ),
    )


def test_an_endpoint_has_its_pods_labels_and_those_that_can_not_be_forged() -> None:
    given = pod("w", app="x", **{"projectcalico.org/namespace": "forged"})
    found = followed(endpoint(old="1", **{"projectcalico.org/network": "net1"}), given)
    assert found is not None
    assert found.metadata.labels == {
        "app": "x",
        "projectcalico.org/namespace": "web",
        "projectcalico.org/network": "net1",
        "projectcalico.org/orchestrator": "k8s",
    }
    assert found.spec == endpoint().spec
    assert followed(found, given) is None


def test_a_pod_that_has_ended_has_no_address_any_more() -> None:
    ended = replace(pod("w"), status=PodStatus(phase="Succeeded", pod_ip="10.0.0.1"))
    found = followed(endpoint(), ended)
    assert found is not None
    assert found.spec.ip_networks == ()


def pods_endpoint_after(now: PodStatus | None) -> WorkloadEndpoint:
    """An endpoint, after a look with a picture of an earlier Pod of its name that has ended."""

    async def run() -> WorkloadEndpoint:
        store = MemoryDatastore()
        old = replace(pod("w"), status=PodStatus(phase="Failed"))
        given = await store.create(endpoint())
        if now is not None:
            await store.create(replace(pod("w"), status=now))
        feed = Feed(store, ("Pod", "WorkloadEndpoint"), lambda _: None)
        for one in (given, old):
            feed._take(one.key, one)
        side = Side(store, feed)
        await follow(old.key, Endpoints(feed), side, side)
        found = await store.get(given.key)
        assert isinstance(found, WorkloadEndpoint)
        return found

    return asyncio.run(run())


def test_a_picture_that_is_behind_takes_no_address_of_a_pods_successor() -> None:
    assert pods_endpoint_after(PodStatus(phase="Running")).spec == endpoint().spec
    assert pods_endpoint_after(None).spec == endpoint().spec
    assert pods_endpoint_after(PodStatus(phase="Failed")).spec.ip_networks == ()


@settings(max_examples=HISTORIES)
@given(resources("Pod"))
def test_what_is_kept_of_a_pod_says_the_same_of_its_endpoints(given) -> None:
    some = replace(given, spec=replace(given.spec, node_name="node-a"))
    assert followed(endpoint(), kept(some)) == followed(endpoint(), some)


def test_an_endpoint_of_an_earlier_pod_of_that_name_is_left() -> None:
    assert followed(endpoint(), pod("w", node="node-b")) is None


@pytest.mark.parametrize(
    ("told", "annotations", "follows"),
    [
        ("", {}, True),  # by who stored it before the runtime told
        ("uid-1", {}, True),
        ("uid-0", {}, False),
        ("uid-0", {"kubernetes.io/config.mirror": "uid-0"}, True),
    ],
)
def test_an_endpoint_follows_the_one_pod_that_it_is_of(
    told: str, annotations: dict[str, str], follows: bool
) -> None:
    """A picture that is behind has an earlier Pod of that name, whose labels are another's."""
    given = endpoint()
    metadata = replace(given.metadata, annotations={POD_UID: told} if told else {})
    source = pod("w", app="x")
    shown = replace(source, metadata=replace(source.metadata, uid="uid-1", annotations=annotations))
    for one in (shown, kept(shown)):
        assert (followed(replace(given, metadata=metadata), one) is not None) == follows


def test_what_is_right_is_not_written_again() -> None:
    async def scenario() -> None:
        world = World()
        await world.kubernetes.create(policy("p"))
        await world.kubernetes.create(Namespace(metadata=ObjectMeta(name="shop")))
        async with world.running():
            await eventually(lambda: has(world, {"knp.default.p"}, {"kns.shop"}))
        before = await world.store.revision()
        again = policy("q")
        async with world.running():
            await world.kubernetes.create(again)
            await eventually(lambda: has(world, {"knp.default.p", "knp.default.q"}, {"kns.shop"}))
        # One policy and nothing else, but for what is told of the configuration at each start.
        changed = [
            key
            async for key in changes(world.store, before)
            if key.kind != "KubeControllersConfiguration"
        ]
        assert changed == [Key("NetworkPolicy", "shop", "knp.default.q")]

    asyncio.run(scenario())


async def changes(store: MemoryDatastore, since: int):
    """The objects that were written after a revision."""
    now = await store.revision()
    kinds = ("NetworkPolicy", "Profile", "WorkloadEndpoint", "KubeControllersConfiguration", "Node")
    async for batch in store.watch(kinds, since):
        for event in batch.events:
            yield event.key
        if batch.revision >= now:
            return


async def has(world: World, policies: set[str], profiles: set[str]) -> bool:
    found = set(await world.all("NetworkPolicy")), set(await world.all("Profile"))
    return found == (policies, profiles)


def test_a_policy_whose_source_can_not_be_read_stays_in_force() -> None:
    async def scenario() -> None:
        world = World(kubernetes=Unsure("KubernetesNetworkPolicy"))
        kept = NetworkPolicy(
            metadata=ObjectMeta(name="knp.default.web", namespace="shop"), spec=NetworkPolicySpec()
        )
        await world.store.create(kept)

        async def tried() -> bool:
            return world.metrics.failing.get("policies of Kubernetes", lambda: 0)() == 1

        async with world.running():
            await eventually(tried)
        assert set(await world.all("NetworkPolicy")) == {"knp.default.web"}

    asyncio.run(scenario())


def test_what_can_not_be_read_in_a_targets_place_is_written_anew() -> None:
    """A policy that is damaged in the datastore would not be in force."""

    async def scenario() -> None:
        store = MemoryDatastore()
        world = World(store)
        target = Key("NetworkPolicy", "shop", "knp.default.p")
        await store.put_raw(target, b"no JSON")
        await world.kubernetes.create(policy("p"))

        async def mended() -> bool:
            return set(await world.all("NetworkPolicy")) == {target.name}

        async with world.running():
            await eventually(mended)
        found = await store.get(target)
        assert isinstance(found, NetworkPolicy)
        assert "app == 'x'" in found.spec.selector

    asyncio.run(scenario())


def test_what_of_a_source_can_not_be_taken_over_is_said_once() -> None:
    async def scenario() -> None:
        world = World()
        text = (
            b'{"metadata":{"name":"a"},"spec":{"priority":7,"subject":{"namespaces":{}},"egress":['
            b'{"action":"Deny","to":[{"unheardOf":{}}]}]}}'
        )
        source = decode("KubernetesAdminNetworkPolicy", text)
        assert conversion(source).warnings
        await world.kubernetes.create(source)

        async def mirrored(label: str) -> bool:
            found = await world.all("NetworkPolicy")
            return (
                "kanp.adminnetworkpolicy.a" in await world.all("GlobalNetworkPolicy")
                and f"knp.default.{label}" in found
            )

        with capture_logs() as logs:
            async with world.running():
                for number in range(3):
                    await put(world.kubernetes, policy(f"p{number}"))
                    await eventually(lambda number=number: mirrored(f"p{number}"))
                    labelled = replace(source.metadata, labels={"round": str(number)})
                    await put(world.kubernetes, replace(source, metadata=labelled))
        said = [one["event"] for one in logs if one["log_level"] == "warning"]
        assert said == list(conversion(source).warnings)

    asyncio.run(scenario())


OWN: tuple[Resource, ...] = (
    NetworkPolicy(metadata=ObjectMeta(name="knp.mine", namespace="shop"), spec=NetworkPolicySpec()),
    GlobalNetworkPolicy(metadata=ObjectMeta(name="kcnp"), spec=GlobalNetworkPolicySpec()),
    Profile(metadata=ObjectMeta(name="mine"), spec=ProfileSpec()),
)


@settings(max_examples=HISTORIES)
@given(seed=st.integers(0, 2**32))
def test_whatever_happened_with_crashes_it_ends_as_from_nothing(seed: int) -> None:
    asyncio.run(_history(Random(seed)))


async def _history(chance: Random) -> None:
    world = World()
    for own in OWN:
        await world.store.create(own)
    for _ in range(4):
        for _ in range(chance.randrange(8)):
            await _step(world, chance)
        async with world.running():
            for _ in range(chance.randrange(6)):
                await _step(world, chance)
                for _ in range(chance.randrange(60)):  # a crash, anywhere in what they do
                    await asyncio.sleep(0)
    async with world.running():
        await eventually(lambda: _is_right(world))
    for own in OWN:
        assert getattr(await world.store.get(own.key), "spec", None) == getattr(own, "spec", None)


async def _step(world: World, chance: Random) -> None:
    name = chance.choice("ab")
    meta = ObjectMeta(name=name, labels={"l": chance.choice("xy")})
    inside = replace(meta, namespace="shop")
    some: list[Resource] = [
        policy(name, chance.choice("xy")),
        Namespace(metadata=meta),
        ServiceAccount(metadata=inside),
    ]
    source = chance.choice(some)
    target = _target(source)
    match chance.randrange(5):
        case 0 | 1:
            await put(world.kubernetes, source)
        case 2:
            await drop(world.kubernetes, source.key)
        case 3:
            await drop(world.store, target)  # somebody's slip
        case 4:
            await put(world.store, _spoilt(target))


def _target(source: Resource) -> Key:
    policies = source.kind == "KubernetesNetworkPolicy"
    return (kube_policies.target_of if policies else kube_profiles.profile_of)(source.key)


def _spoilt(target: Key) -> Resource:
    meta = ObjectMeta(name=target.name, namespace=target.namespace, labels={"odd": "1"})
    if target.kind == "Profile":
        return Profile(metadata=meta, spec=ProfileSpec())
    return NetworkPolicy(metadata=meta, spec=NetworkPolicySpec(order=7.0))


async def _is_right(world: World) -> bool:
    wanted = {}
    for kind in ("KubernetesNetworkPolicy", "Namespace", "ServiceAccount"):
        for source in (await world.kubernetes.list(kind)).resources:
            value = conversion(source).value
            wanted[_target(source)] = getattr(value, "spec", None)
    found = {}
    own = {one.key for one in OWN}
    for kind in ("NetworkPolicy", "GlobalNetworkPolicy", "Profile"):
        for one in (await world.store.list(kind)).resources:
            if one.key not in own:
                found[one.key] = getattr(one, "spec", None)
    return found == wanted
