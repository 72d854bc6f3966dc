"""Whether the node can have addresses, by what the agent's stream says of its Node."""

import asyncio

import pytest

from tortie.api import Key, Node, NodeBgp, NodeSpec, ObjectMeta
from tortie.api.calico.node import NodeAddress
from tortie.cni.errors import CniError
from tortie.cni.registration import Registration

KEY = Key("Node", "", "n1")


def node(name: str = "n1", **spec: object) -> Node:
    return Node(metadata=ObjectMeta(name=name), spec=NodeSpec(**spec))  # type: ignore[arg-type]


ADDRESSED = node(bgp=NodeBgp(ipv4_address="172.16.0.1/24"))


@pytest.mark.parametrize(
    ("value", "why"),
    [
        (ADDRESSED, ""),
        (node(bgp=NodeBgp(ipv6_address="fd00::1/64")), ""),
        (node(addresses=(NodeAddress(address="172.16.0.1"),)), ""),
        (node(), "has no address yet"),
        (node(bgp=NodeBgp()), "has no address yet"),
        (None, "is not registered"),
    ],
)
def test_a_node_needs_to_be_there_with_an_address(value: Node | None, why: str) -> None:
    found = Registration("n1")
    found.saw([(KEY, value), (Key("Node", "", "n2"), None)])
    assert bool(found.why) == bool(why)
    assert why in found.why


def test_it_is_waited_for_and_told_when_it_went() -> None:
    async def body() -> None:
        found = Registration("n1")
        waiting = asyncio.create_task(found.wait(5))
        await asyncio.sleep(0)
        found.saw([(KEY, ADDRESSED)])
        await waiting
        found.saw([(KEY, None)])
        with pytest.raises(CniError, match="is not registered"):
            await found.wait(0)

    asyncio.run(body())


def test_a_node_of_which_nothing_was_heard_is_not_registered_yet() -> None:
    with pytest.raises(CniError, match="n1 is not registered yet"):
        asyncio.run(Registration("n1").wait(0))
