"""Every example's hand-written matrix, judged by engine and evaluator alone, without a kernel.

`tests/examples` asks real packets the same; where the two part, one of them is wrong.
"""

from pathlib import Path

import pytest
from msgspec.structs import replace

from tortie.api import Key, Namespace, Pod, PodStatus, Resource, with_metadata
from tortie.api.manifests import read_manifests
from tortie.engine import Engine, NodeState
from tortie.kubernetes import convert, converted_key
from tortie.lab.matrix import Answer, Matrix, flows_between
from tortie.lab.pods import parties
from tortie.lab.truth import compare, parse_truth
from tortie.net import format_address, parse_address, parse_protocol
from tortie.policy import Packet, Program, evaluate
from tortie.policy.program import EndpointId

EXAMPLES = Path(__file__).parents[2] / "examples"
FOLDERS = sorted(path.parent.name for path in EXAMPLES.glob("*/expected.yaml"))
OUTSIDE = {"outside": "203.0.113.10", "outside-2": "203.0.113.20"}
FIRST_POD = parse_address("192.168.0.1")[1]  # the lab's pool is Calico's own default


class World:
    """The cluster of the examples on one node, its pods at 192.168.0.1 and on."""

    def __init__(self) -> None:
        self.engine = Engine("here")
        self.state = NodeState()
        self.pods: dict[Key, Pod] = {}

    def apply(self, path: Path) -> None:
        manifests = read_manifests(str(path), path.read_text())
        assert manifests.errors == ()
        updates = [self._converted(each.resource) for each in manifests.resources]
        self.state.fold(self.engine.apply(updates))
        assert self.engine.warnings() == []

    def _converted(self, resource: Resource) -> tuple[Key, Resource | None]:
        if isinstance(resource, Pod):
            resource = self._running(resource)
        if isinstance(resource, Namespace):
            name = {"kubernetes.io/metadata.name": resource.metadata.name}  # as an API server does
            resource = with_metadata(resource, labels=resource.metadata.labels | name)
        value = convert(resource)
        key = converted_key(resource.key)
        return (key or value.key), value

    def _running(self, pod: Pod) -> Pod:
        known = self.pods.get(pod.key)
        address = known.status.pod_ip if known else format_address(4, FIRST_POD + len(self.pods))
        pod = replace(
            pod,
            spec=replace(pod.spec, node_name="here"),
            status=PodStatus(phase="Running", pod_ip=address),
        )
        self.pods[pod.key] = pod
        return pod

    def matrix(self) -> Matrix:
        found = parties(self.pods.values(), OUTSIDE)
        addresses = {party.name: parse_address(party.address)[1] for party in found}
        owners = {e.addresses[0].address: name for name, e in self.state.endpoints.items()}
        program = self.state.program(self.engine.titles())
        answers = {}
        for flow in flows_between(found):
            source, destination = addresses[flow.source], addresses[flow.destination]
            reached = passes(program, owners, source, destination, flow.port)
            answers[flow] = Answer(flow.destination if reached else "")
        return Matrix(tuple(found), answers)


def passes(
    program: Program, owners: dict[int, EndpointId], source: int, destination: int, port
) -> bool:
    packet = Packet(
        version=4,
        source=source,
        destination=destination,
        protocol=parse_protocol(port.protocol),
        source_port=40000,
        destination_port=port.number,
        source_endpoint=owners.get(source),
        destination_endpoint=owners.get(destination),
    )
    return evaluate(program, packet).allowed


def assert_as_expected(world: World, path: Path) -> None:
    checked, wrong = compare(parse_truth(str(path), path.read_text()), world.matrix())
    assert checked > 0
    assert not wrong, "\n".join(map(str, wrong))


@pytest.mark.parametrize("folder", FOLDERS)
def test_an_example_is_as_its_author_expects(folder):
    world = World()
    world.apply(EXAMPLES / "cluster.yaml")
    world.apply(EXAMPLES / folder / "policies.yaml")
    assert_as_expected(world, EXAMPLES / folder / "expected.yaml")
    if (EXAMPLES / folder / "change.yaml").exists():
        world.apply(EXAMPLES / folder / "change.yaml")
        assert_as_expected(world, EXAMPLES / folder / "expected-after.yaml")


def test_without_policies_everybody_reaches_everybody():
    world = World()
    world.apply(EXAMPLES / "cluster.yaml")
    matrix = world.matrix()
    assert matrix.open_flows == matrix.flows > 0
