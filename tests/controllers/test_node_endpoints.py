"""Host endpoints that nodes get by themselves: which, and that they follow what they stand for."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from strategies.controllers import World, drop, eventually, node, put, settings_with, template
from tortie.api import Key, Node, NodeBgp, NodeSpec, ObjectMeta
from tortie.api.calico.host_endpoint import HostEndpoint, HostEndpointSpec
from tortie.api.calico.node import NodeAddress, NodeInterface, NodeWireguard
from tortie.api.validation import validate
from tortie.controllers.host_endpoints import wanted_endpoints
from tortie.controllers.settings import Settings
from tortie.datastore.memory import MemoryDatastore

FULL = Node(
    metadata=ObjectMeta(name="n1", labels={"rack": "a"}),
    spec=NodeSpec(
        bgp=NodeBgp(
            ipv4_address="172.16.0.1/24",
            ipv6_address="fd00::1/64",
            ipv4_ipip_tunnel_addr="10.0.0.1",
        ),
        ipv4_vxlan_tunnel_addr="10.0.0.2",
        ipv6_vxlan_tunnel_addr="fd01::2",
        wireguard=NodeWireguard(
            interface_ipv4_address="10.0.0.3", interface_ipv6_address="fd01::3"
        ),
        addresses=(
            NodeAddress(address="172.16.0.1/24", type="CalicoNodeIP"),
            NodeAddress(address="172.16.0.1", type="InternalIP"),
            NodeAddress(address="172.16.9.1", type="InternalIP"),
            NodeAddress(address="203.0.113.1", type="ExternalIP"),
            NodeAddress(address="nonsense", type="InternalIP"),
        ),
        interfaces=(
            NodeInterface(name="eth0", addresses=("172.16.0.1",)),
            NodeInterface(name="eth1", addresses=("192.0.2.1/24", "fd02::1/64")),
            NodeInterface(name="Bond_0", addresses=()),
        ),
    ),
)
EVERY = (
    *("172.16.0.1", "fd00::1", "10.0.0.1", "10.0.0.2", "fd01::2", "10.0.0.3", "fd01::3"),
    *("172.16.9.1", "192.0.2.1", "fd02::1"),
)


def endpoints(settings: Settings, of: Node = FULL) -> dict[str, HostEndpoint]:
    found, problems = wanted_endpoints(of, settings)
    assert problems == []
    for name, one in found.items():
        assert one.metadata.name == name
        assert validate(one) == ()
    return found


def test_the_default_endpoint_is_calicos() -> None:
    (found,) = endpoints(settings_with(True)).values()
    assert found == HostEndpoint(
        metadata=ObjectMeta(
            name="n1-auto-hep",
            labels={"rack": "a", "projectcalico.org/created-by": "calico-kube-controllers"},
        ),
        spec=HostEndpointSpec(
            node="n1",
            interface_name="*",
            expected_ips=EVERY,
            profiles=("projectcalico-default-allow",),
        ),
    )


def test_none_where_it_is_switched_off() -> None:
    assert endpoints(settings_with(False, template("t", "", "eth"))) == {}
    assert endpoints(settings_with(True, default=False)) == {}


def test_a_template_chooses_addresses() -> None:
    chosen = template("inside", "rack == 'a'", "", "10.0.0.0/30", "fd01::/16")
    (found,) = endpoints(settings_with(True, chosen, default=False)).values()
    assert found.metadata.name == "n1-inside-auto-hep"
    assert found.spec.interface_name == ""
    assert found.spec.expected_ips == ("10.0.0.1", "10.0.0.2", "fd01::2", "10.0.0.3", "fd01::3")


@pytest.mark.parametrize(
    "chosen",
    [template("other", "rack == 'b'", "eth"), template("none", "", "", "198.51.100.0/24")],
    ids=["of other nodes", "of no address"],
)
def test_a_template_that_finds_nothing_makes_none(chosen) -> None:
    assert endpoints(settings_with(True, chosen, default=False)) == {}


def test_a_template_makes_one_for_each_interface_that_its_pattern_finds() -> None:
    chosen = replace(
        template("nic", "", "eth|^bond_0$"),
        labels={"rack": "mine", "zone": "x"},
        annotations={"a": "b"},
    )
    found = endpoints(settings_with(True, chosen, default=False))
    assert {one.spec.interface_name: one.spec.expected_ips for one in found.values()} == {
        "eth0": ("172.16.0.1",),
        "eth1": ("192.0.2.1", "fd02::1"),
    }
    assert set(found) == {"n1-nic-eth0-auto-hep", "n1-nic-eth1-auto-hep"}
    one = found["n1-nic-eth0-auto-hep"]
    assert one.metadata.labels["rack"] == "mine"
    assert one.metadata.labels["zone"] == "x"
    assert one.metadata.annotations == {"a": "b"}


def test_a_name_that_can_not_be_stored_is_replaced_by_a_hash() -> None:
    (odd,) = endpoints(settings_with(True, template("t", "", "Bond"), default=False))
    assert odd.endswith("-auto-hep")
    assert "_" not in odd
    long = replace(FULL, metadata=ObjectMeta(name="n" * 250))
    (name,) = endpoints(settings_with(True), long)
    assert len(name) <= 253


@pytest.mark.parametrize(
    "bad",
    [
        template("t", "rack ==", "eth"),
        template("t", "", "("),
        template("t", "", "", "nonsense"),
        template("", "", "eth"),
    ],
    ids=["selector", "pattern", "CIDR", "name"],
)
def test_a_template_that_can_not_be_used_is_told_and_harms_no_other(bad) -> None:
    found, (problem,) = wanted_endpoints(FULL, settings_with(True, bad, template("g", "", "eth0")))
    assert set(found) == {"n1-auto-hep", "n1-g-eth0-auto-hep"}
    assert bad.generate_name in problem


@given(st.lists(st.sampled_from(["", "t", "u"]), max_size=3), st.booleans(), st.booleans())
def test_names_are_unique_and_it_says_the_same_twice(names, default, enabled) -> None:
    chosen = [template(name, "", pattern) for name in names for pattern in ("eth", "")]
    settings = settings_with(enabled, *chosen, default=default)
    assert wanted_endpoints(FULL, settings) == wanted_endpoints(FULL, settings)


def test_they_follow_node_and_settings_and_leave_peoples_own() -> None:
    own = HostEndpoint(
        metadata=ObjectMeta(name="n2-auto-hep", labels={"mine": "yes"}),
        spec=HostEndpointSpec(node="n2", interface_name="eth9"),
    )

    async def scenario() -> None:
        world = World()
        for one in (FULL, node("n2"), own):
            await world.store.create(one)
        world.settings.put(settings_with(True))

        async def names() -> set[str]:
            return set(await world.all("HostEndpoint"))

        async with world.running():
            await eventually(lambda: is_so(names, {"n1-auto-hep", "n2-auto-hep"}))
            await put(world.store, replace(FULL, metadata=ObjectMeta(name="n1", labels={"x": "y"})))
            await eventually(lambda: has_label(world, "n1-auto-hep", "x", "y"))
            await drop(world.store, Key("HostEndpoint", "", "n1-auto-hep"))  # somebody's slip
            await eventually(lambda: is_so(names, {"n1-auto-hep", "n2-auto-hep"}))
            world.settings.put(settings_with(True, template("t", "", "eth0"), default=False))
            await eventually(lambda: is_so(names, {"n1-t-eth0-auto-hep", "n2-auto-hep"}))
            await drop(world.store, FULL.key)
            await eventually(lambda: is_so(names, {"n2-auto-hep"}))
            await put(world.store, FULL)
            await eventually(lambda: is_so(names, {"n1-t-eth0-auto-hep", "n2-auto-hep"}))
            world.settings.put(settings_with(False))
            await eventually(lambda: is_so(names, {"n2-auto-hep"}))
            world.settings.put(settings_with(True))  # later: both nodes have been looked at
            await eventually(lambda: is_so(names, {"n1-auto-hep", "n2-auto-hep"}))
        kept = (await world.all("HostEndpoint"))["n2-auto-hep"]
        assert kept.spec == own.spec
        assert kept.metadata.labels == own.metadata.labels

    asyncio.run(scenario())


def test_endpoints_of_a_node_that_can_not_be_read_stay() -> None:
    """Without them its policies for hosts would be in force no more."""

    async def scenario() -> None:
        store = MemoryDatastore()
        world = World(store)
        world.settings.put(settings_with(True))
        await store.create(node("n1"))

        async def is_there() -> bool:
            return "n1-auto-hep" in await world.all("HostEndpoint")

        async def tried() -> bool:
            return world.metrics.failing.get("automatic host endpoints", lambda: 0)() == 1

        async with world.running():
            await eventually(is_there)
        await store.put_raw(Key("Node", "", "n1"), b"no JSON")
        async with world.running():  # as after a restart: nothing of before is known
            await eventually(tried)
        assert await is_there()

    asyncio.run(scenario())


async def is_so(found, wanted) -> bool:
    return await found() == wanted


async def has_label(world: World, name: str, key: str, value: str) -> bool:
    found = (await world.all("HostEndpoint")).get(name)
    return found is not None and found.metadata.labels.get(key) == value
