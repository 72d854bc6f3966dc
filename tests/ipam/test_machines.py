"""A virtual machine's address stays its own while pods come and go, and goes with it."""

import asyncio
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from servers.kube import KubeServer
from strategies.ipam import ask, blocks_in, check_consistent, pool, run
from tortie.api import IPAMHandle, IPAMHandleSpec, Node, NodeSpec, ObjectMeta, Pod, decode
from tortie.controllers.leaks import Leaks
from tortie.datastore import Datastore, open_datastore
from tortie.datastore.memory import MemoryDatastore
from tortie.ipam import IPAM, AssignRequest, IpamError
from tortie.ipam.audit import audit
from tortie.ipam.errors import HandleFull, OwnerChanged
from tortie.ipam.machines import (
    Machine,
    handle_of,
    is_machines,
    is_moved_to,
    is_there,
    machine_of,
)
from tortie.ipam.moving import begin, end, moved
from tortie.ipam.records import read_records
from tortie.ipam.types import Edges, OwnersChange
from tortie.net import Prefix, parse_network

POOLS = (pool("p4", "10.0.0.0/24", block_size=28), pool("p6", "fd00::/120", block_size=124))
VM = Machine("shop", "db")
HANDLE = handle_of("net", VM)


def launcher(owners: str = "", labels: str = "") -> Pod:
    text = f"""{{"metadata": {{"name": "virt-launcher-db-x", "namespace": "shop",
        "labels": {{{labels}}}, "ownerReferences": [{owners}]}},
        "spec": {{"containers": [{{"name": "c"}}]}}}}"""
    found = decode("Pod", text.encode())
    assert isinstance(found, Pod)
    return found


INSTANCE = '{"kind":"VirtualMachineInstance","apiVersion":"kubevirt.io/v1","name":"db"}'


@pytest.mark.parametrize(
    ("owners", "machine"),
    [
        ("", None),
        (INSTANCE, VM),
        ('{"kind":"ReplicaSet","apiVersion":"apps/v1","name":"x"},' + INSTANCE, VM),
        (INSTANCE.replace("kubevirt.io/v1", "example.org/v1"), None),
        (INSTANCE.replace('"db"', '""'), None),
    ],
)
def test_a_pod_tells_whose_machine_it_runs(owners: str, machine: Machine | None) -> None:
    assert machine_of(launcher(owners)) == machine


def test_the_pod_that_a_machine_moves_to_is_known_by_its_label() -> None:
    assert is_moved_to(launcher(INSTANCE, '"kubevirt.io/migrationJobUID":"u"'))
    assert not is_moved_to(launcher(INSTANCE))


def test_handles_are_calicos() -> None:
    assert handle_of("", Machine("default", "vm1")) == "k8s-pod-network.vmi.default.vm1"
    long = handle_of("net", Machine("n" * 63, "v" * 100))
    assert long.startswith("net.vmi._")
    assert len(long) <= 128
    assert is_machines(long)
    assert is_there(long, [VM, Machine("n" * 63, "v" * 100)])
    assert not is_there(long, [VM])
    assert not is_machines("net.0123abcd")


def asked(podname: str, node: str = "n1", **more: int) -> AssignRequest:
    about = {"namespace": "shop", "pod": podname, "node": node}
    return ask(node, HANDLE, attributes=about, **more)


async def owners(ipam: IPAM) -> list[tuple[str, str]]:
    found = (await ipam.owners_of(HANDLE)).values()
    return [(one.active.get("pod", ""), one.alternate.get("pod", "")) for one in found]


def test_it_keeps_its_addresses_through_a_restart_and_a_move() -> None:
    async def scenario(_: Datastore, ipam: IPAM) -> None:
        first = await begin(ipam, asked("a", count6=1), moving=False)
        assert [one.version for one in first] == [4, 6]
        since = next(iter((await ipam.owners_of(HANDLE)).values())).active["timestamp"]
        await end(ipam, HANDLE, asked("a").attributes)
        assert await owners(ipam) == [("", ""), ("", "")]
        assert await begin(ipam, asked("b", count6=1), moving=False) == first
        assert await begin(ipam, asked("b", count6=1), moving=False) == first  # asked once more
        assert await begin(ipam, asked("c", "n2", count6=1), moving=True) == first
        assert await owners(ipam) == [("b", "c")] * 2
        await moved(ipam, HANDLE, asked("c", "n2").attributes)
        assert await owners(ipam) == [("c", "")] * 2
        await end(ipam, HANDLE, asked("b").attributes)  # too late to matter
        assert await owners(ipam) == [("c", "")] * 2
        assert since
        assert len(await ipam.release_by_handle(HANDLE)) == 2

    run(*POOLS, scenario=scenario)


def test_a_move_that_fails_leaves_it_where_it_was() -> None:
    async def scenario(_: Datastore, ipam: IPAM) -> None:
        await begin(ipam, asked("a"), moving=False)
        await begin(ipam, asked("b", "n2"), moving=True)
        await end(ipam, HANDLE, asked("b").attributes)
        assert await owners(ipam) == [("a", "")]
        with pytest.raises(OwnerChanged, match="alternate owner is nobody"):
            await moved(ipam, HANDLE, asked("b").attributes)

    run(*POOLS, scenario=scenario)


def test_the_source_that_ends_first_leaves_it_to_the_target() -> None:
    async def scenario(_: Datastore, ipam: IPAM) -> None:
        await begin(ipam, asked("a"), moving=False)
        await begin(ipam, asked("b", "n2"), moving=True)
        await end(ipam, HANDLE, asked("a").attributes)
        assert await owners(ipam) == [("b", "")]

    run(*POOLS, scenario=scenario)


def test_nobody_changes_the_owner_of_what_another_handle_has() -> None:
    """Nor of what nobody has, in a block that the handle has another address of or none."""

    async def scenario(_: Datastore, ipam: IPAM) -> None:
        (own,) = await begin(ipam, asked("a"), moving=False)
        (other,) = (await ipam.auto_assign(ask("n1", "other", attributes={"pod": "x"}))).ips
        free = Prefix.single(4, max(own.address, other.address) + 1)
        outside = parse_network("10.0.1.1/32")
        before = [await ipam.owners_of(handle) for handle in (HANDLE, "other")]
        for address in (other, free, outside):
            change = OwnersChange(address=address, handle=HANDLE, active={"pod": "thief"})
            with pytest.raises(OwnerChanged, match="is not held by"):
                await ipam.set_owners(change)
        with pytest.raises(OwnerChanged, match="is not held by"):
            await ipam.set_owners(OwnersChange(address=own, handle="nobodys", active={"pod": "t"}))
        assert [await ipam.owners_of(handle) for handle in (HANDLE, "other")] == before
        await ipam.set_owners(OwnersChange(address=own, handle=HANDLE, active={"pod": "next"}))
        assert await owners(ipam) == [("next", "")]

    run(*POOLS, scenario=scenario)


def test_a_handle_never_has_more_than_it_may() -> None:
    async def scenario(_: Datastore, ipam: IPAM) -> None:
        await ipam.auto_assign(ask(handle="h", most=1, count6=1))
        for more in ({}, {"count4": 0, "count6": 1}):
            with pytest.raises(HandleFull, match="at most 1"):
                await ipam.auto_assign(ask(handle="h", most=1, **more))
        with pytest.raises(HandleFull):
            await ipam.auto_assign(ask(handle="other", most=1, count4=2))
        assert len(await ipam.addresses_of("h")) == 2

    run(*POOLS, scenario=scenario)


def test_two_that_ask_at_once_get_one_address_between_them() -> None:
    async def scenario(store: Datastore, _: IPAM) -> None:
        asks = [IPAM(store).auto_assign(ask(f"n{n}", "h", most=1)) for n in range(5)]
        ends = await asyncio.gather(*asks, return_exceptions=True)
        assert sum(not isinstance(one, BaseException) for one in ends) == 1
        assert all(isinstance(one, HandleFull) for one in ends if isinstance(one, BaseException))

    run(*POOLS, scenario=scenario)


def test_a_handle_that_a_crash_left_full_of_nothing_does_not_stop_its_machine() -> None:
    async def scenario(store: Datastore, ipam: IPAM) -> None:
        spec = IPAMHandleSpec(handle_id=HANDLE, block={"10.0.0.0/28": 1})
        await store.create(IPAMHandle(metadata=ObjectMeta(name=HANDLE), spec=spec))
        assert len(await begin(ipam, asked("a"), moving=False)) == 1

    run(*POOLS, scenario=scenario)


@pytest.mark.parametrize(
    "change",
    [
        {"handle": "other"},
        {"expected_active": {"pod": "b"}},
        {"expected_active": {}},
        {"expected_alternate": {"pod": "b"}},
    ],
)
def test_owners_change_only_from_what_the_caller_believes(change: dict[str, object]) -> None:
    async def scenario(_: Datastore, ipam: IPAM) -> None:
        (address,) = await begin(ipam, asked("a"), moving=False)
        wanted = replace(
            OwnersChange(address=address, handle=HANDLE, active={"pod": "c"}), **change
        )
        with pytest.raises(OwnerChanged):
            await ipam.set_owners(wanted)
        assert await owners(ipam) == [("a", "")]

    run(*POOLS, scenario=scenario)


STEPS = st.lists(
    st.tuples(st.sampled_from(["begin", "move", "end", "moved"]), st.sampled_from(["a", "b", "c"])),
    max_size=12,
)


@given(STEPS)
def test_whatever_pods_do_the_address_stays_and_never_has_the_same_owner_twice(
    steps: list[tuple[str, str]],
) -> None:
    async def scenario(store: Datastore, ipam: IPAM) -> None:
        (address,) = await begin(ipam, asked("z"), moving=False)
        await ipam.auto_assign(ask(handle="neighbour"))
        for what, name in steps:
            await step(ipam, what, asked(name).attributes)
            assert await ipam.addresses_of(HANDLE) == (address,)
            ((active, alternate),) = await owners(ipam)
            assert not alternate or (active and active != alternate)
            await check_consistent(store)

    run(*POOLS, scenario=scenario)


async def step(ipam: IPAM, what: str, owner: Mapping[str, str]) -> None:
    request = asked(owner["pod"])
    try:
        match what:
            case "begin" | "move":
                await begin(ipam, request, moving=what == "move")
            case "end":
                await end(ipam, HANDLE, owner)
            case "moved":
                await moved(ipam, HANDLE, owner)
    except OwnerChanged:
        return


class WithMachines(MemoryDatastore):
    """A store beside which there are virtual machines."""

    machines: frozenset[tuple[str, str]] = frozenset({("shop", "db")})

    async def names(self, group_version: str, plural: str) -> frozenset[tuple[str, str]]:
        assert group_version == "kubevirt.io/v1"
        return self.machines if plural == "virtualmachines" else frozenset()


@pytest.mark.parametrize("kind", [MemoryDatastore, WithMachines])
def test_a_stopped_machines_address_is_no_leak(kind: type[MemoryDatastore]) -> None:
    """Where nobody can say whether there is such a machine it is none, too."""

    async def body() -> None:
        store = kind()
        await store.create(POOLS[0])
        await store.create(Node(metadata=ObjectMeta(name="n1"), spec=NodeSpec()))
        ipam = IPAM(store)
        await begin(ipam, asked("a"), moving=False)
        await end(ipam, HANDLE, asked("a").attributes)
        found = audit(await read_records(store))
        assert found.leaked == ()

    asyncio.run(body())


def test_a_gone_machines_address_is_given_back_after_five_minutes_at_least() -> None:
    async def body() -> None:
        store = WithMachines()
        await store.create(POOLS[0])
        await store.create(Node(metadata=ObjectMeta(name="n1"), spec=NodeSpec()))
        ipam = IPAM(store)
        await begin(ipam, asked("a"), moving=False)
        await end(ipam, HANDLE, asked("a").attributes)
        store.machines = frozenset()
        leaks = Leaks(60.0)
        records = await read_records(store)
        found = audit(records)
        assert "there is no such machine" in found.leaked[0].leak
        looks = [leaks.look(found, records.nodes, now) for now in (0.0, 100.0, 299.0, 301.0)]
        assert [len(one) for one in looks] == [0, 0, 0, 1]

    asyncio.run(body())


def test_a_moving_machines_address_is_not_called_doubled() -> None:
    async def body() -> None:
        store = WithMachines()
        await store.create(POOLS[0])
        await store.create(Node(metadata=ObjectMeta(name="n1"), spec=NodeSpec()))
        ipam = IPAM(store)
        (address,) = await begin(ipam, asked("a"), moving=False)
        for name in ("a", "b"):
            text = f"""{{"metadata": {{"name": "{name}", "namespace": "shop"}},
                "spec": {{"nodeName": "n1", "containers": [{{"name": "c"}}]}},
                "status": {{"podIP": "{str(address).removesuffix("/32")}"}}}}"""
            await store.create(decode("Pod", text.encode()))
        assert [one.what for one in audit(await read_records(store)).findings] == ["doubled"]
        await begin(ipam, asked("b", "n2"), moving=True)
        assert [one.what for one in audit(await read_records(store)).findings] == []

    asyncio.run(body())


@pytest.mark.parametrize("family", [4, 6])
def test_edges_of_a_block_go_to_nobody(family: int) -> None:
    """As Windows' networks need it; and a block with nothing else is empty."""

    async def scenario(store: Datastore, ipam: IPAM) -> None:
        request = ask(
            count4=13 * (family == 4), count6=13 * (family == 6), edges=Edges(), most_blocks=1
        )
        with pytest.raises(IpamError, match="at most 1 blocks"):
            await ipam.auto_assign(request)
        exact = replace(request, count4=request.count4 and 12, count6=request.count6 and 12)
        given_ = (await ipam.auto_assign(exact)).ips
        assert [one.address & 15 for one in sorted(given_)] == list(range(3, 15))
        assert [
            one.what for one in audit(await read_records(store)).findings if one.what != "leaked"
        ] == ["claim"]
        await ipam.release_by_handle("h1")
        (block,) = await blocks_in(store)
        assert await ipam.release_block("n1", parse_network(block.spec.cidr))
        assert await blocks_in(store) == []

    run(*POOLS, scenario=scenario)


def test_a_block_can_be_had_before_any_address() -> None:
    async def scenario(_: Datastore, ipam: IPAM) -> None:
        first = await ipam.ensure_block(ask())
        assert await ipam.ensure_block(ask()) == first
        (address,) = (await ipam.auto_assign(ask())).ips
        assert first.contains(address)

    run(*POOLS, scenario=scenario)


def test_claims_of_an_older_release_get_their_type_and_label() -> None:
    async def scenario(store: Datastore, ipam: IPAM) -> None:
        await ipam.auto_assign(ask())
        (claim,) = (await store.list("BlockAffinity")).resources
        await store.update(replace(claim, spec=replace(claim.spec, type="")))  # type: ignore[attr-defined]
        await ipam.upgrade_node("n1")
        (found,) = (await store.list("BlockAffinity")).resources
        assert found.spec.type == "host"  # type: ignore[attr-defined]
        assert found.metadata.labels["projectcalico.org/affinity-type"] == "host"
        await ipam.upgrade_node("n1")
        (again,) = (await store.list("BlockAffinity")).resources
        assert again.metadata.resource_version == found.metadata.resource_version

    run(*POOLS, scenario=scenario)


def test_a_server_without_virtual_machines_has_none(kube: KubeServer) -> None:
    async def body() -> None:
        store = await open_datastore(kube.client())
        try:
            assert await store.names("kubevirt.io/v1", "virtualmachines") == frozenset()  # type: ignore[attr-defined]
            kube.namespace("shop")
            found = await store.names("rbac.authorization.k8s.io/v1", "clusterroles")  # type: ignore[attr-defined]
            assert ("", "cluster-admin") in found
        finally:
            await store.close()

    asyncio.run(body())
