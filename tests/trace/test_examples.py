"""Every example: what is told without a packet is what the lab's packets do."""

from pathlib import Path

import pytest

from tortie.api import IPPool, IPPoolSpec, Key, ObjectMeta, Pod, Resource
from tortie.api.manifests import read_manifests
from tortie.lab.matrix import Answer, Matrix, flows_between
from tortie.lab.pods import parties
from tortie.lab.truth import compare, parse_truth
from tortie.trace.cluster import Cluster, cluster_of
from tortie.trace.completing import completed
from tortie.trace.questions import parse_port
from tortie.trace.tracing import ask

POOL = IPPool(metadata=ObjectMeta(name="pool"), spec=IPPoolSpec(cidr="192.168.0.0/16"))
EXAMPLES = Path(__file__).parents[2] / "examples"
FOLDERS = sorted(path for path in EXAMPLES.iterdir() if path.is_dir())
OUTSIDE = {"outside": "203.0.113.10", "outside-2": "203.0.113.20"}  # as every lab has them


def resources(*paths: Path) -> list[Resource]:
    """What these files leave, the later ones over the earlier."""
    found: dict[Key, Resource] = {POOL.key: POOL}
    for path in paths:
        manifests = read_manifests(path.name, path.read_text())
        assert manifests.errors == ()
        found.update((resource.key, resource) for resource, _ in manifests.resources)
    return completed(found.values())


def matrix(found: list[Resource]) -> Matrix:
    cluster: Cluster = cluster_of(found)
    everybody = parties([each for each in found if isinstance(each, Pod)], OUTSIDE)
    answers = {}
    for flow in flows_between(everybody):
        ends = [OUTSIDE.get(name, name) for name in (flow.source, flow.destination)]
        port = parse_port(f"{flow.port.number}/{flow.port.protocol}")
        passes = ask(cluster, *ends, port).allowed
        answers[flow] = Answer(flow.destination if passes else "")
    return Matrix(tuple(everybody), answers)


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_what_is_told_of_an_example_is_what_it_expects(folder: Path) -> None:
    files = [EXAMPLES / "cluster.yaml", folder / "policies.yaml"]
    for change, expected in (
        ("policies.yaml", "expected.yaml"),
        ("change.yaml", "expected-after.yaml"),
    ):
        if (folder / change).exists():
            files.append(folder / change)
            truth = parse_truth(expected, (folder / expected).read_text())
            checked, wrong = compare(truth, matrix(resources(*files)))
            assert checked > 200
            assert [str(each) for each in wrong] == []
