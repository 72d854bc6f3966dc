"""Policies are of tiers that are there, tiers that hold policies stay, pools go in order."""

import asyncio
from pathlib import Path

import pytest

from strategies.command_line import Tortie, Write
from tortie.datastore import Datastore, open_datastore
from tortie.ipam import IPAM, AssignRequest

_V3 = "apiVersion: projectcalico.org/v3\n"
TIER = _V3 + "kind: Tier\nmetadata: {name: %s}\nspec: {order: 5}\n---\n"
POLICY = _V3 + "kind: %s\nmetadata: {name: %s}\nspec: {tier: %s, order: 1}\n---\n"
POOL = _V3 + "kind: IPPool\nmetadata: {name: main}\nspec: {cidr: 10.0.0.0/24}\n"


@pytest.mark.parametrize("command", ["apply", "create", "diff"])
def test_a_policy_of_a_tier_that_is_not_there_is_refused_by_its_name(
    tortie: Tortie, write: Write, command: str
) -> None:
    tortie("apply", "-f", write("tier.yaml", TIER % "security"))
    both = POLICY % ("GlobalNetworkPolicy", "good", "security")
    both += POLICY % ("StagedGlobalNetworkPolicy", "bad", "secruity")
    said = tortie(command, "-f", write("policies.yaml", both))
    assert said.status != 0
    (line,) = said.err.splitlines()
    assert 'policies.yaml:9: document 2: spec.tier: there is no tier "secruity"' in line
    assert 'did you mean "security"?' in line
    assert "good" in said.out
    assert "bad" not in said.out


def test_a_tier_may_come_with_its_policies_in_any_order(tortie: Tortie, write: Write) -> None:
    text = POLICY % ("GlobalNetworkPolicy", "web", "security") + TIER % "security"
    file = write("all.yaml", text)
    assert tortie("apply", "--dry-run", "-f", file).status == 0
    assert tortie("apply", "-f", file).status == 0


@pytest.mark.parametrize("tier", ["default", "kube-admin", "kube-baseline"])
def test_the_fixed_tiers_are_there_and_stay(tortie: Tortie, write: Write, tier: str) -> None:
    file = write("policy.yaml", POLICY % ("GlobalNetworkPolicy", "web", tier))
    assert tortie("apply", "-f", file).status == 0
    for more in ((), ("--dry-run",)):
        said = tortie("delete", "tier", tier, *more)
        assert said.status == 1
        assert f"the tier {tier} is always there: it can't be deleted" in said.err


def test_a_tier_is_deleted_after_what_it_holds(tortie: Tortie, write: Write) -> None:
    text = TIER % "security" + POLICY % ("GlobalNetworkPolicy", "web", "security")
    file = write("all.yaml", text)
    tortie("apply", "-f", file)
    for more in ((), ("--dry-run",)):
        said = tortie("delete", "tier", "security", *more)
        assert said.status == 1
        assert "the tier security still holds GlobalNetworkPolicy(web)" in said.err
    assert tortie("get", "tier", "security").status == 0
    assert tortie("delete", "-f", file, "--dry-run").status == 0
    assert tortie("delete", "-f", file).status == 0
    assert tortie("get", "tier", "security").status == 1


def test_a_deleted_pool_takes_the_claims_to_its_blocks_along(
    tortie: Tortie, write: Write, tmp_path: Path
) -> None:
    async def assign(store: Datastore) -> None:
        await IPAM(store).auto_assign(AssignRequest(node="n1", handle="h"))

    async def claims(store: Datastore) -> None:
        assert (await store.list("BlockAffinity")).resources == ()

    tortie("apply", "-f", write("pool.yaml", POOL))
    _on(tmp_path, assign)
    assert tortie("delete", "ippool", "main").out == "IPPool main: deleted\n"
    _on(tmp_path, claims)
    assert tortie("delete", "ippool", "main").status == 1


def _on(folder: Path, work: object) -> None:
    async def body() -> None:
        store = await open_datastore(str(folder / "store.db"))
        try:
            await work(store)  # type: ignore[operator] # a coroutine function
        finally:
            await store.close()

    asyncio.run(body())


def _cluster(version: str, words: str) -> str:
    spec = f"{{calicoVersion: {version}, clusterType: '{words}', datastoreReady: true}}"
    return f"{_V3}kind: ClusterInformation\nmetadata: {{name: default}}\nspec: {spec}\n"


def test_a_command_of_another_release_than_the_clusters_is_refused(
    tortie: Tortie, write: Write
) -> None:
    file = write("tier.yaml", TIER % "security")
    other = write("cluster.yaml", _cluster("9.8.7", "k8s,tortie"))
    assert tortie("apply", "-f", other).status == 0
    for words in (("get", "tiers"), ("apply", "-f", file), ("delete", "-f", file)):
        said = tortie(*words)
        assert (said.status, said.out) == (1, "")
        (line,) = said.err.splitlines()
        assert "the cluster is of version 9.8.7" in line
        assert "--allow-version-mismatch" in line
        assert "version 9.8.7" not in tortie("--allow-version-mismatch", *words).err
    assert "cluster 9.8.7" in tortie("version", "--cluster").out


def test_another_programs_cluster_is_worked_on(tortie: Tortie, write: Write) -> None:
    tortie("apply", "-f", write("cluster.yaml", _cluster("v3.32.0", "k8s,bgp")))
    assert tortie("apply", "-f", write("tier.yaml", TIER % "security")).status == 0
