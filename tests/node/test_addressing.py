"""The node's addresses get into its Node: given, found out, found anew, never another node's."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from tortie.api import Key, Node, NodeBgp, NodeSpec, ObjectMeta, Resource
from tortie.api.calico.node import NodeAddress
from tortie.datastore import Closed, Datastore, Listing, Unavailable
from tortie.datastore.memory import MemoryDatastore
from tortie.net import parse_prefix
from tortie.node import addressing
from tortie.node.addressing import Addressing, AddressTaken, wanted_addresses
from tortie.node.autodetect import Held, Surroundings

KEY = Key("Node", "", "n1")


def run(scenario: Callable[[MemoryDatastore, list[str]], Awaitable[None]]) -> None:
    asyncio.run(scenario(MemoryDatastore(), []))


def made(store: Datastore, told: list[str], **environ: str) -> Addressing:
    return Addressing(store, "n1", wanted_addresses(environ), told.append, told.append)


async def addresses(store: Datastore) -> tuple[str, str]:
    node = await store.get(KEY)
    assert isinstance(node, Node)
    assert node.spec.bgp is not None
    return node.spec.bgp.ipv4_address, node.spec.bgp.ipv6_address


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> list[Held]:
    """What the machine has; a test changes it."""
    held = [Held("eth0", parse_prefix("192.0.2.5/24"), True)]
    monkeypatch.setattr(
        addressing, "surroundings", lambda _, internal: Surroundings(held, {}, internal)
    )
    return held


def test_given_addresses_are_written_once() -> None:
    async def scenario(store: MemoryDatastore, told: list[str]) -> None:
        await made(store, told, IP="192.0.2.5/24", IP6="2001:db8::5/64").run()
        assert await addresses(store) == ("192.0.2.5/24", "2001:db8::5/64")
        assert told == []

    run(scenario)


@pytest.mark.parametrize("environ", [{}, {"IP": "none"}, {"IP": "", "IP6": "none"}])
def test_without_a_word_nothing_is_written(environ: dict[str, str]) -> None:
    async def scenario(store: MemoryDatastore, told: list[str]) -> None:
        await made(store, told, **environ).run()
        assert await store.revision() == 0

    run(scenario)


@pytest.mark.parametrize(
    ("environ", "reason"),
    [
        ({"IP": "192.0.2.5/40"}, "192.0.2.5/40"),
        ({"IP": "2001:db8::5/64"}, "not an IPv4 address"),
        ({"IP": "somewhere"}, "somewhere"),
        (
            {"IP": "autodetect", "IP_AUTODETECTION_METHOD": "eth0"},
            "IP_AUTODETECTION_METHOD: 'eth0'",
        ),
        ({"IP6": "autodetect", "IP6_AUTODETECTION_METHOD": "cidr=x"}, "IP6_AUTODETECTION_METHOD"),
        ({"AUTODETECT_POLL_INTERVAL": "often"}, "often"),
    ],
)
def test_what_makes_no_sense_is_refused_at_the_start(environ: dict[str, str], reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        wanted_addresses(environ)


def test_a_moved_address_is_found_anew_and_told(machine: list[Held]) -> None:
    async def scenario(store: MemoryDatastore, told: list[str]) -> None:
        node = made(store, told, IP="autodetect")
        await node.settle()
        await node.settle()
        assert await addresses(store) == ("192.0.2.5/24", "")
        machine[:] = [Held("eth0", parse_prefix("192.0.2.6/24"), True)]
        await node.settle()
        assert await addresses(store) == ("192.0.2.6/24", "")
        assert [line.split(":")[1] for line in told] == [" 192.0.2.5/24", " 192.0.2.6/24"]

    run(scenario)


def test_addresses_of_both_versions_are_told_once(machine: list[Held]) -> None:
    """And not at each look, because the other version's was told in between."""
    machine.append(Held("eth0", parse_prefix("2001:db8::5/64"), True))

    async def scenario(store: MemoryDatastore, told: list[str]) -> None:
        node = made(store, told, IP="autodetect", IP6="autodetect")
        for _ in range(3):
            await node.settle()
        assert [line.split(": ")[:2] for line in told] == [
            ["IPv4", "192.0.2.5/24"],
            ["IPv6", "2001:db8::5/64"],
        ]

    run(scenario)


def test_an_interval_of_nothing_is_one_look(machine: list[Held]) -> None:
    assert machine

    async def scenario(store: MemoryDatastore, told: list[str]) -> None:
        node = made(store, told, IP="autodetect", AUTODETECT_POLL_INTERVAL="0")
        await asyncio.wait_for(node.run(), 60)
        assert await addresses(store) == ("192.0.2.5/24", "")

    run(scenario)


def test_trouble_that_comes_back_is_told_again(
    machine: list[Held], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert machine
    looks = iter([1, 1, 0, 0, 1, 1, 0])

    class Unsteady(MemoryDatastore):
        async def list(self, kind: str, namespace: str | None = None) -> Listing:
            if next(looks, 2) == 1:
                raise Unavailable("connection refused")
            if not looks.__length_hint__():
                await self.close()  # which ends it
            return await super().list(kind, namespace)

    class AtOnce:
        async def wait(self) -> None:
            await asyncio.sleep(0)

    monkeypatch.setattr(addressing, "Backoff", AtOnce)

    async def scenario(_: MemoryDatastore, told: list[str]) -> None:
        node = made(Unsteady(), told, IP="autodetect", AUTODETECT_POLL_INTERVAL="1ms")
        with pytest.raises(Closed):
            await node.run()
        assert told.count("connection refused") == 2
        assert len(told) == 3  # and the address once

    run(scenario)


def test_an_address_that_is_gone_stays_in_the_node(machine: list[Held]) -> None:
    """An interface that is down for a moment must not take the node from the cluster."""

    async def scenario(store: MemoryDatastore, told: list[str]) -> None:
        node = made(store, told, IP="autodetect")
        await node.settle()
        machine.clear()
        await node.settle()
        assert await addresses(store) == ("192.0.2.5/24", "")
        assert "none of the machine's addresses fits" in told[-1]

    run(scenario)


def test_what_kubernetes_says_is_taken(machine: list[Held]) -> None:
    async def scenario(store: MemoryDatastore, told: list[str]) -> None:
        del machine[1:]
        internal = NodeAddress(address="192.0.2.5", type="InternalIP")
        await store.create(
            Node(metadata=ObjectMeta(name="n1"), spec=NodeSpec(addresses=(internal,)))
        )
        how = "kubernetes-internal-ip"
        await made(store, told, IP="autodetect", IP_AUTODETECTION_METHOD=how).settle()
        assert await addresses(store) == ("192.0.2.5/24", "")

    run(scenario)


@pytest.mark.parametrize("unchecked", ["", "true"])
@pytest.mark.parametrize(
    "theirs",
    [
        NodeBgp(ipv4_address="192.0.2.5/16"),
        NodeBgp(ipv4_address="192.0.2.9/24", ipv6_address="2001:db8::5/56"),
    ],
)
def test_another_nodes_address_is_not_taken(unchecked: str, theirs: NodeBgp) -> None:
    async def scenario(store: MemoryDatastore, told: list[str]) -> None:
        await store.create(Node(metadata=ObjectMeta(name="n2"), spec=NodeSpec(bgp=theirs)))
        both = {"IP": "192.0.2.5/24", "IP6": "2001:db8::5/64"}
        node = made(store, told, **both, DISABLE_NODE_IP_CHECK=unchecked)
        if unchecked:
            await node.settle()
            assert await addresses(store) == ("192.0.2.5/24", "2001:db8::5/64")
            return
        with pytest.raises(AddressTaken, match="node n2 has the address"):
            await node.settle()
        assert len((await store.list("Node")).resources) == 1

    run(scenario)


@pytest.mark.parametrize(
    "theirs",
    [
        None,
        NodeBgp(),
        NodeBgp(ipv4_address="192.0.2.6/24", ipv6_address="2001:db8::6/64"),
        NodeBgp(ipv4_address="nonsense"),
    ],
)
def test_what_other_nodes_have_besides_is_in_nobodys_way(theirs: NodeBgp | None) -> None:
    async def scenario(store: MemoryDatastore, told: list[str]) -> None:
        await store.create(Node(metadata=ObjectMeta(name="n2"), spec=NodeSpec(bgp=theirs)))
        await made(store, told, IP="192.0.2.5/24", IP6="2001:db8::5/64").settle()
        assert await addresses(store) == ("192.0.2.5/24", "2001:db8::5/64")
        await made(store, told, IP="192.0.2.5/24", IP6="2001:db8::5/64").settle()  # nor its own

    run(scenario)


def test_a_node_is_registered_once_its_datastore_is_there_and_each_reason_told_once() -> None:
    class Away(MemoryDatastore):
        tries = 0

        async def get(self, key: Key) -> Resource:
            self.tries += 1
            if self.tries < 4:
                raise Unavailable("connection refused")
            return await super().get(key)

    async def scenario(_: MemoryDatastore, told: list[str]) -> None:
        store = Away()
        await made(store, told, IP="192.0.2.5/24").run()
        assert told == ["connection refused"]
        assert await addresses(store) == ("192.0.2.5/24", "")
        await store.close()
        with pytest.raises(Closed):
            await made(store, told, IP="192.0.2.5/24").run()

    run(scenario)


def test_an_address_alone_gets_the_subnet_that_its_interface_has(machine: list[Held]) -> None:
    async def scenario(store: MemoryDatastore, told: list[str]) -> None:
        assert machine
        await made(store, told, IP="192.0.2.5").run()
        assert await addresses(store) == ("192.0.2.5/24", "")
        await made(store, told, IP="192.0.2.77").run()
        assert await addresses(store) == ("192.0.2.77/32", "")
        assert "192.0.2.77 is on no interface" in told[-1]

    run(scenario)


@pytest.mark.parametrize(("said", "references"), [("", []), ("machine-9", ["machine-9"])])
def test_only_who_is_kubernetes_says_so(said: str, references: list[str]) -> None:
    """Else whoever cleans up after machines that left Kubernetes would take it for one of them."""

    async def scenario(store: MemoryDatastore, told: list[str]) -> None:
        await made(store, told, IP="192.0.2.5/24", CALICO_K8S_NODE_REF=said).run()
        node = await store.get(KEY)
        assert isinstance(node, Node)
        assert [one.node_name for one in node.spec.orch_refs] == references

    run(scenario)
