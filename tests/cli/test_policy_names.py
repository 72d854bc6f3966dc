"""Policies that older versions stored, by the names that people use."""

import asyncio
from pathlib import Path

import pytest

from strategies.command_line import Tortie, Write
from tortie.api import NetworkPolicy, NetworkPolicySpec, ObjectMeta
from tortie.datastore import open_datastore

MANIFEST = """
apiVersion: projectcalico.org/v3
kind: NetworkPolicy
metadata: {{name: {name}, namespace: shop}}
spec: {{tier: {tier}, order: 5}}
"""
NAMESPACE = "apiVersion: v1\nkind: Namespace\nmetadata: {name: shop}\n"
TIER = (
    "apiVersion: projectcalico.org/v3\nkind: Tier\nmetadata: {name: security}\nspec: {order: 9}\n"
)


@pytest.fixture
def old(tortie: Tortie, write: Write, tmp_path: Path) -> Tortie:
    """A datastore with a policy that an older version stored."""
    assert tortie("apply", "-f", write("first.yaml", f"{NAMESPACE}---\n{TIER}")).status == 0

    async def store() -> None:
        made = await open_datastore(str(tmp_path / "store.db"))
        await made.create(
            NetworkPolicy(
                metadata=ObjectMeta(name="default.web", namespace="shop"),
                spec=NetworkPolicySpec(order=1, types=("Ingress",)),
            )
        )
        await made.close()

    asyncio.run(store())
    return tortie


def names(tortie: Tortie) -> list[str]:
    return tortie("get", "np", "-n", "shop", "-o", "name").out.split()


def test_it_is_found_changed_and_deleted_by_its_newer_name(old: Tortie, write: Write):
    assert old("get", "np", "web", "-n", "shop", "-o", "name").out.split() == [
        "networkpolicies/shop/default.web"
    ]
    file = write("web.yaml", MANIFEST.format(name="web", tier="default"))
    assert old("apply", "-f", file).status == 0
    assert names(old) == ["networkpolicies/shop/default.web"]
    assert "order: 5" in old("get", "np", "default.web", "-n", "shop", "-o", "yaml").out
    assert old("delete", "np", "web", "-n", "shop").status == 0
    assert names(old) == []


def test_a_policy_of_another_tier_does_not_take_its_place(old: Tortie, write: Write):
    file = write("web.yaml", MANIFEST.format(name="web", tier="security"))
    assert old("apply", "-f", file).status == 0
    assert sorted(names(old)) == ["networkpolicies/shop/default.web", "networkpolicies/shop/web"]
