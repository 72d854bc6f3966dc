"""The agent's process on nodes whose firewall is iptables: examples' matrices with real packets."""

import asyncio
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tortie.api import ObjectMeta
from tortie.api.calico.felix_configuration import FelixConfiguration, FelixConfigurationSpec
from tortie.api.manifests import Manifests
from tortie.cli import sources, writing
from tortie.cli.commands.lab_up import bring_up
from tortie.dataplane.iptables import Backend
from tortie.lab.cluster import Lab, take_down
from tortie.lab.journal import Journal
from tortie.lab.judging import judge
from tortie.lab.progress import Silent
from tortie.lab.truth import parse_truth

pytestmark = pytest.mark.root
EXAMPLES = Path(__file__).parents[3] / "examples"
FOLDERS = ("06-named-ports", "10-order-and-pass", "16-negations")


@pytest.fixture
def labs() -> Iterator[Path]:
    """A directory for labs; every lab in it is taken down at the end."""
    place = Path(tempfile.mkdtemp(prefix="tl-"))
    yield place
    for path in place.glob("[!.]*"):
        take_down(Journal(path.name, place))
    shutil.rmtree(place)


def read(path: Path) -> Manifests:
    manifests = sources.read([str(path)], "default")
    assert manifests.errors == ()
    return manifests


def rules_of(lab: Lab, node: str, command: str) -> str:
    namespace = lab.plan.node(node).namespace
    line = ["nsenter", f"--net=/run/netns/{namespace}", *command.split()]
    return subprocess.run(line, check=True, capture_output=True, text=True).stdout


async def play(lab: Lab, folder: Path) -> list[str]:
    """One example; what is not as its matrix says."""
    policies = read(folder / "policies.yaml")
    outcomes = await writing.apply_all(lab.store, (r for r, _ in policies.resources))
    assert [outcome for outcome in outcomes if outcome.error] == []
    await lab.await_applied()
    expected = folder / "expected.yaml"
    found = await judge(lab, parse_truth(expected.name, expected.read_text()))
    assert found.checked > 100
    await writing.delete_all(lab.store, (one.resource.key for one in policies.resources))
    await lab.await_applied()
    return [str(mismatch) for mismatch in found.wrong]


@pytest.mark.parametrize("backend", Backend)
def test_the_examples_do_what_their_matrices_say(
    labs: Path, backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FELIX_NFTABLESMODE", "Disabled")
    monkeypatch.setenv("FELIX_IPTABLESBACKEND", backend)

    async def run() -> None:
        lab = await Lab.create(f"iptables-{os.getpid()}", 2, Silent(), labs)
        try:
            outcomes = await bring_up(lab, read(EXAMPLES / "cluster.yaml"))
            assert {outcome.result for outcome in outcomes} == {"created"}
            for name in FOLDERS:
                assert await play(lab, EXAMPLES / name) == []
            assert "-A cali-FORWARD" in rules_of(lab, "node-1", f"iptables-{backend}-save")
            assert "calico" not in rules_of(lab, "node-1", "nft list tables")
        finally:
            await lab.close()

    asyncio.run(run())


def settled_on(lab: Lab, node: str) -> set[str]:
    """Which firewalls have rules of ours on a node."""
    found = {"nftables"} if "calico" in rules_of(lab, node, "nft list tables") else set()
    saved = {one: rules_of(lab, node, f"iptables-{one}-save") for one in Backend}
    return found | {str(one) for one, text in saved.items() if "cali-FORWARD" in text}


def wait_for(lab: Lab, firewall: str) -> None:
    end = time.monotonic() + 90
    while any((last := settled_on(lab, node)) != {firewall} for node in ("node-1", "node-2")):
        assert time.monotonic() < end, last
        time.sleep(0.1)


async def until_settled(lab: Lab, firewall: str) -> None:
    """Every node has rules in this firewall, and in no other."""
    await asyncio.to_thread(wait_for, lab, firewall)
    await lab.await_applied()


def test_nodes_go_to_another_firewall_when_the_configuration_says_so(labs: Path) -> None:
    async def run() -> None:
        lab = await Lab.create(f"change-{os.getpid()}", 2, Silent(), labs)
        try:
            await bring_up(lab, read(EXAMPLES / "cluster.yaml"))
            await until_settled(lab, "nftables")
            spec = FelixConfigurationSpec(nftables_mode="Disabled", iptables_backend="Legacy")
            chosen = FelixConfiguration(metadata=ObjectMeta(name="default"), spec=spec)
            await writing.apply_all(lab.store, [chosen])
            await until_settled(lab, "legacy")
            assert await play(lab, EXAMPLES / FOLDERS[0]) == []
            await writing.delete_all(lab.store, [chosen.key])
            await until_settled(lab, "nftables")
            assert await play(lab, EXAMPLES / FOLDERS[0]) == []
        finally:
            await lab.close()

    asyncio.run(run())
