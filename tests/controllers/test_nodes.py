"""Nodes and their machines: labels follow, what is gone goes, whatever happened in between."""

import asyncio
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from strategies.controllers import (
    HISTORIES,
    Unsure,
    World,
    drop,
    eventually,
    machine,
    node,
    put,
    settings_with,
    template,
)
from tortie.api import Key, Node, NodeSpec, ObjectMeta, WorkloadEndpoint, WorkloadEndpointSpec
from tortie.api.calico.node import OrchRef
from tortie.api.codec import with_metadata
from tortie.controllers.host_endpoints import is_automatic, wanted_endpoints
from tortie.controllers.node_labels import ANNOTATION, labelled


def test_labels_of_a_machine_come_and_go_and_peoples_own_stay() -> None:
    first = labelled(node("n", "m", own="1"), {"rack": "a", "zone": "z"})
    assert first.metadata.labels == {"own": "1", "rack": "a", "zone": "z"}
    second = labelled(first, {"rack": "b"})
    assert second.metadata.labels == {"own": "1", "rack": "b"}
    assert labelled(second, {}).metadata.labels == {"own": "1"}


def test_nothing_is_written_where_nothing_differs() -> None:
    first = labelled(node("n", "m"), {"rack": "a"})
    assert labelled(first, {"rack": "a"}) is first


def test_a_label_that_was_there_before_goes_with_the_machines() -> None:
    """The same label on both sides: the annotation must be there, or it would stay for ever."""
    found = labelled(node("n", "m", rack="a"), {"rack": "a"})
    assert found.metadata.annotations[ANNOTATION] == '{"rack":"a"}'
    assert labelled(found, {}).metadata.labels == {}


def test_a_label_that_somebody_set_anew_is_theirs() -> None:
    first = labelled(node("n", "m"), {"rack": "a"})
    theirs = with_metadata(first, labels={"rack": "mine"})
    assert labelled(theirs, {}).metadata.labels == {"rack": "mine"}
    assert labelled(theirs, {"rack": "a"}).metadata.labels == {"rack": "a"}


@pytest.mark.parametrize("text", ["{", "[]", "null", '{"a":1}'])
def test_an_annotation_that_says_nothing_takes_nothing_away(text: str) -> None:
    odd = with_metadata(node("n", "m", own="1"), annotations={ANNOTATION: text})
    found = labelled(odd, {"rack": "a"})
    assert found.metadata.labels == {"own": "1", "rack": "a"}
    assert labelled(found, {"rack": "a"}) is found


LABELS = st.dictionaries(st.sampled_from("abc"), st.sampled_from("xy"), max_size=3)


@given(own=LABELS, steps=st.lists(LABELS, min_size=1))
def test_labels_are_the_machines_and_those_that_never_were(own, steps) -> None:
    found = node("n", "m", **own)
    for labels in steps:
        found = labelled(found, labels)
    ever = {key for labels in steps for key in labels}
    rest = {key: value for key, value in own.items() if key not in ever}
    assert found.metadata.labels == {**rest, **steps[-1]}


def workload(of: str) -> WorkloadEndpoint:
    return WorkloadEndpoint(
        metadata=ObjectMeta(name=f"{of}-k8s-web-eth0", namespace="shop"),
        spec=WorkloadEndpointSpec(node=of, orchestrator="k8s", pod="web"),
    )


def test_a_node_goes_with_its_machine_and_no_other_does() -> None:
    refs = (OrchRef(node_name="m1", orchestrator="openstack"),)
    elsewhere = Node(metadata=ObjectMeta(name="elsewhere"), spec=NodeSpec(orch_refs=refs))

    async def scenario() -> None:
        world = World()
        for one in (
            node("n1", "m1"),
            node("n2", "m2"),
            node("bare"),
            elsewhere,
            workload("n1"),
            workload("n2"),
        ):
            await world.store.create(one)
        for name in ("m1", "m2"):
            await world.kubernetes.create(machine(name, rack="r"))

        async def labels() -> bool:
            found = await world.all("Node")
            return all(found[name].metadata.labels == {"rack": "r"} for name in ("n1", "n2"))

        async def gone() -> bool:
            return set(await world.all("Node")) == {"n2", "bare", "elsewhere"}

        async def none_left() -> bool:  # later: what was to be decided of the others has been
            return set(await world.all("Node")) == {"bare", "elsewhere"}

        async with world.running():
            await eventually(labels)
            await world.kubernetes.delete(Key("KubernetesNode", "", "m1"))
            await eventually(gone)
            endpoints = (await world.all("WorkloadEndpoint")).values()
            assert [key.spec.node for key in endpoints] == ["n2"]
            await world.kubernetes.delete(Key("KubernetesNode", "", "m2"))
            await eventually(none_left)

    asyncio.run(scenario())


def test_labels_are_left_alone_while_that_is_switched_off() -> None:
    async def scenario() -> None:
        world = World()
        world.settings.put(settings_with(True, labels=False))
        await world.kubernetes.create(machine("m1", zone="a"))
        await world.store.create(node("n1", "m1"))

        async def seen() -> bool:  # by all controllers: each was told of both
            return set(await world.all("HostEndpoint")) == {"n1-auto-hep", "n2-auto-hep"}

        async def labelled_now() -> bool:
            return (await world.all("Node"))["n1"].metadata.labels == {"zone": "a"}

        async with world.running():
            await eventually(lambda: is_there(world, "n1-auto-hep"))
            await world.store.create(node("n2", "m1"))
            await eventually(seen)
            found = await world.all("Node")
            assert [found[name].metadata.labels for name in ("n1", "n2")] == [{}, {}]
            world.settings.put(settings_with(True))
            await eventually(labelled_now)

    asyncio.run(scenario())


async def is_there(world: World, endpoint: str) -> bool:
    return endpoint in await world.all("HostEndpoint")


def test_a_node_whose_machine_can_not_be_read_stays() -> None:
    async def scenario() -> None:
        world = World(kubernetes=Unsure("KubernetesNode"))
        await world.store.create(node("n1", "m1"))

        async def tried() -> bool:
            failing = 'tortie_controllers_objects_failing{controller="deletion of nodes"} 1.0'
            return failing in world.metrics.page().body.decode()

        async with world.running():
            await eventually(tried)
        assert set(await world.all("Node")) == {"n1"}

    asyncio.run(scenario())


TEMPLATES = (template("t", "a == 'x'", "", "10.0.0.0/8"), template("u", "", "", "10.0.0.0/8"))


@settings(max_examples=HISTORIES)
@given(seed=st.integers(0, 2**32))
def test_whatever_happened_with_crashes_it_ends_as_from_nothing(seed: int) -> None:
    asyncio.run(_history(Random(seed)))


async def _history(chance: Random) -> None:
    """Nodes, machines, labels and settings come and go; controllers run now and then."""
    world = World()
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


async def _step(world: World, chance: Random) -> None:
    number = chance.randrange(3)
    name, where = f"n{number}", f"m{number}"
    labels = {key: chance.choice("xy") for key in chance.sample("abc", chance.randrange(3))}
    match chance.randrange(7):
        case 0:
            await put(world.store, node(name, where, own="1"))
        case 1:
            await put(world.store, node(f"bare{number}"))
        case 2 | 3:
            await put(world.kubernetes, machine(where, **labels))
        case 4:
            await drop(world.kubernetes, Key("KubernetesNode", "", where))
        case 5:
            await drop(world.store, Key("HostEndpoint", "", f"{name}-auto-hep"))
        case 6:
            chosen = chance.sample(TEMPLATES, chance.randrange(3))
            world.settings.put(
                settings_with(chance.random() < 0.7, *chosen, default=chance.random() < 0.7)
            )


async def _is_right(world: World) -> bool:
    """Everything is as the sources alone say, whatever was before."""
    machines = {
        one.metadata.name: one for one in (await world.kubernetes.list("KubernetesNode")).resources
    }
    nodes = await world.all("Node")
    wanted = {}
    for one in nodes.values():
        assert isinstance(one, Node)
        if one.spec.orch_refs:
            its = machines.get(one.spec.orch_refs[0].node_name)
            if its is None or one.metadata.labels != {"own": "1", **its.metadata.labels}:
                return False
        wanted.update(wanted_endpoints(one, world.settings.current)[0])
    found = await world.all("HostEndpoint")
    assert all(is_automatic(one) for one in found.values())
    return {name: (one.spec, one.metadata.labels) for name, one in found.items()} == {
        name: (one.spec, one.metadata.labels) for name, one in wanted.items()
    }
