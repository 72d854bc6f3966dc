"""What the lab reads in Pods."""

from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from tortie.api import Container, ContainerPort, ObjectMeta, Pod, PodSpec
from tortie.lab.matrix import Port
from tortie.lab.pods import addresses_of, parties, ports_of, schedule


def pod(name: str, node: str = "", address: str = "", *ports: ContainerPort) -> Pod:
    annotations = {"cni.projectcalico.org/podIP": f"{address}/32"} if address else {}
    return Pod(
        metadata=ObjectMeta(name=name, namespace="shop", annotations=annotations),
        spec=PodSpec(node_name=node, containers=(Container(name="c", ports=ports),)),
    )


@given(st.integers(1, 5), st.lists(st.integers(0, 5), max_size=30))
@settings(deadline=None)
def test_pods_without_a_node_are_spread_and_the_others_left_alone(
    nodes: int, assigned: list[int]
) -> None:
    names = [f"node-{number}" for number in range(1, nodes + 1)]
    pods = [
        pod(f"p{index}", names[where - 1] if 0 < where <= nodes else "")
        for index, where in enumerate(assigned)
    ]
    chosen = schedule(pods, names)
    assert set(chosen) == {f"shop/{p.metadata.name}" for p in pods if not p.spec.node_name}
    load = Counter(dict.fromkeys(names, 0))
    load.update(p.spec.node_name for p in pods if p.spec.node_name)
    given_most = max(load.values())
    load.update(chosen.values())
    assert max(load.values()) - min(load.values()) <= max(1, given_most)


def test_a_port_is_tcp_unless_it_says_otherwise_and_sctp_is_not_probed() -> None:
    found = ports_of(
        pod(
            "web",
            "",
            "",
            ContainerPort(container_port=80),
            ContainerPort(container_port=53, protocol="UDP"),
            ContainerPort(container_port=99, protocol="SCTP"),
        )
    )
    assert found == (Port("tcp", 80), Port("udp", 53))


def test_a_pod_takes_part_once_it_has_an_address() -> None:
    assert addresses_of(pod("web", "node-1")) == ()
    there = pod("web", "node-1", "192.168.0.5", ContainerPort(container_port=80))
    found = parties([there, pod("api", "node-1")], {"outside": "203.0.113.10"})
    assert [(party.name, party.address, party.ports) for party in found] == [
        ("shop/web", "192.168.0.5", (Port("tcp", 80),)),
        ("outside", "203.0.113.10", (Port("tcp", 80),)),
    ]
