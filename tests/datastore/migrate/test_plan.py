"""What an import would do is known, and told, before anything is written."""

import asyncio
import io

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from strategies.migrations import RELEASE, Silent, cluster, exported, fill, imported
from tortie.api import (
    KINDS,
    IPAMHandle,
    IPAMHandleSpec,
    IPPool,
    IPPoolSpec,
    Key,
    Namespace,
    NetworkPolicy,
    NetworkPolicySpec,
    Node,
    NodeBgp,
    NodeSpec,
    ObjectMeta,
    Pod,
    PodSpec,
    Profile,
    ProfileSpec,
    Tier,
    TierSpec,
    WorkloadEndpoint,
    WorkloadEndpointSpec,
    with_metadata,
)
from tortie.api.calico.cluster_information import ClusterInformation, ClusterInformationSpec
from tortie.datastore.memory import MemoryDatastore
from tortie.datastore.migrate.content import digest_of
from tortie.datastore.migrate.importing import prepare
from tortie.datastore.migrate.kubernetes import Fate, judge
from tortie.datastore.migrate.locking import MARK, HalfImported, begin, lock, mark_on, unlock
from tortie.datastore.migrate.order import ORDER
from tortie.datastore.migrate.plan import Planner, Write
from tortie.datastore.migrate.stream import Line
from tortie.datastore.migrate.survey import Found, Survey, Target

CLUSTER = ClusterInformation(
    metadata=ObjectMeta(name="default"), spec=ClusterInformationSpec(cluster_guid="g")
)


def plan(resources, there=(), target=Target.PLAIN, resumed=False):
    objects = {one.key: Found(digest_of(one), "1", one) for one in there}
    planner = Planner(target, Survey(objects, ()), resumed=resumed)
    for number, one in enumerate([CLUSTER, *resources], 2):
        planner.take(Line(number, number, one))
    return planner.plan()


def pool(name, cidr="10.0.0.0/16"):
    return IPPool(metadata=ObjectMeta(name=name), spec=IPPoolSpec(cidr=cidr))


@settings(deadline=None)
@given(st.permutations(cluster()))
def test_what_restricts_is_written_before_what_it_restricts(resources):
    ranks = [ORDER.index(entry.key.kind) for entry in plan(resources).writes]
    assert ranks == sorted(ranks)
    assert len(ranks) == len(resources)


def test_sets_come_before_policies_and_policies_before_workloads():
    wanted = ["Tier", "GlobalNetworkSet", "GlobalNetworkPolicy", "HostEndpoint", "Pod"]
    assert sorted(wanted, key=ORDER.index) == wanted
    assert set(ORDER) == set(KINDS)


@settings(deadline=None)
@given(st.sets(st.sampled_from("abcd")), st.sets(st.sampled_from("abcd")), st.booleans())
def test_only_equal_objects_may_be_there_before(file, there, resumed):
    found = plan([pool(n) for n in file], [pool(n) for n in there], resumed=resumed)
    assert {entry.key.name for entry in found.writes} == file - there
    assert {problem.key.name for problem in found.blocked} == there - file
    assert found.equal.get("IPPool", 0) == len(file & there)


def test_another_content_is_in_the_way_and_completed_only_in_a_marked_store():
    there = [pool("a", "10.9.0.0/16")]
    (problem,) = plan([pool("a")], there).blocked
    assert (
        str(problem) == "line 3: IPPool(a): is in the target already, and says something else there"
    )
    resumed = plan([pool("a")], there, resumed=True)
    assert [entry.write for entry in resumed.writes] == [Write.UPDATE]
    assert not resumed.blocked


def node(**annotations):
    spec = NodeSpec(bgp=NodeBgp(**annotations)) if annotations else NodeSpec()
    return Node(metadata=ObjectMeta(name="n1"), spec=spec)


def wep(*nets):
    spec = WorkloadEndpointSpec(node="n1", orchestrator="k8s", interface_name="c", ip_networks=nets)
    return WorkloadEndpoint(metadata=ObjectMeta(name="n1-k8s-a-eth0", namespace="x"), spec=spec)


def policy(name, namespace="x"):
    return NetworkPolicy(
        metadata=ObjectMeta(name=name, namespace=namespace), spec=NetworkPolicySpec()
    )


SPACE = Namespace(metadata=ObjectMeta(name="x", labels={"a": "b"}))
POD = Pod(metadata=ObjectMeta(name="p", namespace="x"), spec=PodSpec())
PROFILE = Profile(metadata=ObjectMeta(name="kns.x"), spec=ProfileSpec())


@pytest.mark.parametrize(
    ("wanted", "there", "fate"),
    [
        (pool("a"), [], None),
        (policy("a"), [], Fate.BLOCKED),  # its namespace is missing
        (policy("a"), [SPACE], None),
        (policy("knp.default.a"), [SPACE], Fate.BLOCKED),
        (SPACE, [], Fate.UNKEPT),
        (SPACE, [SPACE], Fate.FOLLOWS),
        (SPACE, [with_metadata(SPACE, labels={"a": "c"})], Fate.UNKEPT),
        (POD, [], Fate.UNKEPT),
        (POD, [POD], Fate.FOLLOWS),
        (PROFILE, [], Fate.UNKEPT),
        (PROFILE, [PROFILE], Fate.FOLLOWS),
        (wep("10.0.0.1/32"), [], Fate.UNKEPT),
        (wep("10.0.0.1/32"), [wep("10.0.0.1/32")], Fate.FOLLOWS),
        (wep("10.0.0.1/32"), [wep("10.0.0.2/32")], Fate.UNKEPT),
        (node(ipv4_address="10.0.0.1/24"), [], Fate.UNKEPT),
        (node(ipv4_address="10.0.0.1/24"), [node()], Fate.UPDATE),
        (node(ipv4_address="10.0.0.1/24"), [node(ipv4_address="10.0.0.1/24")], Fate.EQUAL),
        (node(ipv4_address="10.0.0.1/24"), [node(ipv4_address="10.0.0.9/24")], Fate.BLOCKED),
    ],
)
def test_what_kubernetes_derives_or_owns_is_looked_for(wanted, there, fate):
    objects = {one.key: Found(b"", "", one) for one in there}
    judged = judge(wanted, objects, resumed=False)
    assert (judged and judged.fate) == fate
    if fate in (Fate.BLOCKED, Fate.UNKEPT):
        assert judged.reason


@pytest.mark.parametrize("name", ["Upper", "a_b", "-a", "a..b", "x" * 254, "a/b", "ü"])
def test_a_name_that_kubernetes_cannot_have_is_told_first(name):
    (problem,) = plan([pool(name)], target=Target.KUBERNETES).blocked
    assert "Kubernetes can't have the name" in problem.reason
    assert not plan([pool(name)]).blocked


def test_a_handle_is_written_in_lower_case_where_names_must_be():
    spec = IPAMHandleSpec(handle_id="Net.A", block={})
    handle = IPAMHandle(metadata=ObjectMeta(name="Net.A"), spec=spec)
    found = plan([handle], target=Target.KUBERNETES)
    assert [entry.key.name for entry in found.writes] == ["net.a"]
    assert plan([handle], [with_metadata(handle, name="net.a")], Target.KUBERNETES).is_done


@pytest.mark.parametrize("target", [Target.ETCD, Target.PLAIN])
def test_a_handle_from_kubernetes_has_its_own_text_again_elsewhere(target):
    spec = IPAMHandleSpec(handle_id="Net.A", block={})
    handle = IPAMHandle(metadata=ObjectMeta(name="net.a"), spec=spec)
    found = plan([handle], target=target)
    assert [entry.key.name for entry in found.writes] == ["Net.A"]
    assert plan([handle], [with_metadata(handle, name="Net.A")], target).is_done


def test_an_ipam_object_that_etcd_would_not_find_is_told_first():
    spec = IPAMHandleSpec(handle_id="a", block={})
    block = next(one for one in cluster() if one.kind == "IPAMBlock")
    found = plan(
        [with_metadata(block, name="other"), IPAMHandle(metadata=ObjectMeta(name="a"), spec=spec)],
        target=Target.ETCD,
    )
    assert [problem.key.name for problem in found.blocked] == ["other"]


def test_an_owner_that_does_not_come_along_is_told_and_not_written_to_kubernetes():
    tier = Tier(metadata=ObjectMeta(name="t", uid="u1"), spec=TierSpec(order=1.0))
    owners = [{"kind": "Tier", "name": "t", "uid": "u1"}, {"kind": "X", "name": "y", "uid": "u2"}]
    owned = with_metadata(pool("a"), owner_references=owners)
    found = plan([tier, owned], target=Target.KUBERNETES)
    assert found.owners["u1"] == tier.key
    (note,) = found.notes
    assert "X(y)" in note
    assert not plan([tier, owned]).notes


def test_owners_have_the_uid_that_they_have_in_the_new_store():
    async def run():
        first, second = MemoryDatastore(), MemoryDatastore()
        tier = await first.create(Tier(metadata=ObjectMeta(name="t"), spec=TierSpec(order=1.0)))
        owners = [{"kind": "Tier", "name": "t", "uid": tier.metadata.uid}]
        await fill(first, [with_metadata(pool("a"), owner_references=owners)])
        await imported(second, await exported(first))
        found = await second.get(Key("IPPool", "", "a"))
        new = await second.get(tier.key)
        assert new.metadata.uid != tier.metadata.uid
        assert found.metadata.owner_references[0]["uid"] == new.metadata.uid

    asyncio.run(run())


def test_another_file_is_not_put_over_half_an_import():
    async def run():
        first, second = MemoryDatastore(), MemoryDatastore()
        await fill(first, cluster())
        data = await exported(first)
        await begin(second, CLUSTER, "sha256:other")
        with pytest.raises(HalfImported, match="sha256:other"):
            await prepare(second, io.BytesIO(data), Silent())
        with pytest.raises(HalfImported, match="import` again"):
            await unlock(second)
        assert await mark_on(second) == "sha256:other"

    asyncio.run(run())


def test_what_is_in_the_way_is_named_and_nothing_is_written():
    async def run():
        first, second = MemoryDatastore(), MemoryDatastore()
        await fill(first, cluster())
        await lock(second, RELEASE)
        await second.create(pool("mine", "10.8.0.0/16"))
        revision = await second.revision()
        prepared = await prepare(second, io.BytesIO(await exported(first)), Silent())
        assert [problem.key.name for problem in prepared.plan.blocked] == ["mine"]
        assert await second.revision() == revision

    asyncio.run(run())


def test_lock_and_mark_are_no_part_of_the_comparison():
    marked = replace(CLUSTER, metadata=replace(CLUSTER.metadata, annotations={MARK: "x"}))
    from tortie.datastore.migrate.locking import says_the_same

    assert says_the_same(CLUSTER, marked)
    other = replace(CLUSTER, spec=replace(CLUSTER.spec, cluster_guid="other"))
    assert not says_the_same(CLUSTER, other)
