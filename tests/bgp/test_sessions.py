"""Whom a node speaks with, by BGPPeers, labels and the mesh."""

import pytest
from msgspec.structs import replace

from bgp.pictures import ALPHA, BETA, GAMMA, cluster, picture, resources
from tortie.api import Node
from tortie.bgp.build import Given, picture_of
from tortie.bgp.meeting import wanted
from tortie.bgp.passwords import MISSING, SecretRef, Unknown, secrets_wanted
from tortie.bgp.picture import Bfd, Picture, Session
from tortie.bgp.standing import sessions_in
from tortie.bgp.text import bird_text
from tortie.bgp.words import Password
from tortie.net import format_address, parse_prefix

NO_MESH = """
apiVersion: projectcalico.org/v3
kind: BGPConfiguration
metadata: {name: default}
spec: {nodeToNodeMeshEnabled: false}
"""


def peer(spec: str, name: str = "tor", notes: str = "") -> str:
    return f"""
apiVersion: projectcalico.org/v3
kind: BGPPeer
metadata: {{name: {name}, annotations: {{{notes}}}}}
spec: {{{spec}}}
"""


def labelled(bgp: str) -> str:
    """A local workload with the label `bgp`."""
    return f"""
apiVersion: projectcalico.org/v3
kind: WorkloadEndpoint
metadata: {{name: alpha-k8s-vm-eth0, namespace: shop, labels: {{bgp: "{bgp}"}}}}
spec: {{node: alpha, ipNetworks: [10.65.0.9/32], orchestrator: k8s, pod: vm, endpoint: eth0,
       interfaceName: cali1}}
"""


def names(found: Picture) -> list[str]:
    return [session.symbol for session in found.sessions]


def one(found: Picture) -> Session:
    assert len(found.sessions) == 1, found.sessions
    return found.sessions[0]


def test_a_mesh_has_a_session_for_each_other_node_and_family() -> None:
    found = picture(ALPHA, BETA, GAMMA)
    assert names(found) == ["Mesh_172_16_0_2", "Mesh_172_16_1_3", "Mesh_fd16__2"]
    assert {session.symbol: session.peer_as for session in found.sessions} == {
        "Mesh_172_16_0_2": 64512,
        "Mesh_172_16_1_3": 64600,
        "Mesh_fd16__2": 64512,
    }


def test_of_two_nodes_one_calls_and_the_other_waits() -> None:
    one_side, other_side = picture(ALPHA, BETA), picture(ALPHA, BETA, node="beta")
    passive = {s.symbol: s.passive for s in (*one_side.sessions, *other_side.sessions)}
    assert passive["Mesh_172_16_0_2"] is not passive["Mesh_172_16_0_1"]


@pytest.mark.parametrize(
    ("address", "waits"),
    [("172.16.0.2", True), ("172.16.0.10", True), ("172.15.0.9", False), ("99.0.0.1", True)],
)
def test_who_calls_is_who_calls_in_calico(address: str, waits: bool) -> None:
    """Nodes of both may be in one mesh: who has the lesser text, of 172.16.0.1 and the other."""
    found = picture(ALPHA, twin("odd", address))
    assert [each.passive for each in found.sessions] == [waits]
    assert ("passive on;" in bird_text(found)) is waits


def test_nobody_is_nearer_than_the_same_link() -> None:
    text = peer("peerIP: 172.16.0.254, asNumber: 65000, ttlSecurity: 0")
    found = one(picture(ALPHA, NO_MESH, text))
    assert (found.hops, found.ttl) == (1, True)


def test_no_mesh_with_reflectors() -> None:
    reflector = BETA.replace("/64", '/64", routeReflectorClusterID: "1.0.0.1')
    assert names(picture(ALPHA, reflector, GAMMA)) == ["Mesh_172_16_1_3"]
    assert names(picture(ALPHA, reflector, GAMMA, node="beta")) == []


@pytest.mark.parametrize(
    ("who", "has"),
    [
        ("", {"alpha", "beta"}),
        (", node: alpha", {"alpha"}),
        (", nodeSelector: \"name == 'none'\"", set()),
        (", nodeSelector: \"rack == 'a'\"", {"alpha", "beta"}),
    ],
)
def test_a_peer_is_for_all_nodes_or_for_one_or_by_label(who: str, has: set[str]) -> None:
    for node in ("alpha", "beta"):
        text = peer("peerIP: 172.16.0.254, asNumber: 65000" + who)
        found = picture(ALPHA, BETA, NO_MESH, text, node=node)
        assert bool(found.sessions) is (node in has)
        if found.sessions:
            kind = "Node" if who else "Global"
            assert one(found).symbol == f"{kind}_172_16_0_254"


def test_a_peer_for_some_nodes_wins_over_one_for_all_and_both_over_the_mesh() -> None:
    common = peer("peerIP: 172.16.0.2, asNumber: 64512", "all")
    own = peer("peerIP: 172.16.0.2, asNumber: 64512, node: alpha", "zz-own")
    assert "Global_172_16_0_2" in names(picture(ALPHA, BETA, common))
    assert "Mesh_172_16_0_2" not in names(picture(ALPHA, BETA, common))
    assert "Node_172_16_0_2" in names(picture(ALPHA, BETA, common, own))


def test_peers_by_label_get_the_session_back_unless_it_is_manual() -> None:
    spec = "node: alpha, peerSelector: \"role == 'reflector'\", localASNumber: 65010"
    forward = one(picture(ALPHA, GAMMA, NO_MESH, peer(spec)))
    assert (forward.local_as, forward.peer_as) == (65010, 64600)
    back = one(picture(ALPHA, GAMMA, NO_MESH, peer(spec), node="gamma"))
    assert (back.local_as, back.peer_as) == (64600, 65010)
    assert format_address(4, back.peer) == "172.16.0.1"
    assert names(picture(ALPHA, BETA, GAMMA, NO_MESH, peer(spec), node="gamma")) == [back.symbol]
    manual = peer(spec + ", reversePeering: Manual")
    assert picture(ALPHA, GAMMA, NO_MESH, manual, node="gamma").sessions == ()
    assert picture(ALPHA, GAMMA, NO_MESH, manual).sessions


def test_a_reflector_has_clients_and_fellow_reflectors() -> None:
    def reflector(text: str, cluster: str) -> str:
        return text.replace("{bgp: {", f"{{bgp: {{routeReflectorClusterID: {cluster}, ")

    text = peer('peerSelector: "all()"')
    nodes = (reflector(ALPHA, "1.0.0.1"), reflector(BETA, "1.0.0.1"), GAMMA)
    found = {s.symbol: s for s in picture(*nodes, NO_MESH, text).sessions}
    assert found["Global_172_16_0_2"].cluster_id is None  # of the same cluster of reflectors
    assert found["Global_172_16_1_3"].cluster_id is None  # another AS
    other = (nodes[0], reflector(BETA, "1.0.0.2"))
    assert picture(*other, NO_MESH, text).sessions[0].cluster_id == 0x01000001


@pytest.mark.parametrize(
    ("address", "symbol", "port"),
    [
        ("172.16.0.254", "Global_172_16_0_254", 179),
        ("172.16.0.254:1179", "Global_172_16_0_254_port_1179", 1179),
        ('"[fd16::fe]:1179"', "Global_fd16__fe_port_1179", 1179),
        ('"fd16::fe"', "Global_fd16__fe", 179),
    ],
)
def test_a_peers_address_may_have_a_port(address: str, symbol: str, port: int) -> None:
    found = one(picture(ALPHA, NO_MESH, peer(f"peerIP: {address}, asNumber: 65000")))
    assert (found.symbol, found.port) == (symbol, port)


def test_what_a_peer_says_is_what_the_session_has() -> None:
    found = one(
        picture(
            ALPHA,
            NO_MESH,
            peer(
                "peerIP: 172.16.0.254, asNumber: 65000, localASNumber: 65010, sourceAddress: None,"
                " maxRestartTime: 90s, keepaliveTime: 1500ms, numAllowedLocalASNumbers: 2,"
                " ttlSecurity: 3, nextHopMode: Keep, reachableBy: 172.16.0.9"
            ),
        )
    )
    assert (found.local_as, found.source, found.restart_seconds) == (65010, None, 90)
    assert (found.keepalive_seconds, found.allowed_local_as) == (2, 2)
    assert (found.hops, found.ttl, found.next_hop) == (3, True, "Keep")
    assert found.gateway is not None
    assert format_address(4, found.gateway) == "172.16.0.9"


@pytest.mark.parametrize(
    ("note", "bfd", "hops"),
    [
        ("", None, 255),
        ("tortie.io/bfd: 30ms", Bfd(10, 3), 0),
        ("tortie.io/bfd: Enabled", Bfd(100, 3), 0),
        ("tortie.io/bfd: 600ms", Bfd(200, 3), 0),
        ("tortie.io/bfd: Disabled", None, 255),
    ],
)
def test_bfd_is_asked_for_by_annotation(note: str, bfd: Bfd | None, hops: int) -> None:
    text = peer("peerIP: 172.16.0.254, asNumber: 65000", notes=note)
    found = one(picture(ALPHA, NO_MESH, text))
    assert (found.bfd, found.hops) == (bfd, hops)


@pytest.mark.parametrize(
    ("spec", "notes", "said"),
    [
        ("peerIP: 172.16.0.254", "", "spec.asNumber is missing"),
        ("peerIP: 172.16.0.1, asNumber: 65000", "", "is this node itself"),
        ("asNumber: 65000", "", "none of peerIP, peerSelector"),
        ("peerIP: 172.16.0.254, asNumber: 65000, maxRestartTime: 2h", "", "from 0s to 4095s"),
        ('peerIP: "fe80::1", asNumber: 65000', "", "is link-local, which needs an interface"),
        ('peerIP: "::", asNumber: 65000', "", "is unspecified"),
        ("peerIP: 224.0.0.1, asNumber: 65000", "", "is multicast"),
        ('peerIP: "255.255.255.255:179", asNumber: 65000', "", "is reserved"),
        (
            'peerIP: "fd16::9", reachableBy: "fe80::9", asNumber: 65000',
            "",
            "fe80::9 is no machine's address",
        ),
        ("peerIP: 172.16.0.254, asNumber: 65000", "tortie.io/bfd: x", "is not Enabled, Disabled"),
        ("peerIP: 172.16.0.254, asNumber: 65000", "tortie.io/bfd: 29ms", "a time from 30ms to 60s"),
        ("peerIP: 172.16.0.254, asNumber: 65000", "tortie.io/bfd: 61s", "a time from 30ms to 60s"),
        (
            "peerIP: 172.16.0.254, asNumber: 65000, password: {secretKeyRef: {name: s, key: k}}",
            "",
            "there is no such key",
        ),
    ],
)
def test_a_session_that_can_not_be_had_is_left_out_and_named(
    spec: str, notes: str, said: str
) -> None:
    secrets = {SecretRef("s", "k"): MISSING}
    found = picture(ALPHA, NO_MESH, peer(spec, notes=notes), passwords=secrets)
    assert found.sessions == ()
    assert [problem.where for problem in found.problems] == ["BGPPeer(tor)"]
    assert said in found.problems[0].message


def test_the_meshs_password_is_of_all_its_sessions_or_there_is_no_mesh() -> None:
    text = NO_MESH.replace(
        "nodeToNodeMeshEnabled: false", "nodeMeshPassword: {secretKeyRef: {name: s, key: k}}"
    )
    secret = Password(b"hush")
    found = picture(ALPHA, BETA, GAMMA, text, passwords={SecretRef("s", "k"): secret})
    assert {session.password for session in found.sessions} == {secret}
    assert picture(ALPHA, BETA, text).sessions == ()


def test_bfd_of_the_mesh_is_asked_for_in_the_default_alone() -> None:
    noted = "metadata: {name: default, annotations: {tortie.io/bfd: 600ms}}"
    default = NO_MESH.replace("metadata: {name: default}", noted).replace("false", "true")
    found = picture(ALPHA, BETA, GAMMA, default)
    assert {each.bfd for each in found.sessions} == {Bfd(200, 3)}
    assert {each.symbol: each.hops for each in found.sessions} == {
        "Mesh_172_16_0_2": 0,
        "Mesh_172_16_1_3": 255,  # of another subnet
        "Mesh_fd16__2": 0,
    }
    own = default.replace("name: default", "name: node.alpha")
    assert {each.bfd for each in picture(ALPHA, BETA, own).sessions} == {None}


def test_bfd_over_several_hops_needs_an_address_of_ours() -> None:
    for address, bfd in (("172.16.9.9", None), ("172.16.0.254", Bfd())):
        text = f"peerIP: {address}, asNumber: 65000, sourceAddress: None"
        found = picture(ALPHA, NO_MESH, peer(text, notes="tortie.io/bfd: Enabled"))
        assert one(found).bfd == bfd
        assert ["needs sourceAddress" in str(each) for each in found.problems] == [True] * (not bfd)


def test_a_node_of_ours_as_outside_peer_has_its_port_and_the_as_number_that_is_said() -> None:
    port = NO_MESH.replace("default", "node.beta").replace(
        "nodeToNodeMeshEnabled: false", "listenPort: 1790"
    )
    tor = peer("peerIP: 172.16.0.2, asNumber: 65055")
    found = one(picture(ALPHA, BETA, NO_MESH, port, tor))
    assert (found.port, found.peer_as, found.node) == (1790, 65055, "beta")
    assert one(picture(ALPHA, BETA, NO_MESH, peer("peerIP: 172.16.0.2"))).peer_as == 64512


def test_one_peer_may_have_several_ports() -> None:
    texts = [
        peer(f"peerIP: '172.16.0.254{port}', asNumber: 65000", f"p{port[1:]}") for port in PORTS
    ]
    found = picture(ALPHA, NO_MESH, *texts)
    assert [each.port for each in found.sessions] == [179, 1179, 1180]
    assert len(set(names(found))) == 3
    assert found.problems == ()


PORTS = ("", ":1179", ":1180")


def test_nodes_with_one_address_and_two_ports_have_two_names() -> None:
    """BIRD takes no name twice; who is meant is said as a problem."""
    other = NO_MESH.replace("default", "node.twin").replace(
        "nodeToNodeMeshEnabled: false", "listenPort: 1790"
    )
    found = picture(ALPHA, BETA, twin("twin", "172.16.0.2"), other)
    assert names(found) == ["Mesh_172_16_0_2", "Mesh_172_16_0_2_port_1790", "Mesh_fd16__2"]


def test_a_workload_that_is_not_chosen_is_no_peer_nor_one_without_an_as_number() -> None:
    workload = labelled("no")
    chosen = peer("localWorkloadSelector: \"bgp == 'yes'\", asNumber: 65001")
    assert picture(ALPHA, NO_MESH, workload, chosen).sessions == ()
    known = cluster(ALPHA, NO_MESH, workload, peer("localWorkloadSelector: all(), asNumber: 1"))
    tor = known.peers["tor"]
    known.peers["tor"] = replace(tor, spec=replace(tor.spec, as_number=None))
    found = picture_of(known, {}, Given())
    assert found is not None
    assert found.sessions == ()
    assert ["asNumber is required" in str(each) for each in found.problems] == [True]


def test_only_what_a_nodes_own_sessions_name_is_its_problem_or_its_secret() -> None:
    spec = "peerIP: 172.16.0.254, asNumber: 65000, node: NODE, filters: [none], " + SECRET
    there, here = (peer(spec.replace("NODE", node)) for node in ("beta", "alpha"))
    assert picture(ALPHA, BETA, NO_MESH, there).problems == ()
    assert secrets_wanted(cluster(ALPHA, BETA, NO_MESH, there)) == frozenset()
    assert secrets_wanted(cluster(BETA, NO_MESH, here)) == frozenset()  # before there is a Node
    assert secrets_wanted(cluster(ALPHA, BETA, NO_MESH, here)) == {SecretRef("s", "k")}
    found = picture(ALPHA, NO_MESH, here, passwords={SecretRef("s", "k"): Password(b"x")})
    assert [str(each) for each in found.problems] == [
        "BGPFilter(none): there is no such filter; peers that name it get and give nothing"
    ]
    assert [each.closed for each in found.filters] == [True]
    reverse = peer(f"node: beta, peerSelector: \"rack == 'a'\", {SECRET}")
    assert secrets_wanted(cluster(ALPHA, BETA, NO_MESH, reverse)) == {SecretRef("s", "k")}


@pytest.mark.parametrize(("number", "cluster_id"), [(0, ""), (None, "x")])
def test_what_can_not_be_used_of_a_node_is_named(number: int | None, cluster_id: str) -> None:
    (found,) = resources(ALPHA)
    assert isinstance(found, Node)
    assert found.spec.bgp is not None
    bgp = replace(found.spec.bgp, as_number=number, route_reflector_cluster_id=cluster_id)
    known = cluster(BETA)
    known.put(found.key, replace(found, spec=replace(found.spec, bgp=bgp)))
    told = picture_of(known, {}, Given())
    assert told is not None
    assert names(told) == ["Mesh_172_16_0_2", "Mesh_fd16__2"]
    field = "routeReflectorClusterID" if cluster_id else "asNumber"
    assert [f"spec.bgp.{field}: " in str(each) for each in told.problems] == [True]


SECRET = "password: {secretKeyRef: {name: s, key: k}}"
AWAY = {SecretRef("s", "k"): Unknown("the API server is away")}


def test_a_session_whose_password_can_not_be_known_stays_as_bird_has_it_or_does_not_begin() -> None:
    texts = (ALPHA, BETA, GAMMA, NO_MESH, peer(f"peerSelector: 'has(role)', {SECRET}"))
    symbol = "Global_172_16_0_2"
    had = Password(b"hush")
    for known in (had, None):
        found = picture(*texts, passwords=AWAY, kept={symbol: known})
        assert [(each.symbol, each.password) for each in found.sessions] == [(symbol, known)]
        (problem,) = found.problems
        assert problem.where == "BGPPeer(tor)"
        assert "the API server is away; sessions that BIRD has stay as they are" in str(problem)
    text = bird_text(picture(*texts, passwords={SecretRef("s", "k"): had}))
    assert sessions_in(text) == dict.fromkeys((symbol, "Global_fd16__2", "Global_172_16_1_3"), had)
    assert picture(*texts, passwords=AWAY, kept=sessions_in("no configuration")).sessions == ()


def test_a_mesh_whose_password_can_not_be_known_leaves_all_other_sessions() -> None:
    mesh = NO_MESH.replace("nodeToNodeMeshEnabled: false", SECRET.replace("pass", "nodeMeshPass"))
    tor = peer("peerIP: 172.16.0.254, asNumber: 65000")
    found = picture(ALPHA, BETA, mesh, tor, passwords=AWAY)
    assert names(found) == ["Global_172_16_0_254"]
    assert [each.where for each in found.problems] == ["BGPConfiguration(default): the mesh"]


def test_one_nodes_session_that_can_not_be_had_costs_no_other() -> None:
    """`reachableBy` is of one IP version, the nodes have both."""
    known = cluster(ALPHA, BETA, NO_MESH, peer("peerSelector: all()"))
    tor = known.peers["tor"]
    known.peers["tor"] = replace(tor, spec=replace(tor.spec, reachable_by="172.16.0.253"))
    found = picture_of(known, {}, Given())
    assert found is not None
    assert names(found) == ["Global_172_16_0_2"]
    assert "same IP version" in found.problems[0].message


def test_one_workloads_address_that_is_none_costs_no_other_workload() -> None:
    texts = [
        f"""
        apiVersion: projectcalico.org/v3
        kind: WorkloadEndpoint
        metadata: {{name: alpha-k8s-{name}-eth0, namespace: shop}}
        spec: {{node: alpha, orchestrator: k8s, pod: {name}, endpoint: eth0,
               interfaceName: cali{name}, ipNetworks: [10.65.1.{number}/32]}}
        """
        for number, name in enumerate(("a", "b"), 1)
    ]
    known = cluster(ALPHA, NO_MESH, *texts, peer("localWorkloadSelector: all(), asNumber: 65009"))
    key = next(iter(known.workloads))
    spec = replace(known.workloads[key].spec, ip_networks=("10.65.1.0/24",))
    known.workloads[key] = replace(known.workloads[key], spec=spec)
    found = picture_of(known, {}, Given())
    assert found is not None
    assert names(found) == ["Global_10_65_1_2"]
    assert [each.where for each in found.problems] == ["BGPPeer(tor) with shop/alpha-k8s-a-eth0"]


def twin(name: str, address: str) -> str:
    return f"""
        apiVersion: projectcalico.org/v3
        kind: Node
        metadata: {{name: {name}}}
        spec: {{bgp: {{ipv4Address: {address}/24}}}}
    """


@pytest.mark.parametrize(
    ("field", "address", "said"),
    [
        ("ipv6Address", "fe80::1/64", "link-local"),
        ("ipv6Address", "::1/128", "loopback"),
        ("ipv4Address", "127.0.0.1/8", "loopback"),
        ("ipv4Address", "172.16.0.0/24", "its subnet's own"),
        ("ipv4Address", "172.16.0.255/24", "its subnet's own, or to all"),
        ("ipv4Address", "0.0.0.0", "unspecified"),
    ],
)
def test_a_nodes_address_that_no_machine_has_costs_its_own_sessions(
    field: str, address: str, said: str
) -> None:
    odd = twin("odd", "172.16.0.7").replace("ipv4Address: 172.16.0.7/24", f'{field}: "{address}"')
    found = picture(ALPHA, BETA, odd)
    assert names(found) == ["Mesh_172_16_0_2", "Mesh_fd16__2"]
    assert [each.where for each in found.problems] == ["Node(odd)"]
    assert said in found.problems[0].message


@pytest.mark.parametrize("address", ["172.16.0.8/31", "172.16.0.255/32", "169.254.0.9/24"])
def test_a_nodes_address_may_be_an_odd_one(address: str) -> None:
    odd = twin("odd", "172.16.0.7").replace("172.16.0.7/24", address)
    assert len(names(picture(ALPHA, odd))) == 1


def test_nodes_with_one_address_are_named() -> None:
    found = picture(ALPHA, BETA, twin("twin", "172.16.0.2"), twin("ofme", "172.16.0.1"))
    assert names(found) == ["Mesh_172_16_0_2", "Mesh_fd16__2"]
    said = {each.where: each.message for each in found.problems}
    assert said.keys() == {"Node(alpha)", "Node(beta)"}
    assert "Node(twin) has 172.16.0.2 too" in said["Node(beta)"]
    assert "Node(ofme) has 172.16.0.1 too: this node has no session" in said["Node(alpha)"]


def test_of_peers_with_one_address_the_lost_one_is_named_where_it_is_another() -> None:
    one = peer("peerIP: 172.16.0.254, asNumber: 65000", "a")
    for other, said in (
        ("asNumber: 65000", []),
        ("asNumber: 65001", ["BGPPeer(b)"]),
        ("asNumber: 65000, node: alpha", []),  # a rule to build on
    ):
        found = picture(ALPHA, NO_MESH, one, peer(f"peerIP: 172.16.0.254, {other}", "b"))
        assert len(found.sessions) == 1
        assert [each.where for each in found.problems] == said


def test_an_optional_secret_may_be_missing() -> None:
    spec = (
        "peerIP: 172.16.0.254, asNumber: 65000,"
        " password: {secretKeyRef: {name: s, key: k, optional: true}}"
    )
    found = picture(ALPHA, NO_MESH, peer(spec), passwords={SecretRef("s", "k"): MISSING})
    assert one(found).password is None
    away = picture(ALPHA, NO_MESH, peer(spec), passwords=AWAY)  # it may be there
    assert away.sessions == ()


@pytest.mark.parametrize(
    ("fields", "wanted"),
    [
        ("", "Auto"),
        ("nextHopMode: Self", "Self"),
        ("nextHopMode: Keep", "Keep"),
        ("keepOriginalNextHop: true", "Keep"),
    ],
)
def test_the_next_hop_is_told_as_asked(fields: str, wanted: str) -> None:
    text = peer(f"peerIP: 172.16.0.254, asNumber: 65000, {fields}")
    assert one(picture(ALPHA, NO_MESH, text)).next_hop == wanted


def test_what_nobody_says_has_the_usual_values() -> None:
    found = one(picture(ALPHA, NO_MESH, peer("peerIP: 172.16.0.254, asNumber: 65000")))
    assert (found.restart_seconds, found.keepalive_seconds, found.allowed_local_as) == (
        120,
        0,
        None,
    )
    assert (found.hops, found.ttl, found.port, found.bfd) == (255, False, 179, None)
    assert found.source == parse_prefix("172.16.0.1").address
    bound = NO_MESH.replace("spec: {", "spec: {bindMode: NodeIP, ")
    text = peer("peerIP: 172.16.0.254, asNumber: 65000, sourceAddress: None")
    told = picture(ALPHA, bound, text)
    assert one(told).source == found.source
    assert ["has no effect while bindMode is NodeIP" in str(one) for one in told.problems] == [True]


def test_local_workloads_are_peers_that_only_filters_speak_for() -> None:
    workload = labelled("yes")
    text = peer("localWorkloadSelector: \"bgp == 'yes'\", asNumber: 65001")
    found = one(picture(ALPHA, NO_MESH, workload, text))
    assert (format_address(4, found.peer), found.peer_as, found.closed) == (
        "10.65.0.9",
        65001,
        True,
    )
    assert picture(ALPHA, BETA, NO_MESH, workload, text, node="beta").sessions == ()


def test_local_workloads_call_the_address_that_is_set_for_them_on_their_interface() -> None:
    workload = labelled("yes")
    text = peer("localWorkloadSelector: \"bgp == 'yes'\", asNumber: 65001")
    address = """
apiVersion: projectcalico.org/v3
kind: BGPConfiguration
metadata: {name: default}
spec: {nodeToNodeMeshEnabled: false, localWorkloadPeeringIPV4: 169.254.179.1}
"""
    found = picture(ALPHA, address, workload, text)
    assert wanted(found) == {("cali1", parse_prefix("169.254.179.1"))}
    assert one(found).source == parse_prefix("169.254.179.1").address
    assert wanted(picture(ALPHA, NO_MESH, workload, text)) == frozenset()


def test_listening_ports_of_other_nodes_are_known() -> None:
    text = """
apiVersion: projectcalico.org/v3
kind: BGPConfiguration
metadata: {name: node.beta}
spec: {listenPort: 1790}
"""
    found = {session.symbol: session.port for session in picture(ALPHA, BETA, text).sessions}
    assert found["Mesh_172_16_0_2"] == 1790
    assert picture(ALPHA, BETA, text, node="beta").port == 1790
    assert picture(ALPHA, BETA, text).port == 179


def test_a_node_of_ipv6_alone_has_a_router_id() -> None:
    alone = ALPHA.replace("ipv4Address: 172.16.0.1/24, ", "")
    found = picture(alone, BETA)
    assert names(found) == ["Mesh_fd16__2"]
    assert found.router_id != 0
