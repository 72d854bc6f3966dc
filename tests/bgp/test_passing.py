"""What passes between two nodes and a router, and what gets into their kernels, pool by pool.

That something does not pass is looked at only once something newer has passed the same way.
"""

import re

import pytest

from bgp.network import Network, Node, Router, until
from bgp.pictures import POOLS, QUIET, pool

pytestmark = pytest.mark.root

RESOURCES = (
    POOLS
    + QUIET
    + pool("vxlan", "10.67.0.0/16", ", vxlanMode: CrossSubnet")
    + pool("ipip", "10.68.0.0/16", ", ipipMode: Always")
    + """---
apiVersion: projectcalico.org/v3
kind: BGPConfiguration
metadata: {name: default}
spec:
  serviceClusterIPs: [{cidr: 10.96.0.0/12}]
  prefixAdvertisements: [{cidr: 10.65.0.0/16, communities: ["64512:5"]}]
---
apiVersion: projectcalico.org/v3
kind: BGPPeer
metadata: {name: tor}
spec: {peerIP: 172.16.0.254, asNumber: 65000, node: n1}
---
apiVersion: projectcalico.org/v3
kind: BGPPeer
metadata: {name: tor6}
spec: {peerIP: "fd16::fe", asNumber: 65000, node: n1, reachableBy: "fd16::fd"}
"""
)
ROUTES = """
protocol static s4 { ipv4;
  route 10.65.1.0/27 blackhole; route 10.65.1.60/32 blackhole;
  route 10.65.40.0/24 blackhole; route 10.66.40.0/24 blackhole;
  route 10.67.40.0/24 blackhole; route 10.68.40.0/24 blackhole;
  route 10.96.5.0/24 blackhole; route 172.30.0.0/24 blackhole; LATER4 }
protocol static s6 { ipv6; route fd65::1:20/123 blackhole; route fd65::1:7/128 blackhole; LATER6 }
"""
SESSIONS = """
protocol bgp n1 { local 172.16.0.254 as 65000; neighbor 172.16.0.1 as 64512; multihop;
  connect delay time 1; connect retry time 1; error wait time 1, 2;
  ipv4 { import all; export where source = RTS_STATIC; add paths on; }; }
protocol bgp n1six { local fd16::fe as 65000; neighbor fd16::1 as 64512; multihop;
  connect delay time 1; connect retry time 1; error wait time 1, 2;
  ipv6 { import all; export where source = RTS_STATIC; }; }
"""


def routed(router: Router, **later: str) -> None:
    """The router tells these routes, and perhaps later ones."""
    text = ROUTES + SESSIONS
    for place in ("LATER4", "LATER6"):
        text = text.replace(place, later.get(place, ""))
    router.start(text)


def told(machine: Node | Router, by: str) -> set[str]:
    """What a machine's BIRD was told in a session."""
    lines = [line.text for line in machine.bird(f"show route protocol {by}").lines]
    return {
        found[1] for line in lines if (found := re.match(r"(?:Table \S+:)?\s*(\S+/\d+) ", line))
    }


def test_each_pool_passes_as_it_says(network: Network) -> None:
    network.apply(RESOURCES)
    first, second = network.node("n1", 1), network.node("n2", 2)
    router, beside = network.router("tor", 254), network.router("beside", 253)
    for cidr in ("10.65.1.0/26", "10.66.1.0/26", "10.67.1.0/26", "10.68.1.0/26", "fd65::1:0/122"):
        network.block("n1", cidr)
    first.workload("10.65.1.9")  # told by its block
    first.workload("10.65.1.10", metric=900)  # better than its block says
    first.workload("fd65::1:9")
    first.workload("10.66.70.9")
    first.ip("route add 10.65.99.0/24 via 172.16.0.77 proto static")  # nobody's workload
    first.ip("route add 10.65.1.60 via 172.16.0.77 metric 1024 proto static")  # the agent's
    routed(router)
    for node in (first, second):
        node.start()
    first.wait_up("Node_172_16_0_254", "Node_fd16__fe", "Mesh_172_16_0_2", "Mesh_fd16__2")
    until(lambda: "10.65.40.0/24" in second.routes() and "fd65::1:7" in first.routes(6))
    first.workload("10.65.71.9")
    first.workload("fd65::71:9")
    routed(router, LATER4="route 172.31.0.0/24 blackhole;", LATER6="route fd99::/64 blackhole;")
    until(lambda: "172.31.0.0/24" in first.routes() and "fd99::/64" in first.routes(6))
    until(lambda: {"10.65.71.9/32"} <= told(router, "n1") & told(second, "Mesh_172_16_0_1"))
    until(lambda: {"fd65::71:9/128"} <= told(router, "n1six") & told(second, "Mesh_fd16__1"))

    own = {"10.65.1.0/26", "10.65.1.10/32", "10.65.71.9/32", "10.68.1.0/26", "10.96.0.0/12"}
    passed_on = {"10.65.1.0/27", "10.65.1.60/32", "10.65.40.0/24", "10.67.40.0/24", "10.68.40.0/24"}
    assert told(router, "n1") == own | {"10.67.1.0/26"}  # what it told itself is not told back
    assert told(second, "Mesh_172_16_0_1") == own | passed_on - {"10.67.40.0/24"} | {"10.96.5.0/24"}
    assert told(router, "n1six") == {"fd65::1:0/122", "fd65::71:9/128"}
    assert "BGP.community: (64512,5)" in router.known("10.65.1.0/26")
    assert "BGP.community" not in router.known("10.68.1.0/26")

    metrics = {to: route["metric"] for to, route in first.routes().items()}
    assert metrics == {
        "10.65.1.60": 1025,
        "10.65.40.0/24": 1024,
        "10.66.40.0/24": 1024,
        "172.30.0.0/24": 1024,
        "172.31.0.0/24": 1024,
    }
    six = {to: route["metric"] for to, route in first.routes(6).items()}
    assert six == {"fd65::1:7": 1025, "fd99::/64": 1024, "fd16::fe": 1024}
    assert first.routes(6)["fd16::fe"]["gateway"] == beside.address6
    assert "via 172.16.0.77" in first.ip("route get 10.65.1.60")  # it counts before BGP's
