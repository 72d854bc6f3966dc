"""The driver's promises: adopt, repair, isolate what fails, stay closed."""

from collections.abc import Iterator

import pytest
from msgspec.structs import replace

from dataplane.packets import UPLINK, PacketLab, Sent
from dataplane.programming import FIXED, WORKLOADS
from strategies.programs import ENDPOINTS, HOSTS4, HOSTS6, OUTSIDE
from tortie.dataplane.nftables import NftablesDataplane, NftSettings
from tortie.dataplane.policy.settings import HostAction, LoopAction
from tortie.engine.delta import (
    ALL_HOSTS,
    MASQ_POOLS,
    Delta,
    Encapsulation,
    MemberChange,
    ServiceCidrs,
    SetContents,
)
from tortie.net import PortRange, Prefix, parse_network
from tortie.net.protocols import UDP
from tortie.policy import Packet
from tortie.policy.program import (
    Action,
    DefaultAction,
    Endpoint,
    EndpointId,
    HostEndpoint,
    PeerMatch,
    Policy,
    PolicyId,
    Profile,
    Rule,
    SetKind,
    TierPolicies,
)

pytestmark = pytest.mark.root

FRIENDS = "s:friends"
POLICY = PolicyId("NetworkPolicy", "shop", "friends-only")
EVIL = 'x"; drop } } flush ruleset; table ip evil { # \n\0'


@pytest.fixture(scope="module")
def shared_lab() -> Iterator[PacketLab]:
    with PacketLab(WORKLOADS) as made:
        yield made


@pytest.fixture
def lab(shared_lab: PacketLab) -> PacketLab:
    shared_lab.nft("flush", "ruleset")
    shared_lab.forget_connections()
    return shared_lab


@pytest.fixture
def driver(lab: PacketLab) -> Iterator[NftablesDataplane]:
    with new_driver(lab) as made:
        yield made


def new_driver(lab: PacketLab, settings: NftSettings | None = None) -> NftablesDataplane:
    with lab.inside():
        return NftablesDataplane(settings)


def endpoint(number: int, *policies: PolicyId, profiles: tuple[str, ...] = ()) -> Endpoint:
    tiers = (TierPolicies("default", DefaultAction.DENY, policies),) if policies else ()
    addresses = (HOSTS4[number], HOSTS6[number])
    return Endpoint(ENDPOINTS[number], f"cali{number}", addresses, tiers, tiers, profiles)


def nets(*members: Prefix) -> SetContents:
    return SetContents(SetKind.NET, frozenset(members))


def friends_only(*friends: Prefix) -> Delta:
    """pod-1 is reached by friends; everything else is open."""
    allow = (Rule(Action.ALLOW),)
    from_friends = (Rule(Action.ALLOW, source=PeerMatch(sets=(FRIENDS,))),)
    return Delta(
        sets={**FIXED, FRIENDS: nets(*friends)},
        policies={POLICY: Policy(POLICY, "default", from_friends, allow)},
        profiles={"open": Profile("open", allow, allow)},
        endpoints={
            one.id: one
            for one in (
                endpoint(0, profiles=("open",)),
                endpoint(1, POLICY),
                endpoint(2, profiles=("open",)),
            )
        },
    )


def members(*, added: tuple[Prefix, ...] = (), removed: tuple[Prefix, ...] = ()) -> Delta:
    return Delta(members={FRIENDS: MemberChange(frozenset(added), frozenset(removed))})


def reaches(lab: PacketLab, source: int, destination: int, *, version: int = 4) -> bool:
    hosts = HOSTS4 if version == 4 else HOSTS6
    packet = Packet(
        version, hosts[source].address, hosts[destination].address, 17, 1000, 1000 + source
    )
    lab.forget_connections()
    return lab.deliver([Sent(f"cali{source}", packet)]) == [True]


def who_reaches_pod_1(lab: PacketLab) -> set[int]:
    return {source for source in (0, 2) if reaches(lab, source, 1)}


def test_nothing_passes_before_the_first_delta(lab: PacketLab, driver: NftablesDataplane) -> None:
    assert reaches(lab, 0, 1)  # the lab itself lets everything through
    assert driver.resync().failed == ()
    assert not reaches(lab, 0, 1)
    assert not reaches(lab, 0, 1, version=6)


def test_a_start_without_a_delta_leaves_the_last_policy_in_force(lab: PacketLab) -> None:
    with new_driver(lab) as first:
        first.apply(friends_only(HOSTS4[0]))
    with new_driver(lab) as second:
        before = second.generation()
        second.resync()
        assert second.generation() == before
    assert who_reaches_pod_1(lab) == {0}


@pytest.mark.parametrize(
    "damage",
    [
        "flush table ip calico",
        "flush chain ip calico cali-FORWARD",
        "flush chain ip calico cali-from-wl-dispatch; flush chain ip calico cali-to-wl-dispatch",
        "flush chain ip calico cali-FORWARD; delete chain ip calico cali-FORWARD",
        "add table ip calico { flags dormant; }",
    ],
)
def test_a_start_without_a_delta_closes_what_somebody_emptied(lab: PacketLab, damage: str) -> None:
    """The datastore may be away for long: what is open must not stay so until it is back."""
    with new_driver(lab) as driver:
        driver.apply(friends_only(HOSTS4[2]))
    lab.nft(damage)
    assert 0 in who_reaches_pod_1(lab)
    lab.forget_connections()
    with new_driver(lab) as successor:
        successor.resync()
    assert 0 not in who_reaches_pod_1(lab)


def test_a_restart_adopts_rules_and_counters_without_a_transaction(lab: PacketLab) -> None:
    delta = friends_only(HOSTS4[0], parse_network("10.99.0.0/16"), HOSTS6[0])
    with new_driver(lab) as first:
        first.apply(delta)
        assert who_reaches_pod_1(lab) == {0}
    counted = lab.nft("list", "chain", "ip", "calico", "cali-pi-np/shop/friends-only")
    assert "packets 1 " in counted
    with new_driver(lab) as second:
        second.fold(delta)
        before = second.generation()
        assert second.resync().failed == ()
        assert second.generation() == before
    after = lab.nft("list", "chain", "ip", "calico", "cali-pi-np/shop/friends-only")
    assert after == counted


def test_a_restart_with_another_policy_writes_the_difference_only(lab: PacketLab) -> None:
    with new_driver(lab) as first:
        first.apply(friends_only(HOSTS4[0]))
        assert reaches(lab, 0, 1)
    untouched = lab.nft("list", "chain", "ip", "calico", "cali-pro-open")
    assert "packets 1 " in untouched
    with new_driver(lab) as second:
        second.fold(friends_only(HOSTS4[2]))
        assert second.resync().failed == ()
    assert lab.nft("list", "chain", "ip", "calico", "cali-pro-open") == untouched
    assert who_reaches_pod_1(lab) == {2}


def test_members_come_and_go(lab: PacketLab, driver: NftablesDataplane) -> None:
    driver.apply(friends_only())
    assert who_reaches_pod_1(lab) == set()
    driver.apply(members(added=(HOSTS4[0], HOSTS4[2])))
    assert who_reaches_pod_1(lab) == {0, 2}
    driver.apply(members(removed=(HOSTS4[0],)))
    assert who_reaches_pod_1(lab) == {2}


def test_a_set_takes_prefixes_over_addresses_and_back(
    lab: PacketLab, driver: NftablesDataplane
) -> None:
    net, half = parse_network("10.65.0.0/24"), parse_network("10.65.0.0/31")
    driver.apply(friends_only(HOSTS4[2]))
    driver.apply(members(added=(net,)))
    assert who_reaches_pod_1(lab) == {0, 2}
    driver.apply(members(added=(half,), removed=(HOSTS4[2],)))
    assert who_reaches_pod_1(lab) == {0, 2}
    driver.apply(members(removed=(net,)))
    assert who_reaches_pod_1(lab) == {0}
    driver.apply(members(added=(parse_network("0.0.0.0/0"),)))
    assert who_reaches_pod_1(lab) == {0, 2}


def test_nodes_outside_the_cluster_come_by_their_net_beside_a_host_endpoint(
    driver: NftablesDataplane,
) -> None:
    """What holds the nodes' addresses is begun anew, while a host endpoint's rules look into it."""
    host = HostEndpoint(EndpointId("HostEndpoint", "", "node-eth0"), "eth0")
    delta = replace(
        friends_only(), encapsulation=Encapsulation(vxlan=True), host_endpoints={host.id: host}
    )
    assert driver.apply(delta).failed == ()
    outside = MemberChange(frozenset({parse_network("10.99.0.0/24")}), frozenset())
    assert driver.apply(Delta(members={ALL_HOSTS: outside})).failed == ()
    written = driver.written
    assert driver.resync().failed == ()
    assert driver.written == written


def test_a_policy_leaves_many_others_while_a_set_that_it_asks_is_begun_anew(
    driver: NftablesDataplane,
) -> None:
    """What tells these policies apart goes later than the set, and so does the policy's chain."""
    ports = [PortRange(1000 + number, 1000 + number) for number in range(20)]
    names = [PolicyId("GlobalNetworkPolicy", "", f"port-{one.first}") for one in ports]
    policies = {
        name: Policy(
            name,
            "default",
            (
                Rule(
                    Action.ALLOW,
                    protocol=UDP,
                    source=PeerMatch(sets=(FRIENDS,)),
                    destination=PeerMatch(ports=(port,)),
                ),
            ),
            (Rule(Action.ALLOW),),
        )
        for name, port in zip(names, ports, strict=True)
    }
    first = replace(friends_only(HOSTS4[0]), policies=policies)
    before = {**first.endpoints, ENDPOINTS[1]: endpoint(1, *names)}
    assert driver.apply(replace(first, endpoints=before)).failed == ()
    change = Delta(
        members={FRIENDS: MemberChange(frozenset({parse_network("10.99.0.0/24")}), frozenset())},
        policies_removed=frozenset({names[0]}),
        endpoints={ENDPOINTS[1]: endpoint(1, *names[1:])},
    )
    assert driver.apply(change).failed == ()
    written = driver.written
    assert driver.resync().failed == ()
    assert driver.written == written


def test_foreign_changes_are_repaired(lab: PacketLab, driver: NftablesDataplane) -> None:
    driver.apply(friends_only(HOSTS4[0]))
    healthy = lab.nft("-s", "list", "ruleset")
    for damage in (
        "flush ruleset",
        "flush chain ip calico cali-FORWARD",
        "delete chain ip calico cali-FORWARD",
        "insert rule ip calico cali-to-wl-dispatch accept",
        "flush set ip calico cali40masq-ipam-pools; flush map ip calico cali-to-wl",
        "add chain ip calico stray; add set ip calico stray-set { type ipv4_addr; }",
        "delete table ip6 calico",
        "add table ip calico { flags dormant; }",
    ):
        lab.nft(damage)
        assert driver.resync().failed == ()
        assert who_reaches_pod_1(lab) == {0}, damage
        assert sorted(lab.nft("-s", "list", "ruleset")) == sorted(healthy), damage


def test_tables_of_others_are_left_alone(lab: PacketLab, driver: NftablesDataplane) -> None:
    lab.nft("add table ip theirs; add chain ip theirs one; add rule ip theirs one drop")
    theirs = lab.nft("list", "table", "ip", "theirs")
    driver.apply(friends_only(HOSTS4[0]))
    driver.resync()
    assert lab.nft("list", "table", "ip", "theirs") == theirs


def test_a_change_upon_foreign_damage_repairs_all_of_it(
    lab: PacketLab, driver: NftablesDataplane
) -> None:
    driver.apply(friends_only(HOSTS4[0]))
    lab.nft("flush", "ruleset")
    assert driver.apply(members(added=(HOSTS4[2],))).failed == ()
    assert who_reaches_pod_1(lab) == {0, 2}


def test_one_refused_policy_is_named_and_closed_and_the_rest_goes_on(
    lab: PacketLab, driver: NftablesDataplane
) -> None:
    """An unknown set makes the kernel refuse the rule."""
    driver.apply(friends_only(HOSTS4[0]))
    bad = PolicyId("GlobalNetworkPolicy", "", "bad")
    rule = Rule(Action.ALLOW, source=PeerMatch(sets=("s:never-given",)))
    delta = Delta(
        policies={bad: Policy(bad, "default", (rule,), (rule,))},
        endpoints={ENDPOINTS[2]: endpoint(2, bad), ENDPOINTS[3]: endpoint(3, profiles=("open",))},
    )
    (failure,) = driver.apply(delta).failed
    assert failure.subject == "GlobalNetworkPolicy(bad)"
    assert "never-given" in failure.message or "No such file" in failure.message
    assert reaches(lab, 3, 0)
    assert reaches(lab, 0, 1)
    assert not reaches(lab, 0, 2)
    assert not reaches(lab, 2, 0)
    assert driver.apply(Delta(sets={"s:never-given": nets(HOSTS4[0])})).failed == ()
    assert driver.resync().failed == ()
    assert reaches(lab, 0, 2)


def test_a_refused_edit_leaves_the_last_good_policy(
    lab: PacketLab, driver: NftablesDataplane
) -> None:
    driver.apply(friends_only(HOSTS4[0]))
    rule = Rule(Action.ALLOW, source=PeerMatch(sets=("s:never-given",)))
    applied = driver.apply(Delta(policies={POLICY: Policy(POLICY, "default", (rule,))}))
    assert [one.subject for one in applied.failed] == [str(POLICY)]
    assert who_reaches_pod_1(lab) == {0}


@pytest.mark.parametrize("interface", ['cali"; }', "cali-äöü", "eth0", "", "cali" + "x" * 20])
def test_an_impossible_interface_is_named_and_the_rest_goes_on(
    lab: PacketLab, driver: NftablesDataplane, interface: str
) -> None:
    delta = friends_only(HOSTS4[0])
    bad = replace(endpoint(3, profiles=("open",)), interface=interface)
    applied = driver.apply(replace(delta, endpoints={**delta.endpoints, bad.id: bad}))
    assert [one.subject for one in applied.failed] == [str(bad.id)]
    assert who_reaches_pod_1(lab) == {0}
    assert not reaches(lab, 3, 0)


def test_names_from_resources_are_never_text_of_nft(
    lab: PacketLab, driver: NftablesDataplane
) -> None:
    policy, allow = PolicyId(EVIL, EVIL, EVIL), (Rule(Action.ALLOW, annotations=((EVIL, EVIL),)),)
    delta = friends_only(HOSTS4[0])
    rule = Rule(Action.ALLOW, source=PeerMatch(sets=(EVIL,)))
    evil = Delta(
        sets={**delta.sets, EVIL: nets(HOSTS4[2])},
        policies={**delta.policies, policy: Policy(policy, EVIL, (rule,), (rule,))},
        profiles={**delta.profiles, EVIL: Profile(EVIL, allow, allow)},
        endpoints={**delta.endpoints, ENDPOINTS[3]: endpoint(3, policy, profiles=(EVIL,))},
    )
    assert driver.apply(evil).failed == ()
    assert driver.resync().failed == ()
    tables = lab.nft("list", "tables")
    assert sorted(tables.split()) == sorted(["table", "ip", "calico", "table", "ip6", "calico"])
    assert reaches(lab, 2, 3)
    assert not reaches(lab, 0, 3)


def test_an_interface_goes_from_one_endpoint_to_another_in_one_delta(
    lab: PacketLab, driver: NftablesDataplane
) -> None:
    driver.apply(friends_only(HOSTS4[0]))
    heir = ENDPOINTS[1]._replace(name="heir")
    driver.apply(
        Delta(
            endpoints={heir: replace(endpoint(1, profiles=("open",)), id=heir)},
            endpoints_removed=frozenset({ENDPOINTS[1]}),
        )
    )
    assert who_reaches_pod_1(lab) == {0, 2}


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_an_interface_claimed_twice_has_one_policy_whatever_came_first(
    lab: PacketLab, driver: NftablesDataplane, order: tuple[int, int]
) -> None:
    """pod-3 is open and names the interface of pod-1, which few may reach."""
    rightful = endpoint(1, POLICY)
    intruder = replace(endpoint(3, profiles=("open",)), interface=rightful.interface)
    claims = [rightful, intruder]
    driver.apply(replace(friends_only(), endpoints={}))
    failed = [driver.apply(Delta(endpoints={claims[one].id: claims[one]})).failed for one in order]
    driver.apply(Delta(endpoints={ENDPOINTS[0]: endpoint(0, profiles=("open",))}))
    assert [one.subject for one in failed[1]] == [str(intruder.id)]
    assert not reaches(lab, 0, 1)
    assert driver.apply(Delta(endpoints_removed=frozenset({rightful.id}))).failed == ()
    assert reaches(lab, 0, 1)


def test_what_is_removed_leaves_nothing_behind(lab: PacketLab, driver: NftablesDataplane) -> None:
    driver.resync()
    driver.apply(Delta(sets=FIXED))
    empty = lab.nft("-s", "list", "ruleset")
    delta = friends_only(HOSTS4[0])
    driver.apply(delta)
    driver.apply(
        Delta(
            sets_removed=frozenset({FRIENDS}),
            policies_removed=frozenset(delta.policies),
            profiles_removed=frozenset(delta.profiles),
            endpoints_removed=frozenset(delta.endpoints),
        )
    )
    assert lab.nft("-s", "list", "ruleset") == empty
    assert not reaches(lab, 0, 1)


def test_one_delta_is_one_transaction(driver: NftablesDataplane) -> None:
    driver.apply(friends_only(HOSTS4[0]))
    before = driver.generation()
    driver.apply(friends_only(HOSTS4[2], HOSTS6[2]))
    assert driver.generation() == before + 1
    driver.apply(replace(friends_only(HOSTS4[2]), endpoints={ENDPOINTS[3]: endpoint(3, POLICY)}))
    assert driver.generation() == before + 2
    driver.apply(Delta(endpoints={ENDPOINTS[3]: endpoint(3, POLICY)}))
    assert driver.generation() == before + 2  # it is so already


def test_members_of_an_interval_set_change_in_the_transaction_of_the_rules(
    driver: NftablesDataplane,
) -> None:
    """Members first would deny fewer, or allow more, than either state does."""
    driver.apply(friends_only(parse_network("192.0.2.0/24")))
    before = driver.generation()
    changed = members(
        added=(parse_network("198.51.100.0/24"),), removed=(parse_network("192.0.2.0/24"),)
    )
    nobody = {POLICY: Policy(POLICY, "default", (Rule(Action.DENY),), ())}
    assert driver.apply(replace(changed, policies=nobody)).failed == ()
    assert driver.generation() == before + 1


def test_tunnel_packets_of_workloads_are_dropped_unless_allowed(lab: PacketLab) -> None:
    vxlan = Packet(4, HOSTS4[0].address, HOSTS4[2].address, 17, 1000, 4789)
    ipip = Packet(4, HOSTS4[0].address, HOSTS4[2].address, 4)
    sent = [Sent("cali0", vxlan), Sent("cali0", ipip)]
    with new_driver(lab) as driver:
        driver.apply(friends_only())
        assert lab.deliver(sent) == [False, False]
    lab.forget_connections()
    with new_driver(lab, NftSettings(allow_vxlan=True, allow_ipip=True)) as driver:
        driver.apply(friends_only())
        assert lab.deliver(sent) == [True, True]


@pytest.mark.parametrize("action", HostAction)
def test_packets_to_the_host_meet_policy_and_the_endpoint_to_host_action(
    lab: PacketLab, action: HostAction
) -> None:
    lab.nft(
        "add table ip watch; add chain ip watch in { type filter hook input priority 10; }; "
        "add rule ip watch in udp dport 1234 counter drop"
    )
    to_host = Packet(4, HOSTS4[0].address, parse_network("127.0.0.9").address, 17, 9, 1234)
    host = parse_network("10.65.77.77")
    lab.own(host)
    with new_driver(lab, NftSettings(endpoint_to_host=action)) as driver:
        driver.apply(friends_only())
        lab.deliver([Sent("cali0", replace(to_host, destination=host.address))])
    expected = 0 if action is HostAction.DROP else 1
    assert f"packets {expected} " in lab.nft("list", "chain", "ip", "watch", "in")


def test_pools_with_nat_outgoing_are_masqueraded_to_the_outside_only(
    lab: PacketLab, driver: NftablesDataplane
) -> None:
    pool = nets(parse_network("10.65.0.0/16"))
    delta = friends_only(HOSTS4[0])
    driver.apply(
        replace(delta, sets={**delta.sets, "masq-ipam-pools": pool, "all-ipam-pools": pool})
    )
    outside = parse_network("198.51.100.9")
    lab.know([outside])
    lab.own(parse_network("203.0.113.1"))
    inward = Packet(4, HOSTS4[0].address, HOSTS4[1].address, 17, 1000, 53)
    outward = replace(inward, destination=outside.address)
    sources = lab.sources_seen([Sent("cali0", inward), Sent("cali0", outward)])
    assert sources[0] == HOSTS4[0].address
    assert sources[1] not in (None, HOSTS4[0].address)


def listener() -> Delta:
    """pod-1 may be asked by everyone and may ask nobody."""
    policy = Policy(POLICY, "default", (Rule(Action.ALLOW),), ())
    return replace(friends_only(), policies={POLICY: policy})


QUESTION = Packet(4, HOSTS4[0].address, HOSTS4[1].address, 17, 1000, 2000)
ANSWER = Packet(4, HOSTS4[1].address, HOSTS4[0].address, 17, 2000, 1000)


def test_answers_pass_where_questions_do_not(lab: PacketLab, driver: NftablesDataplane) -> None:
    driver.apply(listener())
    asked, answered = Sent("cali0", QUESTION), Sent("cali1", ANSWER)
    assert lab.deliver([answered]) == [False]
    assert lab.deliver([asked, answered]) == [True, True]


def test_a_workload_that_loses_its_program_loses_its_connections(
    lab: PacketLab, driver: NftablesDataplane
) -> None:
    driver.apply(listener())
    conversation = [Sent("cali0", QUESTION), Sent("cali1", ANSWER)]
    assert lab.deliver(conversation) == [True, True]
    driver.apply(Delta(endpoints_removed=frozenset({ENDPOINTS[1]})))
    assert lab.deliver(conversation) == [False, False]


@pytest.mark.parametrize(("kind", "passes"), [(135, True), (136, True), (128, False)])
def test_neighbour_discovery_reaches_the_host_and_pings_do_not(
    lab: PacketLab, driver: NftablesDataplane, kind: int, passes: bool
) -> None:
    lab.nft(
        "add table ip6 watch; add chain ip6 watch in { type filter hook input priority 10; }; "
        "add rule ip6 watch in counter drop"
    )
    host = parse_network("2001:db8:1::1")
    lab.own(host)
    driver.apply(friends_only())
    sender = parse_network("fe80::77")
    packet = Packet(6, sender.address, host.address, 58, icmp_type=kind, icmp_code=0)
    lab.deliver([Sent("cali0", packet)])
    counted = lab.nft("list", "chain", "ip6", "watch", "in")
    assert f"packets {int(passes)} " in counted


MASQUERADED = Delta(
    sets={**FIXED, MASQ_POOLS: nets(parse_network("10.65.0.0/16"))},
    profiles={"open": Profile("open", (Rule(Action.ALLOW),), (Rule(Action.ALLOW),))},
    endpoints={ENDPOINTS[0]: endpoint(0, profiles=("open",))},
)
TO_OUTSIDE = Sent("cali0", Packet(4, HOSTS4[0].address, OUTSIDE[0].address, 17, 1000, 53))
NODE = parse_network("203.0.113.1")
OTHER = parse_network("192.0.2.77")


@pytest.mark.parametrize(
    ("settings", "address", "ports"),
    [
        (NftSettings(), None, range(65536)),
        (NftSettings(nat_ports=PortRange(40000, 40009)), None, range(40000, 40010)),
        (NftSettings(nat_ports=PortRange(40000, 40000)), None, range(40000, 40001)),
        (NftSettings(nat_address=OTHER), OTHER, None),
        (
            NftSettings(nat_address=OTHER, nat_ports=PortRange(40000, 40009)),
            OTHER,
            range(40000, 40010),
        ),
        (NftSettings(nat_interface=UPLINK), None, None),
        (NftSettings(nat_interface="up+"), None, None),
        (NftSettings(nat_interface="eth0"), HOSTS4[0], range(1000, 1001)),
    ],
)
def test_what_leaves_the_pools_bears_the_address_and_ports_of_the_settings(
    lab: PacketLab, settings: NftSettings, address: Prefix | None, ports: range | None
) -> None:
    lab.own(NODE)
    lab.know([OUTSIDE[0]])
    with new_driver(lab, settings) as driver:
        assert driver.apply(MASQUERADED).failed == ()
        (seen,) = lab.ends_seen([TO_OUTSIDE])
        assert seen is not None
        if address is None:  # which of its own, the kernel chooses
            assert seen[0] not in (HOSTS4[0].address, OTHER.address)
        else:
            assert seen[0] == address.address
        assert ports is None or seen[1] in ports
        before = driver.generation()
        assert driver.resync().failed == ()
        assert driver.generation() == before


@pytest.mark.parametrize("action", [LoopAction.DISABLED, LoopAction.DROP])
def test_what_is_on_its_way_to_a_services_address_does_not_go_round(
    lab: PacketLab, action: LoopAction
) -> None:
    services = ServiceCidrs((parse_network("198.51.100.4/30"),), (parse_network("2001:db8::/32"),))
    lab.own(NODE)
    lab.know(OUTSIDE)
    six = Packet(6, HOSTS6[0].address, OUTSIDE[1].address, 17, 1000, 53)
    packets = [TO_OUTSIDE, Sent("cali0", six)]
    with new_driver(lab, NftSettings(service_loops=action)) as driver:
        driver.apply(MASQUERADED)
        assert lab.deliver(packets) == [True, True]
        assert driver.apply(Delta(service_cidrs=services)).failed == ()
        lab.forget_connections()
        assert lab.deliver(packets) == [action is LoopAction.DISABLED] * 2
        with new_driver(lab, NftSettings(service_loops=action)) as fresh:
            before = fresh.generation()
            fresh.resync()
            assert fresh.generation() == before
        assert driver.apply(Delta(service_cidrs=ServiceCidrs())).failed == ()
        lab.forget_connections()
        assert lab.deliver(packets) == [True, True]


def test_what_is_on_its_way_to_a_services_address_may_be_refused(lab: PacketLab) -> None:
    services = ServiceCidrs(load_balancer=tuple(map(parse_network, ("192.0.2.0/24", "fd01::/64"))))
    with new_driver(lab, NftSettings(service_loops=LoopAction.REJECT)) as driver:
        driver.apply(MASQUERADED)
        assert driver.apply(Delta(service_cidrs=services)).failed == ()
    for family in ("ip", "ip6"):
        assert "reject" in lab.nft("list", "chain", family, "calico", "cali-cidr-block")
