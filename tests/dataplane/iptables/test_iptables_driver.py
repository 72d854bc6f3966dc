"""The driver's promises: adopt, repair, isolate what fails, stay closed, leave others alone."""

from collections.abc import Iterator

import pytest
from msgspec.structs import replace

from dataplane.iptables.scenes import (
    FRIENDS,
    POLICY,
    endpoint,
    friends_only,
    members,
    nets,
    reaches,
    who_reaches_pod_1,
)
from dataplane.iptables.worlds import forget_everything, new_driver, run, saved
from dataplane.packets import PacketLab, Sent
from dataplane.programming import FIXED, WORKLOADS
from strategies.programs import ENDPOINTS, HOSTS4, HOSTS6
from tortie.dataplane.iptables import Backend, IptablesDataplane, IptablesSettings
from tortie.dataplane.iptables.names import set_name
from tortie.dataplane.policy.settings import HostAction, LoopAction
from tortie.engine.delta import Delta, ServiceCidrs
from tortie.net import PortRange, parse_network
from tortie.policy import Packet
from tortie.policy.program import (
    Action,
    IcmpMatch,
    PeerMatch,
    Policy,
    PolicyId,
    Profile,
    Rule,
)

pytestmark = pytest.mark.root

EVIL = 'x"; -F\nCOMMIT\n*filter\n-F FORWARD\n# \0'
QUESTION = Packet(4, HOSTS4[0].address, HOSTS4[1].address, 17, 1000, 2000)
ANSWER = Packet(4, HOSTS4[1].address, HOSTS4[0].address, 17, 2000, 1000)


@pytest.fixture(scope="module")
def shared_lab() -> Iterator[PacketLab]:
    with PacketLab(WORKLOADS) as made:
        yield made


@pytest.fixture(params=list(Backend))
def backend(request: pytest.FixtureRequest) -> Backend:
    return request.param


@pytest.fixture
def lab(shared_lab: PacketLab) -> PacketLab:
    forget_everything(shared_lab)
    shared_lab.forget_connections()
    return shared_lab


@pytest.fixture
def driver(lab: PacketLab, backend: Backend) -> Iterator[IptablesDataplane]:
    with new_driver(lab, backend) as made:
        yield made


def iptables(lab: PacketLab, backend: Backend, *arguments: str) -> str:
    return run(lab, f"iptables-{backend}", "-w", *arguments)


def in_order(lab: PacketLab, backend: Backend) -> list[str]:
    """All rules and sets, without the order of chains and elements, which has no meaning."""
    skipped = ("#", "COMMIT", "*", ":FORWARD", ":INPUT", ":OUTPUT", ":PRE", ":POST")
    lines = saved(lab, backend).splitlines()
    return sorted(
        line.split(" hashsize")[0].split(" [")[0] for line in lines if not line.startswith(skipped)
    )


def test_nothing_passes_before_the_first_delta(lab: PacketLab, driver: IptablesDataplane) -> None:
    assert reaches(lab, 0, 1)  # the lab itself lets everything through
    assert driver.resync().failed == ()
    assert not reaches(lab, 0, 1)
    assert not reaches(lab, 0, 1, version=6)


def test_a_start_without_a_delta_leaves_the_last_policy_in_force(
    lab: PacketLab, backend: Backend
) -> None:
    with new_driver(lab, backend) as first:
        first.apply(friends_only(HOSTS4[0]))
    with new_driver(lab, backend) as second:
        second.resync()
        assert second.written == 0
    assert who_reaches_pod_1(lab) == {0}


@pytest.mark.parametrize(
    "damage",
    [("-F",), ("-F", "FORWARD"), ("-F", "cali-FORWARD"), ("-F", "cali-to-wl-dispatch")],
)
def test_a_start_without_a_delta_closes_what_somebody_emptied(
    lab: PacketLab, backend: Backend, damage: tuple[str, ...]
) -> None:
    """The datastore may be away for long: what is open must not stay so until it is back."""
    with new_driver(lab, backend) as driver:
        driver.apply(friends_only(HOSTS4[2]))
    iptables(lab, backend, *damage)
    lab.forget_connections()
    with new_driver(lab, backend) as successor:
        successor.resync()
    assert 0 not in who_reaches_pod_1(lab)


def test_a_restart_adopts_rules_and_counters_without_writing(
    lab: PacketLab, backend: Backend
) -> None:
    delta = friends_only(HOSTS4[0], parse_network("10.99.0.0/16"), HOSTS6[0])
    with new_driver(lab, backend) as first:
        first.apply(delta)
        assert who_reaches_pod_1(lab) == {0}
    counted = iptables(lab, backend, "-vxnL", "cali-pro-open")
    assert " 2 " in counted
    with new_driver(lab, backend) as second:
        second.fold(delta)
        assert second.resync().failed == ()
        assert second.written == 0
    assert iptables(lab, backend, "-vxnL", "cali-pro-open") == counted


def test_members_come_and_go(lab: PacketLab, driver: IptablesDataplane) -> None:
    driver.apply(friends_only())
    assert who_reaches_pod_1(lab) == set()
    before = driver.written
    driver.apply(members(added=(HOSTS4[0], HOSTS4[2])))
    assert driver.written == before + 1
    assert who_reaches_pod_1(lab) == {0, 2}
    driver.apply(members(removed=(HOSTS4[0],)))
    assert who_reaches_pod_1(lab) == {2}


def test_a_set_takes_every_prefix_even_the_widest(
    lab: PacketLab, driver: IptablesDataplane
) -> None:
    net, half = parse_network("10.65.0.0/24"), parse_network("0.0.0.0/1")
    everything = parse_network("0.0.0.0/0")
    driver.apply(friends_only(HOSTS4[2]))
    driver.apply(members(added=(net,)))
    assert who_reaches_pod_1(lab) == {0, 2}
    driver.apply(members(added=(everything, half), removed=(net, HOSTS4[2])))
    assert who_reaches_pod_1(lab) == {0, 2}
    driver.apply(members(removed=(everything,)))
    assert who_reaches_pod_1(lab) == {0, 2}  # half of all addresses are left
    driver.apply(members(removed=(half,)))
    assert who_reaches_pod_1(lab) == set()


def test_a_set_that_changes_as_a_whole_is_swapped(
    lab: PacketLab, driver: IptablesDataplane
) -> None:
    many = [parse_network(f"10.{100 + n // 250}.{n % 250}.0/24") for n in range(2000)]
    driver.apply(friends_only(HOSTS4[0], *many[:1000]))
    driver.apply(Delta(sets={FRIENDS: nets(HOSTS4[2], *many[1000:])}))
    assert who_reaches_pod_1(lab) == {2}
    kept = run(lab, "ipset", "list", "-name").split()
    assert not [name for name in kept if name.startswith("cali4t")]


def test_foreign_changes_are_repaired(
    lab: PacketLab, driver: IptablesDataplane, backend: Backend
) -> None:
    driver.apply(friends_only(HOSTS4[0]))
    healthy = in_order(lab, backend)
    for damage in (
        ("-F",),
        ("-F", "cali-FORWARD"),
        ("-D", "FORWARD", "1"),
        ("-I", "FORWARD", "-j", "cali-FORWARD"),
        ("-I", "cali-to-wl-dispatch", "-j", "ACCEPT"),
        ("-N", "cali-stray"),
        ("-t", "raw", "-F", "PREROUTING"),
        ("-t", "mangle", "-N", "cali-FORWARD"),
    ):
        iptables(lab, backend, *damage)
        assert driver.resync().failed == ()
        assert who_reaches_pod_1(lab) == {0}, damage
        assert in_order(lab, backend) == healthy, damage


def test_damaged_sets_are_repaired(
    lab: PacketLab, driver: IptablesDataplane, backend: Backend
) -> None:
    driver.apply(friends_only(HOSTS4[0]))
    healthy = in_order(lab, backend)
    for damage in (
        ("flush", set_name(4, FRIENDS)),
        ("add", set_name(4, FRIENDS), "10.65.0.3"),
        ("create", "cali40stray", "hash:ip"),
    ):
        run(lab, "ipset", *damage)
        assert driver.resync().failed == ()
        assert in_order(lab, backend) == healthy, damage


def test_rules_and_sets_of_others_are_left_alone(
    lab: PacketLab, driver: IptablesDataplane, backend: Backend
) -> None:
    iptables(lab, backend, "-N", "theirs")
    iptables(lab, backend, "-A", "FORWARD", "-j", "theirs")
    iptables(lab, backend, "-t", "nat", "-A", "POSTROUTING", "-s", "192.0.2.0/24", "-j", "RETURN")
    run(lab, "ipset", "create", "theirs", "hash:ip")
    theirs = in_order(lab, backend)
    driver.apply(friends_only(HOSTS4[0]))
    driver.resync()
    assert [one for one in in_order(lab, backend) if "cali" not in one] == theirs


def test_our_jump_stands_behind_what_others_append_where_that_is_chosen(
    lab: PacketLab, backend: Backend
) -> None:
    with new_driver(lab, IptablesSettings(backend=backend, append=True)) as driver:
        driver.apply(friends_only())
        run(lab, f"iptables-{backend}", "-w", "-A", "FORWARD", "-s", "192.0.2.1", "-j", "DROP")
        assert driver.resync().failed == ()
        standing = [one for one in saved(lab, backend).splitlines() if "-A FORWARD" in one]
        assert ["cali" in one for one in standing] == [False, True, True]  # IPv4, then IPv6
        before = driver.written
        assert driver.resync().failed == ()
        assert driver.written == before


def test_our_jump_stands_before_what_others_insert(
    lab: PacketLab, driver: IptablesDataplane, backend: Backend
) -> None:
    driver.apply(friends_only(HOSTS4[0]))
    iptables(lab, backend, "-I", "FORWARD", "-j", "ACCEPT")
    assert who_reaches_pod_1(lab) == {0, 2}
    assert driver.resync().failed == ()
    assert who_reaches_pod_1(lab) == {0}
    assert "-A FORWARD -j ACCEPT" in saved(lab, backend)


def test_what_policy_allows_others_no_longer_drop(
    lab: PacketLab, driver: IptablesDataplane, backend: Backend
) -> None:
    """Other programs close FORWARD; allowed workload traffic passes, nothing else does."""
    iptables(lab, backend, "-A", "FORWARD", "-i", "sentinel-a", "-j", "ACCEPT")
    iptables(lab, backend, "-P", "FORWARD", "DROP")
    try:
        driver.apply(friends_only(HOSTS4[0]))
        assert who_reaches_pod_1(lab) == {0}
    finally:
        iptables(lab, backend, "-P", "FORWARD", "ACCEPT")


def test_a_change_upon_foreign_damage_repairs_all_of_it(
    lab: PacketLab, driver: IptablesDataplane
) -> None:
    driver.apply(friends_only(HOSTS4[0]))
    forget_everything(lab)
    assert driver.apply(members(added=(HOSTS4[2],))).failed == ()
    assert who_reaches_pod_1(lab) == {0, 2}


def test_one_refused_policy_is_named_and_closed_and_the_rest_goes_on(
    lab: PacketLab, driver: IptablesDataplane
) -> None:
    """A set that is not there makes iptables refuse the rule."""
    driver.apply(friends_only(HOSTS4[0]))
    bad = PolicyId("GlobalNetworkPolicy", "", "bad")
    rule = Rule(Action.ALLOW, source=PeerMatch(sets=("s:never-given",)))
    delta = Delta(
        policies={bad: Policy(bad, "default", (rule,), (rule,))},
        endpoints={ENDPOINTS[2]: endpoint(2, bad), ENDPOINTS[3]: endpoint(3, profiles=("open",))},
    )
    (failure,) = driver.apply(delta).failed
    assert failure.subject == "GlobalNetworkPolicy(bad)"
    assert set_name(4, "s:never-given") in failure.message
    assert reaches(lab, 3, 0)
    assert reaches(lab, 0, 1)
    assert not reaches(lab, 0, 2)
    assert not reaches(lab, 2, 0)
    assert driver.apply(Delta(sets={"s:never-given": nets(HOSTS4[0])})).failed == ()
    assert driver.resync().failed == ()
    assert reaches(lab, 0, 2)


def test_a_refused_edit_leaves_the_last_good_policy(
    lab: PacketLab, driver: IptablesDataplane
) -> None:
    driver.apply(friends_only(HOSTS4[0]))
    rule = Rule(Action.ALLOW, source=PeerMatch(sets=("s:never-given",)))
    applied = driver.apply(Delta(policies={POLICY: Policy(POLICY, "default", (rule,))}))
    assert [one.subject for one in applied.failed] == [str(POLICY)]
    assert who_reaches_pod_1(lab) == {0}


def test_a_rule_that_iptables_cannot_say_closes_its_policy(
    lab: PacketLab, driver: IptablesDataplane
) -> None:
    rules = (Rule(Action.DENY, icmp=IcmpMatch(255)), Rule(Action.ALLOW))
    bad = PolicyId("GlobalNetworkPolicy", "", "odd")
    delta = friends_only(HOSTS4[0])
    applied = driver.apply(
        replace(
            delta,
            policies={**delta.policies, bad: Policy(bad, "default", rules, rules)},
            endpoints={**delta.endpoints, ENDPOINTS[2]: endpoint(2, bad)},
        )
    )
    assert [one.subject for one in applied.failed] == [str(bad)]
    assert reaches(lab, 0, 1)
    assert not reaches(lab, 0, 2)


def test_a_set_beyond_its_size_is_named_and_the_rest_goes_on(
    lab: PacketLab, backend: Backend
) -> None:
    few = IptablesSettings(backend=backend, max_set_size=64)
    many = [parse_network(f"10.{n // 250}.{n % 250}.0/24") for n in range(3000)]
    with new_driver(lab, few) as driver:
        driver.apply(friends_only(HOSTS4[0]))
        delta = Delta(sets={"s:many": nets(*many), "s:new": nets(HOSTS4[2])})
        assert [one.subject for one in driver.apply(delta).failed] == ["set s:many"]
        assert who_reaches_pod_1(lab) == {0}
    assert f"{set_name(4, 's:new')} 10.65.0.3" in run(lab, "ipset", "save")


def test_a_greater_set_size_counts_for_sets_that_are_there_already(
    lab: PacketLab, backend: Backend
) -> None:
    """Else what a policy denies by a set that is full would pass, whatever the operator sets."""
    few = [parse_network(f"10.99.{n // 250}.{n % 250}/32") for n in range(600)]
    for size, failed in ((512, {f"set {FRIENDS}"}), (4096, set())):
        settings = IptablesSettings(backend=backend, max_set_size=size)
        with new_driver(lab, settings) as driver:
            driver.apply(friends_only(HOSTS4[0]))
            applied = driver.apply(members(added=(*few[:500], HOSTS4[2])))
            applied = driver.apply(members(added=tuple(few))) if not applied.failed else applied
            assert {one.subject for one in applied.failed} == failed
    assert who_reaches_pod_1(lab) == {0, 2}


@pytest.mark.parametrize("interface", ['cali"; }', "cali-äöü", "eth0", "", "cali" + "x" * 20])
def test_an_impossible_interface_is_named_and_the_rest_goes_on(
    lab: PacketLab, driver: IptablesDataplane, interface: str
) -> None:
    delta = friends_only(HOSTS4[0])
    bad = replace(endpoint(3, profiles=("open",)), interface=interface)
    applied = driver.apply(replace(delta, endpoints={**delta.endpoints, bad.id: bad}))
    assert [one.subject for one in applied.failed] == [str(bad.id)]
    assert who_reaches_pod_1(lab) == {0}
    assert not reaches(lab, 3, 0)


def test_names_from_resources_are_never_text_of_a_command(
    lab: PacketLab, driver: IptablesDataplane, backend: Backend
) -> None:
    iptables(lab, backend, "-A", "FORWARD", "-s", "192.0.2.1", "-j", "ACCEPT")
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
    assert "-A FORWARD -s 192.0.2.1/32 -j ACCEPT" in saved(lab, backend)
    assert reaches(lab, 2, 3)
    assert not reaches(lab, 0, 3)


def test_an_interface_goes_from_one_endpoint_to_another_in_one_delta(
    lab: PacketLab, driver: IptablesDataplane
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


def test_what_is_removed_leaves_nothing_behind(
    lab: PacketLab, driver: IptablesDataplane, backend: Backend
) -> None:
    driver.resync()
    driver.apply(Delta(sets=FIXED))
    empty = in_order(lab, backend)
    delta = friends_only(HOSTS4[0])
    driver.apply(delta)
    gone = Delta(
        sets_removed=frozenset({FRIENDS}),
        policies_removed=frozenset(delta.policies),
        profiles_removed=frozenset(delta.profiles),
        endpoints_removed=frozenset(delta.endpoints),
    )
    assert driver.apply(gone).failed == ()
    assert in_order(lab, backend) == empty
    assert not reaches(lab, 0, 1)


def test_many_interfaces_are_told_apart_by_their_letters(
    lab: PacketLab, driver: IptablesDataplane, backend: Backend
) -> None:
    delta = friends_only(HOSTS4[0])
    names = [*(f"cali{n:x}" for n in range(4, 200)), "cali", "cali1f-x", "cali-"]
    more = {
        (one := ENDPOINTS[0]._replace(name=name)): replace(
            endpoint(3, profiles=("open",)), id=one, interface=name
        )
        for name in names
    }
    driver.apply(replace(delta, endpoints={**more, **delta.endpoints}))
    assert who_reaches_pod_1(lab) == {0}
    assert "-A cali-td-cali1 " in saved(lab, backend)
    assert driver.apply(Delta(endpoints_removed=frozenset(more))).failed == ()
    assert who_reaches_pod_1(lab) == {0}
    assert "cali-td-" not in saved(lab, backend)


def test_tunnel_packets_of_workloads_are_dropped_unless_allowed(
    lab: PacketLab, backend: Backend
) -> None:
    vxlan = Packet(4, HOSTS4[0].address, HOSTS4[2].address, 17, 1000, 4789)
    ipip = Packet(4, HOSTS4[0].address, HOSTS4[2].address, 4)
    sent = [Sent("cali0", vxlan), Sent("cali0", ipip)]
    with new_driver(lab, backend) as driver:
        driver.apply(friends_only())
        assert lab.deliver(sent) == [False, False]
    lab.forget_connections()
    free = IptablesSettings(backend=backend, allow_vxlan=True, allow_ipip=True)
    with new_driver(lab, free) as driver:
        driver.apply(friends_only())
        assert lab.deliver(sent) == [True, True]


def watched(lab: PacketLab, match: str, table: str = "ip") -> None:
    """Count, after our rules, what reaches the node itself."""
    lab.nft(
        f"add table {table} watch; "
        f"add chain {table} watch in {{ type filter hook input priority 10; }}; "
        f"add rule {table} watch in {match} counter drop"
    )


def seen(lab: PacketLab, table: str = "ip") -> int:
    return int(lab.nft("list", "chain", table, "watch", "in").partition("packets ")[2].split()[0])


@pytest.mark.parametrize("action", HostAction)
def test_packets_to_the_host_meet_policy_and_the_endpoint_to_host_action(
    lab: PacketLab, backend: Backend, action: HostAction
) -> None:
    watched(lab, "udp dport 1234")
    host = parse_network("10.65.77.77")
    lab.own(host)
    to_host = Packet(4, HOSTS4[0].address, host.address, 17, 9, 1234)
    chosen = IptablesSettings(backend=backend, endpoint_to_host=action)
    with new_driver(lab, chosen) as driver:
        driver.apply(friends_only())
        lab.deliver([Sent("cali0", to_host)])
    assert seen(lab) == (0 if action is HostAction.DROP else 1)


@pytest.mark.parametrize(("kind", "passes"), [(135, True), (136, True), (128, False)])
def test_neighbour_discovery_reaches_the_host_and_pings_do_not(
    lab: PacketLab, driver: IptablesDataplane, kind: int, passes: bool
) -> None:
    watched(lab, "", "ip6")
    host = parse_network("2001:db8:1::1")
    lab.own(host)
    driver.apply(friends_only())
    sender = parse_network("fe80::77")
    packet = Packet(6, sender.address, host.address, 58, icmp_type=kind, icmp_code=0)
    lab.deliver([Sent("cali0", packet)])
    assert seen(lab, "ip6") == int(passes)


def test_pools_with_nat_outgoing_are_masqueraded_to_the_outside_only(
    lab: PacketLab, driver: IptablesDataplane
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


@pytest.mark.parametrize(
    ("chosen", "expected"),
    [
        ({"nat_ports": PortRange(5000, 5010)}, None),
        ({"nat_address": parse_network("203.0.113.77")}, "203.0.113.77"),
        (
            {"nat_address": parse_network("203.0.113.77"), "nat_ports": PortRange(5000, 5000)},
            "203.0.113.77",
        ),
        ({"nat_interface": "up+"}, None),
        ({"nat_interface": "eth0"}, "10.65.0.1"),
    ],
)
def test_what_leaves_pools_has_the_chosen_address(
    lab: PacketLab, backend: Backend, chosen: dict[str, object], expected: str | None
) -> None:
    """None: an address of the node."""
    pool = nets(parse_network("10.65.0.0/16"))
    delta = friends_only(HOSTS4[0])
    outside = parse_network("198.51.100.9")
    lab.know([outside])
    lab.own(parse_network("203.0.113.1"))
    with new_driver(lab, IptablesSettings(backend=backend, **chosen)) as driver:
        applied = driver.apply(
            replace(delta, sets={**delta.sets, "masq-ipam-pools": pool, "all-ipam-pools": pool})
        )
    assert applied.failed == ()
    outward = Packet(4, HOSTS4[0].address, outside.address, 17, 1000, 53)
    (source,) = lab.sources_seen([Sent("cali0", outward)])
    if expected is None:
        assert source not in (None, HOSTS4[0].address)
    else:
        assert source == parse_network(expected).address


@pytest.mark.parametrize("action", LoopAction)
def test_packets_to_services_that_nothing_has_do_not_go_round(
    lab: PacketLab, backend: Backend, action: LoopAction
) -> None:
    outside = parse_network("198.51.100.9")
    lab.know([outside])
    services = ServiceCidrs(cluster=(parse_network("198.51.100.8/29"),))
    chosen = IptablesSettings(backend=backend, service_loops=action)
    lost = Packet(4, HOSTS4[0].address, outside.address, 17, 1000, 53)
    with new_driver(lab, chosen) as driver:
        assert driver.apply(friends_only(HOSTS4[0])).failed == ()
        assert lab.deliver([Sent("cali0", lost)]) == [True]
        lab.forget_connections()
        assert driver.apply(Delta(service_cidrs=services)).failed == ()
        (source,) = lab.sources_seen([Sent("cali0", lost)])
        # What rejects it sends the packet's beginning back, from an address of its own.
        assert (source is None) == (action is LoopAction.DROP)
        assert (source == HOSTS4[0].address) == (action is LoopAction.DISABLED)
        assert reaches(lab, 0, 1)


def test_answers_pass_where_questions_do_not(lab: PacketLab, driver: IptablesDataplane) -> None:
    listens = Policy(POLICY, "default", (Rule(Action.ALLOW),), ())
    driver.apply(replace(friends_only(), policies={POLICY: listens}))
    asked, answered = Sent("cali0", QUESTION), Sent("cali1", ANSWER)
    assert lab.deliver([answered]) == [False]
    assert lab.deliver([asked, answered]) == [True, True]


def test_a_workload_that_loses_its_program_loses_its_connections(
    lab: PacketLab, driver: IptablesDataplane
) -> None:
    driver.apply(friends_only(HOSTS4[0]))
    conversation = [Sent("cali0", QUESTION), Sent("cali1", ANSWER)]
    assert lab.deliver(conversation) == [True, True]
    driver.apply(Delta(endpoints_removed=frozenset({ENDPOINTS[1]})))
    assert lab.deliver(conversation) == [False, False]
