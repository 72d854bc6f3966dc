"""Every example in examples/, with real packets, in one lab that all of them share."""

import asyncio
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tortie.api.manifests import Manifests
from tortie.cli import sources, writing
from tortie.cli.commands.lab_up import bring_up
from tortie.lab.cluster import Lab, take_down
from tortie.lab.journal import Journal
from tortie.lab.judging import judge
from tortie.lab.matrix import flows_between
from tortie.lab.progress import Silent
from tortie.lab.truth import Truth, everything, parse_truth

pytestmark = pytest.mark.root
EXAMPLES = Path(__file__).parents[2] / "examples"
FOLDERS = sorted(path for path in EXAMPLES.iterdir() if path.is_dir())
NAME = f"examples-{os.getpid()}"


def read(path: Path) -> Manifests:
    """The resources of a file without mistakes."""
    manifests = sources.read([str(path)], "default")
    assert manifests.errors == ()
    return manifests


def truth_of(path: Path) -> Truth:
    """What a file expects."""
    return parse_truth(path.name, path.read_text())


@pytest.fixture(scope="module")
def labs() -> Iterator[Path]:
    """Where the lab is that has all of cluster.yaml up."""
    place = Path(tempfile.mkdtemp(prefix="tl-"))

    async def up() -> None:
        lab = await Lab.create(NAME, 3, Silent(), place)
        outcomes = await bring_up(lab, read(EXAMPLES / "cluster.yaml"))
        assert {outcome.result for outcome in outcomes} == {"created"}
        await lab.close()

    try:
        asyncio.run(up())
        yield place
    finally:
        take_down(Journal(NAME, place))
        shutil.rmtree(place)


async def apply(lab: Lab, path: Path) -> None:
    """Apply a file; every node enforces it afterwards."""
    outcomes = await writing.apply_all(lab.store, (r for r, _ in read(path).resources))
    assert [outcome for outcome in outcomes if outcome.error] == []
    await lab.await_applied()


async def expect(lab: Lab, path: Path) -> None:
    """Everybody calls everybody, and all is as the file says."""
    found = await judge(lab, truth_of(path))
    assert found.checked > 200
    assert [str(mismatch) for mismatch in found.wrong] == []


async def remove(lab: Lab, path: Path) -> None:
    """Delete what a file has brought; no node has it afterwards."""
    await writing.delete_all(lab.store, (located.resource.key for located in read(path).resources))
    await lab.await_applied()


async def play(labs: Path, folder: Path) -> None:
    """One example, from the first policy to the last trace of it."""
    lab = await Lab.load(NAME, Silent(), labs)
    try:
        await apply(lab, folder / "policies.yaml")
        await expect(lab, folder / "expected.yaml")
        if (folder / "change.yaml").exists():
            await apply(lab, folder / "change.yaml")
            await expect(lab, folder / "expected-after.yaml")
    finally:
        await remove(lab, folder / "policies.yaml")
        await apply(lab, EXAMPLES / "cluster.yaml")
        await lab.close()


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_the_example_does_what_its_expected_matrix_says(labs: Path, folder: Path) -> None:
    asyncio.run(play(labs, folder))


def test_without_policies_everybody_reaches_everybody(labs: Path) -> None:
    async def run() -> None:
        lab = await Lab.load(NAME, Silent(), labs)
        found = await judge(lab, everything("allowed"))
        await lab.close()
        assert [str(mismatch) for mismatch in found.wrong] == []
        assert found.checked == len(flows_between(found.matrix.parties)) > 200

    asyncio.run(run())


def test_pods_see_each_other_and_hosts_outside_see_the_node(labs: Path) -> None:
    async def run() -> None:
        lab = await Lab.load(NAME, Silent(), labs)
        matrix = await lab.probe(6.0)
        await lab.close()
        own = {party.name: party.address for party in matrix.parties}
        node_of = {name: work.node for name, work in lab.journal.workloads().items()}
        for flow, answer in matrix.answers.items():
            to_outside = flow.source in node_of and flow.destination not in node_of
            node = node_of.get(flow.source, "node-1")
            expected = lab.plan.node(node).address_text if to_outside else own[flow.source]
            assert (str(flow), answer.seen_as) == (str(flow), expected)

    asyncio.run(run())


def test_there_are_enough_examples_each_with_all_its_parts() -> None:
    assert len(FOLDERS) >= 12
    for folder in FOLDERS:
        names = {path.name for path in folder.iterdir()}
        assert {"README.md", "policies.yaml", "expected.yaml"} <= names
        assert ("change.yaml" in names) == ("expected-after.yaml" in names)
