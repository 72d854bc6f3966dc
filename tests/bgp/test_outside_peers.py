"""Sessions with routers outside of the cluster: what they are told, what is taken from them."""

import os
import re
import signal
import subprocess
import sys

import pytest

from bgp.network import Network, Node, Router, same_moment, until
from bgp.pictures import POOLS, QUIET, pool
from tortie.api.calico.node_status import CalicoNodeStatus

pytestmark = pytest.mark.root

TOR = "Global_172_16_0_254"
TOR6 = "Global_fd16__fe"
BASE = POOLS + QUIET + pool("tunnelled", "10.67.0.0/16", ", vxlanMode: Always")


def peer(extra: str = "", notes: str = "") -> str:
    """The BGPPeer of the router, with more fields and annotations."""
    return f"""
apiVersion: projectcalico.org/v3
kind: BGPPeer
metadata: {{name: tor, annotations: {{{notes}}}}}
spec: {{peerIP: 172.16.0.254, asNumber: 65000{extra}}}
"""


def tor(more: str = "", ours: int = 1, options: str = "", routes: str = "") -> str:
    """The router's side of it."""
    return f"""
protocol static s4 {{ ipv4; {routes} }}
protocol bgp n{ours} {{
  local 172.16.0.254 as 65000; neighbor 172.16.0.{ours} as 64512; multihop;
  connect delay time 1; connect retry time 2; error wait time 1, 2; {options}
  ipv4 {{ import all; export where source = RTS_STATIC; add paths on; }};
}}
{more}
"""


def one_node(network: Network) -> tuple[Node, Router]:
    """A node with blocks, and a router that is not started yet."""
    network.apply(BASE)
    node, router = network.node("n1", 1), network.router("tor", 254)
    for cidr in ("10.65.1.0/26", "fd65::1:0/122", "10.66.1.0/26", "10.67.1.0/26"):
        network.block("n1", cidr)
    node.start()
    return node, router


def test_a_router_is_told_what_is_to_be_told(network: Network) -> None:
    """Over IPv4 and IPv6: blocks, borrowed addresses, communities; no pool that stays quiet."""
    node, router = one_node(network)
    node.workload("10.65.1.9")
    node.workload("10.65.77.9")
    node.workload("10.66.77.9")
    network.apply(
        peer(),
        """
        apiVersion: projectcalico.org/v3
        kind: BGPPeer
        metadata: {name: tor6}
        spec: {peerIP: "fd16::fe", asNumber: 65000}
        ---
        apiVersion: projectcalico.org/v3
        kind: BGPConfiguration
        metadata: {name: default}
        spec:
          communities: [{name: ours, value: "65000:7"}]
          prefixAdvertisements: [{cidr: 10.65.1.0/26, communities: [ours, "64512:1:2"]}]
        """,
    )
    six = """
        protocol bgp six { local fd16::fe as 65000; neighbor fd16::1 as 64512; multihop;
          connect delay time 1; connect retry time 2; ipv6 { import all; export none; }; }
        """
    router.start(tor(six))
    node.wait_up(TOR, TOR6)
    known = until(lambda: router.known("10.65.1.0/26"))
    assert "BGP.community: (65000,7)" in known
    assert "BGP.large_community: (64512, 1, 2)" in known
    assert "BGP.as_path: 64512" in known
    until(lambda: router.known("10.65.77.9/32"))
    until(lambda: router.known("fd65::1:0/122"))
    # A tunnel between nodes is no business of outsiders.
    until(lambda: router.known("10.67.1.0/26"))
    node.workload("10.65.78.9")  # later than all else
    until(lambda: router.known("10.65.78.9/32"))
    for quiet in ("10.65.1.9/32", "10.66.1.0/26", "10.66.77.9/32"):
        assert not router.known(quiet), quiet
    until(lambda: "10.65.1.0/26" in router.routes())


def test_what_is_here_stays_here_whatever_a_peer_tells_and_withdraws(network: Network) -> None:
    """Both have a place for the address, and BIRD takes the agent's route with none of its own."""
    node, router = one_node(network)
    network.apply(peer())
    here, lent = "10.65.1.9", "10.65.1.8"
    told = f"route {here}/32 blackhole; route {lent}/32 blackhole; route 10.65.1.0/27 blackhole;"
    router.start(tor(routes=told))
    until(lambda: {here, lent} <= node.routes().keys())
    node.ip("link add caliaa type veth peer name waa")
    node.ip("link set caliaa up")
    node.ip("link set waa up")
    node.ip(f"route add {here} dev caliaa metric 1024 proto boot")
    router.start(tor(routes=f"{told} route 10.99.0.0/24 blackhole;"))
    until(lambda: "10.99.0.0/24" in node.routes())
    assert "10.65.1.0/27" not in node.routes()
    network.block("n1", "10.65.8.0/26")  # a reload
    until(lambda: router.known("10.65.8.0/26"))
    assert here in node.routes(protocol="boot")
    assert "dev caliaa" in node.ip(f"route get {here}")
    router.start(tor(routes="route 10.98.0.0/24 blackhole;"))
    until(lambda: "10.98.0.0/24" in node.routes())  # what went was told before it
    assert not {here, lent} & node.routes().keys()
    assert here in node.routes(protocol="boot")


def test_filters_decide_what_passes_and_change_it(network: Network) -> None:
    node, router = one_node(network)
    network.block("n1", "10.65.2.0/26")
    network.apply(
        """
        apiVersion: projectcalico.org/v3
        kind: BGPFilter
        metadata: {name: strict}
        spec:
          exportV4:
          - {action: Reject, cidr: 10.65.2.0/24, matchOperator: In}
          - action: Accept
            cidr: 10.65.1.0/26
            matchOperator: Equal
            operations:
            - {addCommunity: {value: "65000:99"}}
            - {prependASPath: {prefix: [65010, 65011]}}
          importV4:
          - {action: Reject, communities: {values: ["65000:666"]}}
          - {action: Reject, asPathPrefix: [65000, 65020]}
          - {action: Reject, cidr: 203.0.0.0/16, matchOperator: In, prefixLength: {min: 25}}
          - action: Accept
            cidr: 203.0.113.0/24
            matchOperator: In
            operations: [{setPriority: {value: 77}}]
          - {action: Accept, cidr: 198.51.100.0/24, matchOperator: NotIn, peerType: iBGP}
          - {action: Reject, cidr: 198.51.0.0/16, matchOperator: In, peerType: eBGP}
        """,
        peer(", filters: [strict]"),
    )
    routes = """
        route 203.0.113.0/24 blackhole;
        route 203.0.113.128/25 blackhole;
        route 198.51.100.0/24 blackhole;
        route 192.0.2.0/24 blackhole { bgp_community.add((65000,666)); };
        route 192.0.3.0/24 blackhole { bgp_path.prepend(65020); };
        route 192.0.4.0/24 blackhole;
        """
    router.start(tor(routes=routes))
    node.wait_up(TOR)
    wanted = {"203.0.113.0/24": 77, "192.0.4.0/24": 1024}
    until(lambda: "192.0.4.0/24" in node.routes())
    router.start(tor(routes=f"{routes} route 192.0.5.0/24 blackhole;"))
    wanted["192.0.5.0/24"] = 1024
    until(lambda: {to: found["metric"] for to, found in node.routes().items()} == wanted)
    known = until(lambda: router.known("10.65.1.0/26"))
    assert "BGP.as_path: 64512 65010 65011" in known
    assert "BGP.community: (65000,99)" in known
    network.block("n1", "10.65.3.0/26")
    until(lambda: router.known("10.65.3.0/26"))
    assert not router.known("10.65.2.0/26")
    since = node.sessions()[TOR]["since"]
    network.delete("BGPFilter", "strict")
    until(lambda: not router.known("10.65.1.0/26"), said="without its filter nothing passes")
    until(lambda: not node.routes())
    assert same_moment(node.sessions()[TOR]["since"], since)  # by the filter, not by its loss


def test_filters_look_at_interfaces_sources_priorities_and_ipv6(network: Network) -> None:
    node, router = one_node(network)
    for address in ("10.65.77.9", "10.65.78.9", "10.65.79.9"):
        node.workload(address)
    network.block("n1", "fd65::2:0/122")
    network.apply(
        """
        apiVersion: projectcalico.org/v3
        kind: BGPFilter
        metadata: {name: strict}
        spec:
          exportV4:
          - {action: Reject, cidr: 10.65.77.9/32, matchOperator: Equal, interface: "cali*"}
          - {action: Reject, cidr: 10.65.78.9/32, matchOperator: Equal, interface: "eth*"}
          - {action: Reject, cidr: 10.65.79.9/32, matchOperator: Equal, priority: 1024}
          - {action: Reject, cidr: 10.65.1.0/26, matchOperator: Equal, source: RemotePeers}
          exportV6:
          - {action: Reject, cidr: "fd65::1:0/122", matchOperator: NotEqual}
          importV6:
          - {action: Accept, cidr: "2001:db8:1::/48", matchOperator: In, prefixLength: {max: 56}}
          - {action: Reject}
        ---
        apiVersion: projectcalico.org/v3
        kind: BGPPeer
        metadata: {name: tor6}
        spec: {peerIP: "fd16::fe", asNumber: 65000, filters: [strict]}
        """,
        peer(", filters: [strict]"),
    )
    six = """
        protocol static s6 { ipv6;
          route 2001:db8:1::/48 blackhole; route 2001:db8:1:1::/64 blackhole;
          route 2001:db8:2::/48 blackhole; LATER }
        protocol bgp six { local fd16::fe as 65000; neighbor fd16::1 as 64512; multihop;
          connect delay time 1; connect retry time 2;
          ipv6 { import all; export where source = RTS_STATIC; }; }
        """
    router.start(tor(six.replace("LATER", "")))
    node.wait_up(TOR, TOR6)
    told = ("10.65.1.0/26", "10.65.78.9/32", "fd65::1:0/122")
    until(lambda: all(router.known(one) for one in told))
    node.workload("10.65.80.9")
    until(lambda: router.known("10.65.80.9/32"))
    network.delete("BlockAffinity", "n1-fd65-1-0-122")  # it is told anew, later than the others
    until(lambda: not router.known("fd65::1:0/122"))
    network.block("n1", "fd65::1:0/122")
    until(lambda: router.known("fd65::1:0/122"))
    for kept in ("10.65.77.9/32", "10.65.79.9/32", "fd65::2:0/122"):
        assert not router.known(kept), kept
    router.start(tor(six.replace("LATER", "route 2001:db8:1:200::/56 blackhole;")))
    until(lambda: "2001:db8:1:200::/56" in node.routes(6))
    assert set(node.routes(6)) == {"2001:db8:1::/48", "2001:db8:1:200::/56"}


def test_a_password_must_be_the_same_and_is_seen_nowhere(network: Network) -> None:
    node, router = one_node(network)
    node.stop()
    secrets = network.folder / "secrets"
    (secrets / "bgp").mkdir(parents=True)
    (secrets / "bgp" / "tor").write_bytes(b"hush #1;}")
    node.start(TORTIE_BGP_SECRETS=str(secrets))
    network.apply(peer(", password: {secretKeyRef: {name: bgp, key: tor}}"))
    router.start(tor(options='password "another";'))
    until(lambda: "password" in (node.sessions().get(TOR) or {}).get("reason", ""))
    assert node.sessions()[TOR]["state"] != "Established"
    router.start(tor(options='password "hush #1;}";'))
    node.wait_up(TOR)
    assert "hush" not in node.log
    assert "hush" not in str(node.asks())
    files = [path for path in node.folder.rglob("*") if path.is_file() and "log" not in path.name]
    holding = [path for path in files if b"hush" in path.read_bytes()]
    assert [path.name for path in holding] == ["bird.conf"]
    assert holding[0].stat().st_mode & 0o077 == 0


def test_a_session_without_its_secret_is_left_out_and_named(network: Network) -> None:
    node, router = one_node(network)
    node.stop()
    node.start(TORTIE_BGP_SECRETS=str(network.folder / "none"))
    network.apply(peer(", password: {secretKeyRef: {name: bgp, key: tor}}"))
    router.start(tor())
    problem = "BGPPeer(tor): password: Secret 'bgp', key 'tor': there is no such key"
    until(lambda: (node.asks() or {}).get("problems") == [problem])
    assert node.sessions() == {}


def test_status_says_why_a_session_is_not_up(network: Network) -> None:
    node, router = one_node(network)
    for options, spec, said in (
        ("disabled;", "", "nothing listens on its port 179"),
        ("", ", localASNumber: 64999", "wrong AS number: the peer expects another one of us"),
        ("local as 65001;", "", "wrong AS number: the peer has another one than 65000"),
    ):
        network.apply(peer(spec))
        router.start(tor(options=options))
        until(lambda said=said: said in (node.sessions().get(TOR) or {}).get("reason", ""))


def test_status_says_that_a_peer_is_unreachable(network: Network) -> None:
    node, router = one_node(network)
    network.apply(peer(", maxRestartTime: 1s, keepaliveTime: 1s"))
    router.start(tor())
    node.wait_up(TOR)
    router.cut()
    wanted = ("unreachable", "silent", "no answer")
    reason = until(
        lambda: (
            any(word in node.sessions()[TOR]["reason"] for word in wanted)
            and node.sessions()[TOR]["reason"]
        )
    )
    text = subprocess.run(
        [sys.executable, "-m", "tortie.cli", "node", "status", "--run-dir", str(node.folder)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert text.returncode == 1
    assert "172.16.0.254" in text.stdout
    assert "BGPPeer(tor)" in text.stdout
    assert all(len(line) <= 80 for line in text.stdout.splitlines())
    assert reason


def test_next_hops_are_told_as_asked_and_changed_without_a_new_session(network: Network) -> None:
    """A route that another router told: its own next hop, or ours."""
    node, router = one_node(network)
    other = network.router("other", 9)
    network.apply(
        """
        apiVersion: projectcalico.org/v3
        kind: BGPPeer
        metadata: {name: other}
        spec: {peerIP: 172.16.0.9, asNumber: 65009, node: n1}
        """,
        peer(", nextHopMode: Self"),
    )
    other.start(
        """
        protocol static s4 { ipv4; route 10.65.99.0/24 blackhole; }
        protocol bgp n1 { local as 65009; neighbor 172.16.0.1 as 64512; multihop;
          connect delay time 1; ipv4 { import all; export where source = RTS_STATIC; }; }
        """
    )
    router.start(tor())
    node.wait_up(TOR)
    until(lambda: "BGP.next_hop: 172.16.0.1" in router.known("10.65.99.0/24"))
    network.apply(peer(", nextHopMode: Keep"))
    until(lambda: "BGP.next_hop: 172.16.0.9" in router.known("10.65.99.0/24"))


def far_router(network: Network, node: Node) -> Router:
    """A router one hop farther, 10.77.0.2, behind a machine that forwards."""
    middle, far = network.router("middle", 200), network.router("far", 201)
    middle.ip(f"link add eth1 type veth peer name eth1 netns {far.namespace}")
    for machine, number in ((middle, 1), (far, 2)):
        machine.ip(f"addr add 10.77.0.{number}/24 dev eth1")
        machine.ip("link set eth1 up")
    far.ip("link set eth0 down")
    far.ip("route add default via 10.77.0.1")
    node.ip("route add 10.77.0.0/24 via 172.16.0.200")
    return far


def count(node: Node, name: str) -> int:
    """One of the kernel's counts of TCP."""
    names, values = (line.split() for line in node.run("cat", "/proc/net/netstat").splitlines()[:2])
    return int(values[names.index(name)])


def test_ttl_security_keeps_out_who_is_farther_away(network: Network) -> None:
    """The kernel drops what came a hop too far, and says so."""
    node, _ = one_node(network)
    far = far_router(network, node)
    far.start(
        """
        protocol bgp n1 { local 10.77.0.2 as 65000; neighbor 172.16.0.1 as 64512;
          multihop 3; ttl security on; connect delay time 1; connect retry time 2;
          error wait time 1, 2; ipv4 { import all; export none; }; }
        """
    )

    def limit(hops: int) -> str:
        return peer(f", ttlSecurity: {hops}").replace("172.16.0.254", "10.77.0.2")

    network.apply(limit(1))
    until(lambda: count(node, "TCPMinTTLDrop") > 0, said="packets from too far")
    assert node.sessions()["Global_10_77_0_2"]["state"] != "Established"
    network.apply(limit(2))
    node.wait_up("Global_10_77_0_2")


def test_what_a_peer_and_the_configuration_say_is_what_bird_does(network: Network) -> None:
    node, router = one_node(network)
    node.stop()
    for link, subnet in (("docker0", "10.50.0.1/24"), ("eth9", "10.51.0.1/24")):
        node.ip(f"link add {link} type bridge")
        node.ip(f"link set {link} up")
        node.ip(f"addr add {subnet} dev {link}")
    other = network.router("other", 253)
    other.owns("10.200.0.1/32")
    behind = peer(", reachableBy: 172.16.0.253, sourceAddress: None")
    network.apply(
        """
        apiVersion: projectcalico.org/v3
        kind: BGPConfiguration
        metadata: {name: default}
        spec: {bindMode: NodeIP, ignoredInterfaces: ["docker*"], logSeverityScreen: Fatal}
        """,
        peer(
            ", localASNumber: 65010, maxRestartTime: 90s, keepaliveTime: 1500ms"
            ", numAllowedLocalASNumbers: 1"
        ),
        behind.replace("172.16.0.254, asN", "10.200.0.1, asN").replace("name: tor", "name: behind"),
    )
    before = len(node.log)
    node.start()
    router.start(
        tor(
            routes="""
            route 203.0.113.0/24 blackhole { bgp_path.prepend(65010); };
            """,
        ).replace("as 64512; multihop;\n", "as 65010; multihop;\n", 1)
    )
    other.start(
        """
        protocol bgp n1 { local 10.200.0.1 as 65000; neighbor 172.16.0.1 as 64512; multihop;
          connect delay time 1; ipv4 { import none; export none; }; }
        """
    )
    node.wait_up(TOR, "Global_10_200_0_1")
    until(lambda: "203.0.113.0/24" in node.routes())  # our own AS is in its path
    assert node.routes()["10.200.0.1"]["gateway"] == "172.16.0.253"
    listening = {line.split()[3] for line in node.run("ss", "-Hltn").splitlines()}
    assert {one for one in listening if one.endswith(":179")} <= {"172.16.0.1:179", "[fd16::1]:179"}
    seen = "\n".join(line.text for line in router.bird("show protocols all n1").lines)
    assert "Restart time: 90" in seen
    own = "\n".join(line.text for line in node.bird(f"show protocols all {TOR}").lines)
    assert re.search(r"Hold timer: +[\d.]+/6\b", own)
    assert re.search(r"Keepalive timer: +[\d.]+/2\b", own)
    direct = "\n".join(line.text for line in node.bird("show route protocol direct1").lines)
    assert "10.51.0.0/24" in direct
    assert "10.50.0.0/24" not in direct
    assert any("no effect while bindMode is NodeIP" in one for one in problems(node))
    assert "<INFO>" not in node.log[before:]
    network.apply(
        """
        apiVersion: projectcalico.org/v3
        kind: BGPConfiguration
        metadata: {name: default}
        spec: {bindMode: NodeIP, logSeverityScreen: Info}
        """
    )
    until(lambda: "<INFO>" in node.log[before:])


def problems(node: Node) -> list[str]:
    return list((node.asks() or {"problems": []})["problems"])


def test_without_a_source_address_the_kernel_chooses_one(network: Network) -> None:
    """The router knows the node by another address of the node's only."""
    node, router = one_node(network)
    for machine, number in ((node, 1), (router, 9)):
        machine.ip(f"addr add 10.9.0.{number}/24 dev eth0")
    router.start(
        """
        protocol bgp n1 { local 10.9.0.9 as 65000; neighbor 10.9.0.1 as 64512; multihop;
          passive on; ipv4 { import all; export none; }; }
        """
    )
    there = peer().replace("172.16.0.254", "10.9.0.9")
    network.apply(there)
    until(lambda: (node.sessions().get("Global_10_9_0_9") or {}).get("reason"))
    network.apply(there.replace("65000}", "65000, sourceAddress: None}"))
    node.wait_up("Global_10_9_0_9")


def test_two_ways_to_one_place_are_both_in_the_kernel(network: Network) -> None:
    node, router = one_node(network)
    other = network.router("other", 253)
    network.apply(
        peer(),
        """
        apiVersion: projectcalico.org/v3
        kind: BGPPeer
        metadata: {name: other}
        spec: {peerIP: 172.16.0.253, asNumber: 65000}
        """,
    )
    router.start(tor(routes="route 203.0.113.0/24 blackhole;"))
    text = tor(routes="route 203.0.113.0/24 blackhole;").replace("172.16.0.254", "172.16.0.253")
    other.start(text)
    node.wait_up(TOR, "Global_172_16_0_253")

    def gateways() -> set[str]:
        hops = node.routes().get("203.0.113.0/24", {}).get("nexthops", [])
        return {hop["gateway"] for hop in hops}

    until(lambda: gateways() == {"172.16.0.254", "172.16.0.253"})


def test_a_cut_link_is_noticed_by_bfd_within_its_time(network: Network) -> None:
    node, router = one_node(network)
    network.apply(peer(", sourceAddress: UseNodeIP", "tortie.io/bfd: 300ms"))
    bfd = 'protocol bfd { interface "*" { interval 100 ms; }; }'
    options = "direct; bfd on;"
    router.start(
        tor(bfd, options=options, routes="route 203.0.113.0/24 blackhole;").replace("multihop;", "")
    )
    node.wait_up(TOR)
    until(lambda: "203.0.113.0/24" in node.routes())
    until(lambda: any("Up" in line.text for line in node.bird("show bfd sessions").lines))
    router.cut()
    # Without BFD it would be four minutes: the bound says that it was BFD, not how fast.
    until(lambda: "203.0.113.0/24" not in node.routes(), seconds=10)
    assert "BFD" in until(lambda: node.sessions()[TOR]["reason"])


def test_a_router_prefers_the_node_that_has_a_block_over_those_that_pass_it_on(
    network: Network,
) -> None:
    node, router = one_node(network)
    other = network.node("n2", 2)
    other.start()
    network.apply(peer())
    router.start(tor(second_node()))
    node.wait_up(TOR, "Mesh_172_16_0_2")
    other.wait_up(TOR)
    known = until(lambda: (text := router.known("10.65.1.0/26")).count("[n") == 2 and text)
    assert "BGP.med: 100" in known
    until(lambda: router.routes()["10.65.1.0/26"].get("gateway") == "172.16.0.1")


def second_node() -> str:
    """The router's session with n2."""
    text = "protocol bgp" + tor().split("protocol bgp")[1]
    return text.replace(" n1 ", " n2 ").replace("172.16.0.1 ", "172.16.0.2 ")


def test_services_are_announced_where_their_endpoints_are(network: Network) -> None:
    node, router = one_node(network)
    other = network.node("n2", 2)
    other.start()
    network.apply(
        peer(),
        """
        apiVersion: projectcalico.org/v3
        kind: BGPConfiguration
        metadata: {name: default}
        spec:
          serviceClusterIPs: [{cidr: 10.96.0.0/12}]
          serviceLoadBalancerIPs: [{cidr: 192.0.2.0/24}]
        ---
        apiVersion: v1
        kind: Service
        metadata: {name: web, namespace: default}
        spec: {clusterIP: 10.96.0.7, type: LoadBalancer, externalTrafficPolicy: Local,
               ports: [{port: 80}]}
        status: {loadBalancer: {ingress: [{ip: 192.0.2.7}]}}
        ---
        apiVersion: discovery.k8s.io/v1
        kind: EndpointSlice
        metadata: {name: web-1, namespace: default, labels: {kubernetes.io/service-name: web}}
        addressType: IPv4
        endpoints: [{addresses: [10.65.1.9], nodeName: n1}]
        ports: [{port: 80}]
        """,
    )
    router.start(tor(second_node()))
    node.wait_up(TOR)
    other.wait_up(TOR)

    def tellers(prefix: str) -> set[str]:
        known = router.known(prefix)
        return {name for name in ("n1", "n2") if f"[{name} " in known}

    until(lambda: tellers("10.96.0.0/12") == {"n1", "n2"})
    until(lambda: tellers("192.0.2.0/24") == {"n1", "n2"})
    until(lambda: tellers("10.96.0.7/32") == {"n1"})
    until(lambda: tellers("192.0.2.7/32") == {"n1"})
    # No node passes on what another tells: n2 knows of it, and has told all that it knew by then.
    until(lambda: "[Mesh" in other.known("10.96.0.7/32"))
    network.block("n1", "10.65.9.0/26")
    until(lambda: tellers("10.65.9.0/26") == {"n1", "n2"})
    until(lambda: "10.65.9.0/26" in other.routes())
    assert not {"10.96.0.0/12", "10.96.0.7"} & other.routes().keys()  # nor goes there itself
    assert tellers("10.96.0.7/32") == tellers("192.0.2.7/32") == {"n1"}
    network.apply(peer(", nextHopMode: Keep"))  # unless it leads to where the endpoints are
    until(lambda: tellers("10.96.0.7/32") == {"n1", "n2"})
    hops = re.findall(r"BGP.next_hop: (\S+)", router.known("10.96.0.7/32"))
    assert hops == ["172.16.0.1", "172.16.0.1"]


def test_reflectors_tell_nodes_of_each_other(network: Network) -> None:
    """No mesh: two nodes that only speak with a third one, which is their reflector."""
    network.apply(
        BASE,
        """
        apiVersion: projectcalico.org/v3
        kind: BGPConfiguration
        metadata: {name: default}
        spec: {nodeToNodeMeshEnabled: false}
        ---
        apiVersion: projectcalico.org/v3
        kind: BGPPeer
        metadata: {name: to-reflectors}
        spec: {nodeSelector: "name != 'rr'", peerSelector: "name == 'rr'"}
        """,
    )
    one, two = network.node("n1", 1), network.node("n2", 2)
    rr = network.node("rr", 3, routeReflectorClusterID="224.0.0.1")
    network.block("n1", "10.65.1.0/26")
    network.block("n2", "10.65.2.0/26")
    for node in (one, two, rr):
        node.start()
    until(lambda: one.routes().get("10.65.2.0/26", {}).get("gateway") == "172.16.0.2")
    until(lambda: two.routes().get("10.65.1.0/26", {}).get("gateway") == "172.16.0.1")
    assert set(one.sessions()) == {"Node_172_16_0_3", "Node_fd16__3"}
    assert {each["from_resource"] for each in rr.sessions().values()} == {"BGPPeer(to-reflectors)"}


def test_a_question_about_the_node_is_answered(network: Network) -> None:
    node, router = one_node(network)
    network.apply(peer())
    router.start(tor())
    node.wait_up(TOR)
    network.apply(
        """
        apiVersion: projectcalico.org/v3
        kind: CalicoNodeStatus
        metadata: {name: how}
        spec: {node: n1, classes: [Agent, BGP, Routes], updatePeriodSeconds: 1}
        """
    )

    def answered() -> CalicoNodeStatus | None:
        found = network.read("CalicoNodeStatus", "how")
        assert isinstance(found, CalicoNodeStatus)
        up = found.status and found.status.bgp and found.status.bgp.number_established_v4
        return found if up else None

    status = until(answered).status
    assert status is not None
    assert status.agent is not None
    assert status.agent.bird_v4 is not None
    assert status.agent.bird_v4.state == "Ready"
    assert status.bgp is not None
    assert status.bgp.peers_v4[0].type == "GlobalPeer"
    assert status.routes is not None
    assert any(route.destination == "10.65.1.0/26" for route in status.routes.routes_v4)


def test_what_birds_parser_refuses_leaves_the_last_in_force(network: Network) -> None:
    """No resources are known that do it; so a parser that refuses stands in for BIRD's."""
    node, router = one_node(network)
    network.apply(peer())
    router.start(tor())
    node.wait_up(TOR)
    node.stop(signal.SIGKILL)
    stand_in = network.folder / "bin"
    stand_in.mkdir()
    (stand_in / "bird").write_text("#!/bin/sh\necho 'bird: candidate.conf:9:1 no' >&2\nexit 1\n")
    (stand_in / "bird").chmod(0o755)
    node.start(PATH=f"{stand_in}:{os.environ['PATH']}")
    network.block("n1", "10.65.9.0/26")
    problems = until(lambda: (node.asks() or {}).get("problems"))
    assert "BIRD refuses the configuration" in problems[0]
    assert node.sessions()[TOR]["state"] == "Established"
    assert router.known("10.65.1.0/26")
    assert "10.65.9.0/26" not in (node.bird_folder / "bird.conf").read_text()
    assert not node.known("10.65.9.0/26")
