"""Services' routes at real routers outside: who tells of them while endpoints and settings change.

That a route is not told is looked at only once each node has told of something newer.
"""

import re

import pytest

from bgp.network import Network, Node, Router, until
from bgp.test_backing import ENDED, ENDING, READY, UNREADY, slice_of

pytestmark = pytest.mark.root

POOL = """
apiVersion: projectcalico.org/v3
kind: IPPool
metadata: {name: four}
spec: {cidr: 10.65.0.0/16}
"""
EXCLUDED = "node.kubernetes.io/exclude-from-external-load-balancers"


def configuration(fields: str = "") -> str:
    return f"""
apiVersion: projectcalico.org/v3
kind: BGPConfiguration
metadata: {{name: default}}
spec:
  serviceClusterIPs: [{{cidr: 10.96.0.0/12}}, {{cidr: "fd96::/108"}}]
  serviceExternalIPs: [{{cidr: 198.51.100.7/32}}]
  {fields}
"""


BALANCERS = "serviceLoadBalancerIPs: [{cidr: 192.0.2.0/24}]"


def service(policy: str = "Local", balancer: str = "{ip: 192.0.2.7}") -> str:
    return f"""
apiVersion: v1
kind: Service
metadata: {{name: web, namespace: shop}}
spec: {{clusterIP: 10.96.0.7, clusterIPs: [10.96.0.7, "fd96::7"], type: LoadBalancer,
       externalIPs: [198.51.100.7], externalTrafficPolicy: {policy}, ports: [{{port: 80}}]}}
status: {{loadBalancer: {{ingress: [{balancer}]}}}}
"""


def endpoints(number: int = 1, version: int = 4, **nodes: str) -> str:
    """A slice with an endpoint on each of these nodes, in these conditions."""
    address = {4: "10.65.0.9", 6: '"fd65::9"'}[version]
    found = [
        f"{{addresses: [{address}], nodeName: {name}, conditions: {conditions}}}"
        for name, conditions in nodes.items()
    ]
    return slice_of(*found, number=number, version=version)


def peer(name: str, address: str, number: int, more: str = "") -> str:
    return f"""
apiVersion: projectcalico.org/v3
kind: BGPPeer
metadata: {{name: {name}}}
spec: {{peerIP: "{address}", asNumber: {number}{more}}}
"""


def sessions(router: Router, number: int, peers: dict[str, int]) -> str:
    """A router's sessions with nodes (172.16.0.N, n`N`) of these AS numbers, in both families."""
    text = ""
    for name, its in peers.items():
        end = name[1:]
        for version, ours, theirs in (
            (4, router.address, f"172.16.0.{end}"),
            (6, router.address6, f"fd16::{end}"),
        ):
            text += f"""
            protocol bgp {name}_{version} {{
              local {ours} as {number}; neighbor {theirs} as {its}; multihop;
              connect delay time 1; connect retry time 1; error wait time 1, 2;
              ipv{version} {{ import all; export none; add paths on; }}; }}
            """
    return text


def tellers(router: Router, prefix: str) -> str:
    """The numbers of the nodes that tell a router of a prefix."""
    return "".join(sorted(re.findall(r"\[n(\d)_[46] ", router.known(prefix))))


class Marks:
    """Newer and newer blocks."""

    def __init__(self, network: Network) -> None:
        self._network = network
        self._made = 0

    def told(self, nodes: list[Node], *routers: Router) -> None:
        """Wait until these routers know all that these nodes have to tell."""
        blocks = {node.name: self._block(node) for node in nodes}
        for name, block in blocks.items():
            until(
                lambda block=block, name=name: all(
                    name[1:] in tellers(router, block) for router in routers
                ),
                said=f"{block} of {name}",
            )

    def _block(self, node: Node) -> str:
        self._made += 1
        block = f"10.65.{self._made}.0/26"
        self._network.block(node.name, block)
        return block


def label(network: Network, node: Node, text: str, more: str = "") -> None:
    network.apply(
        f"""
        apiVersion: projectcalico.org/v3
        kind: Node
        metadata: {{name: {node.name}, labels: {{name: {node.name}, {text}}}}}
        spec: {{bgp: {{ipv4Address: {node.address}/24, ipv6Address: "{node.address6}/64"{more}}}}}
        """
    )


def test_who_tells_of_a_service_follows_it(network: Network) -> None:
    """An eBGP and an iBGP router; the third node is excluded."""
    network.apply(POOL, configuration(BALANCERS), service())
    network.apply(endpoints(n1=READY, n3=READY), endpoints(2, 6, n2=READY))
    nodes = [network.node(f"n{number}", number) for number in (1, 2, 3)]
    label(network, nodes[2], f'{EXCLUDED}: ""')
    outer, inner = network.router("outer", 254), network.router("inner", 253)
    for name, router, number in (("outer", outer, 65000), ("inner", inner, 64512)):
        network.apply(peer(name, router.address, number))
        network.apply(peer(f"{name}6", router.address6, number))
        router.start(sessions(router, number, dict.fromkeys(("n1", "n2", "n3"), 64512)))
    for node in nodes:
        node.start()
    marks = Marks(network)

    def wanted(**by: str) -> None:
        """Who tells of a cluster, balancer's, external address, and of one of IPv6."""
        marks.told(nodes, outer, inner)
        prefixes = {
            "cluster": "10.96.0.7/32",
            "balancer": "192.0.2.7/32",
            "single": "198.51.100.7/32",
            "six": "fd96::7/128",
        }
        for router in (outer, inner):
            found = {name: tellers(router, prefix) for name, prefix in prefixes.items()}
            assert {name: who for name, who in found.items() if who} == by, router.name

    def in_kernels() -> bool:
        return any("192.0.2" in to for node in nodes for to in node.routes())

    for node in nodes:
        node.wait_up("Global_fd16__fe", "Global_fd16__fd")
    until(lambda: tellers(outer, "fd96::7/128") and tellers(inner, "fd96::7/128"))
    wanted(cluster="1", balancer="1", single="1", six="2")
    for router in (outer, inner):
        for whole in ("10.96.0.0/12", "192.0.2.0/24", "fd96::/108"):
            assert tellers(router, whole) == "12", whole
    network.apply(endpoints(n2=READY))  # it has moved
    wanted(cluster="2", balancer="2", single="2", six="2")
    network.apply(endpoints(n2=ENDING), endpoints(3, n1=UNREADY))
    wanted(cluster="2", balancer="2", single="2", six="2")
    network.apply(endpoints(3, n1=READY))
    wanted(cluster="1", balancer="1", single="1", six="2")
    network.apply(endpoints(3, n1=ENDED), endpoints(n2=ENDED))
    wanted(six="2")
    network.apply(service("Cluster"))
    wanted(single="12")
    network.apply(service("Local", balancer=""), endpoints(n1=READY))
    wanted(cluster="1", single="1", six="2")
    network.apply(service("Local"))
    wanted(cluster="1", balancer="1", single="1", six="2")
    assert not in_kernels()
    network.apply(configuration())  # without the range
    wanted(cluster="1", single="1", six="2")
    until(lambda: not in_kernels())  # a node may know before the one that tells it does
    assert tellers(outer, "192.0.2.0/24") == tellers(inner, "192.0.2.0/24") == ""


def test_nodes_of_as_numbers_of_their_own_tell_of_their_own_services(network: Network) -> None:
    """The mesh is eBGP then, so each node would pass on what others tell."""
    network.apply(POOL, configuration(BALANCERS), service(), endpoints(n1=READY))
    numbers = {"n1": 65001, "n2": 65002}
    nodes = [network.node(name, int(name[1:]), asNumber=str(its)) for name, its in numbers.items()]
    router = network.router("tor", 254)
    network.apply(peer("tor", router.address, 65000))
    router.start(sessions(router, 65000, numbers))
    for node in nodes:
        node.start()
    nodes[1].wait_up("Mesh_172_16_0_1", "Global_172_16_0_254")
    until(lambda: "[Mesh" in nodes[1].known("10.96.0.7/32"))
    Marks(network).told(nodes, router)
    assert tellers(router, "10.96.0.7/32") == tellers(router, "192.0.2.7/32") == "1"
    assert tellers(router, "10.96.0.0/12") == "12"
    assert not any(to.startswith("10.96") for to in nodes[1].routes())


def test_a_router_behind_a_reflector_is_told_of_a_service_with_the_way_to_it(
    network: Network,
) -> None:
    """The reflector is a node that takes no traffic from outside: it is in no way."""
    network.apply(
        POOL,
        configuration(f"nodeToNodeMeshEnabled: false\n  {BALANCERS}"),
        service(),
        endpoints(n1=READY),
        """
        apiVersion: projectcalico.org/v3
        kind: BGPPeer
        metadata: {name: to-reflectors}
        spec: {nodeSelector: "name != 'n3'", peerSelector: "name == 'n3'"}
        """,
    )
    first, second, reflector = (network.node(f"n{number}", number) for number in (1, 2, 3))
    label(network, reflector, f"{EXCLUDED}: 'true'", ", routeReflectorClusterID: 1.0.0.1")
    router = network.router("tor", 254)
    network.apply(peer("tor", router.address, 65000, ", node: n3"))
    router.start(sessions(router, 65000, {"n3": 64512}))
    for node in (first, second, reflector):
        node.start()
    reflector.wait_up("Node_172_16_0_254", "Node_172_16_0_1", "Node_172_16_0_2")
    reflected = until(lambda: second.known("10.96.0.7/32"))
    assert "BGP.next_hop: 172.16.0.1\n" in reflected
    until(lambda: "[Node" in reflector.known("192.0.2.7/32"))
    Marks(network).told([reflector], router)
    for unreachable in ("10.96.0.7/32", "192.0.2.7/32", "10.96.0.0/12", "192.0.2.0/24"):
        assert router.known(unreachable) == "", unreachable
    network.apply(peer("tor", router.address, 65000, ", node: n3, nextHopMode: Keep"))
    for prefix, ways in (
        ("10.96.0.7/32", {"172.16.0.1"}),
        ("192.0.2.0/24", {"172.16.0.1", "172.16.0.2"}),
    ):
        until(lambda prefix=prefix, ways=ways: next_hops(router, prefix) == ways)
    assert not any(to.startswith("10.96") for to in second.routes())


def next_hops(router: Router, prefix: str) -> set[str]:
    return set(re.findall(r"BGP.next_hop: (\S+)", router.known(prefix)))
