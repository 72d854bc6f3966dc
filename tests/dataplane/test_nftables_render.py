"""Rendering is pure: texts, names and plans without a kernel."""

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from dataplane.nft_text import elements_text, transaction_text
from strategies.loose_programs import loose_rules
from tortie.api.calico.rule import HttpMatch
from tortie.dataplane.nftables import NftSettings
from tortie.dataplane.nftables.chains import (
    CLOSED,
    Chain,
    endpoint_chains,
    policy_chains,
    rule_lines,
)
from tortie.dataplane.nftables.conditions import matches
from tortie.dataplane.nftables.edits import (
    DropSet,
    EditElements,
    PutChain,
    PutSet,
    TableMirror,
)
from tortie.dataplane.nftables.fields import SOURCE
from tortie.dataplane.nftables.members import FamilySet
from tortie.dataplane.nftables.names import (
    ChainName,
    SetName,
    UnsafeName,
    Way,
    checked_interface,
    endpoint_chain,
    policy_chain,
    profile_chain,
    set_name,
)
from tortie.dataplane.nftables.plan import NftDesired
from tortie.dataplane.nftables.sets import Element, Layout, member_element
from tortie.dataplane.nftables.skeleton import static_chains
from tortie.dataplane.nftables.terms import DROP, InSet, line_text
from tortie.dataplane.policy.desired import Desired, ElementChange
from tortie.dataplane.policy.families import FAMILIES, IPV4, IPV6, Family
from tortie.dataplane.policy.nets import disjoint_nets, merged_ranges
from tortie.dataplane.policy.settings import Action as DenyAction
from tortie.dataplane.policy.settings import HostAction, LogRate
from tortie.engine.delta import Delta, MemberChange, SetContents
from tortie.net import PortRange, Prefix, parse_network
from tortie.policy.program import (
    Action,
    DefaultAction,
    Endpoint,
    EndpointId,
    IcmpMatch,
    IPPort,
    PeerMatch,
    Policy,
    PolicyId,
    Rule,
    SetKind,
    TierPolicies,
)

SETTINGS = NftSettings()
WEB = PolicyId("KubernetesNetworkPolicy", "shop", "web")
TO_IDENTIFIER = re.compile(r"[A-Za-z][A-Za-z0-9_./-]*")


NETS = [
    parse_network(text)
    for text in (
        *("0.0.0.0/0", "10.0.0.0/8", "10.0.0.0/16", "10.0.0.0/24", "10.0.1.0/24"),
        *("10.0.0.1/32", "10.0.0.2/32", "10.1.0.0/16", "255.255.255.255/32"),
    )
]


def net(text: str) -> Prefix:
    return parse_network(text)


def rendered(rule: Rule, family: Family = IPV4) -> list[str]:
    return [line_text(line) for line in rule_lines((rule,), family, SETTINGS)]


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        (Rule(Action.DENY), ["counter drop"]),
        (Rule(Action.ALLOW), ["counter meta mark set meta mark | 0x10000 return"]),
        (Rule(Action.PASS), ["counter meta mark set meta mark | 0x20000 return"]),
        (Rule(Action.LOG), ['counter log prefix "calico-packet: "']),
        (Rule(Action.DENY, protocol=6), ["meta l4proto 6 counter drop"]),
        (Rule(Action.DENY, ip_version=6), []),
        (Rule(Action.DENY, source=PeerMatch(nets=(net("fd00::/8"),))), []),
        (Rule(Action.DENY, source=PeerMatch(not_nets=(net("fd00::/8"),))), ["counter drop"]),
        (Rule(Action.DENY, source=PeerMatch(nets=(net("0.0.0.0/0"),))), ["counter drop"]),
        (Rule(Action.DENY, source=PeerMatch(not_nets=(net("0.0.0.0/0"),))), []),
        (
            Rule(Action.DENY, source=PeerMatch(nets=(net("10.1.0.0/16"), net("10.0.0.0/8")))),
            ["ip saddr 10.0.0.0/8 counter drop"],
        ),
        (
            Rule(
                Action.DENY,
                protocol=6,
                destination=PeerMatch(ports=(PortRange(80, 80), PortRange(82, 90))),
            ),
            ["meta l4proto 6 th dport { 80, 82-90 } counter drop"],
        ),
        (
            Rule(Action.DENY, protocol=6, source=PeerMatch(not_ports=(PortRange(80, 80),))),
            ["meta l4proto 6 th sport != 80-80 counter drop"],
        ),
        (
            Rule(Action.DENY, protocol=1, icmp=IcmpMatch(8)),
            ["meta l4proto 1 icmp type 8 counter drop"],
        ),
        (
            Rule(Action.DENY, protocol=1, not_icmp=IcmpMatch(8, 1)),
            ["meta l4proto 1 icmp type . icmp code != { 8 . 1 } counter drop"],
        ),
        (
            Rule(
                Action.DENY,
                protocol=17,
                destination=PeerMatch(ports=(PortRange(53, 53),), port_sets=("n-dns",)),
            ),
            [
                "meta l4proto 17 th dport 53 counter drop",
                "meta l4proto 17 ip daddr . meta l4proto . th dport @cali40n-dns counter drop",
            ],
        ),
        (
            Rule(
                Action.LOG,
                protocol=17,
                destination=PeerMatch(ports=(PortRange(53, 53),), port_sets=("n-dns",)),
            ),
            [
                'meta l4proto 17 th dport 53 counter log prefix "calico-packet: "',
                "meta l4proto 17 th dport != 53-53 ip daddr . meta l4proto . th dport @cali40n-dns "
                'counter log prefix "calico-packet: "',
            ],
        ),
    ],
)
def test_a_rule_is_rendered_for_ipv4(rule: Rule, expected: list[str]) -> None:
    assert rendered(rule) == expected


def test_logs_have_a_rate_and_each_rule_its_own() -> None:
    settings = NftSettings(log_prefix="shop", log_rate=LogRate(10, "minute", 20))
    log = Rule(Action.LOG)
    (one, other) = rule_lines((log, log), IPV4, settings)
    assert line_text(one) == ('limit rate 10/minute burst 20 packets counter log prefix "shop: "')
    assert one == other


@pytest.mark.parametrize("family", FAMILIES)
def test_what_policy_denies_may_be_refused(family: Family) -> None:
    settings = NftSettings(deny=DenyAction.REJECT)
    name = EndpointId("WorkloadEndpoint", "shop", "web")
    tiers = (TierPolicies("default", DefaultAction.DENY, (WEB,)),)
    endpoint = Endpoint(name, "cali1", (net("10.0.0.1"),), tiers, tiers)
    for chain in endpoint_chains(endpoint, family, settings):
        assert [line_text(line) for line in chain.rules if line[-1].text() == "reject"] == [
            "meta mark & 0x20000 == 0 counter reject",
            "counter reject",
        ]
    (line,) = rule_lines((Rule(Action.DENY, protocol=6),), family, settings)
    assert line_text(line) == "meta l4proto 6 counter reject"


def test_a_rule_for_the_other_family_leaves_no_trace() -> None:
    rules = (Rule(Action.ALLOW, ip_version=6, protocol=58),)
    policy = Policy(WEB, "default", rules)
    assert [len(one.rules) for one in policy_chains(policy, IPV4, SETTINGS)] == [0, 0]
    assert [len(one.rules) for one in policy_chains(policy, IPV6, SETTINGS)] == [1, 0]


def test_an_endpoints_walk_ends_closed_in_both_directions() -> None:
    tiers = (
        TierPolicies("a", DefaultAction.PASS, (WEB, WEB._replace(name="db"))),
        TierPolicies("default", DefaultAction.DENY, (WEB,)),
    )
    name = EndpointId("WorkloadEndpoint", "shop", "web")
    endpoint = Endpoint(name, "cali1", (net("10.0.0.1"),), tiers, (), ("kns.shop",))
    outgoing, incoming = endpoint_chains(endpoint, IPV4, SETTINGS)
    assert outgoing.rules[-1] == incoming.rules[-1] == CLOSED
    assert [line_text(line) for line in incoming.rules[1:-1]] == [
        "jump cali-pi-knp/shop/web",
        "meta mark & 0x30000 == 0 jump cali-pi-knp/shop/db",
        "meta mark & 0x10000 == 0x10000 return",
        "meta mark set meta mark & 0xfffdffff",
        "jump cali-pi-knp/shop/web",
        "meta mark & 0x10000 == 0x10000 return",
        "meta mark & 0x20000 == 0 counter drop",
        "jump cali-pri-kns.shop",
        "meta mark & 0x10000 == 0x10000 return",
    ]


@pytest.mark.parametrize("family", FAMILIES)
def test_dispatch_ends_closed(family: object) -> None:
    chains = {one.name: one.rules for one in static_chains(family, SETTINGS)}  # type: ignore[arg-type]
    for name in ("cali-from-wl-dispatch", "cali-to-wl-dispatch", "cali-rpf", "cali-wl-to-host"):
        assert chains[ChainName(name)][-1] == CLOSED


@given(loose_rules(), st.sampled_from(FAMILIES), st.booleans())
def test_no_text_has_what_could_end_a_rule(rule: Rule, family: Family, disjoint: bool) -> None:
    for match in matches(rule, family, disjoint=disjoint):
        assert not set(line_text(match.line)) & set('";\n#\\$*')


@given(st.text(), st.text(), st.text())
def test_every_name_is_an_identifier_within_its_length(kind: str, space: str, name: str) -> None:
    for made, limit in (
        (policy_chain(Way.TO, PolicyId(kind, space, name)), 120),
        (profile_chain(Way.FROM, name), 120),
        (set_name(6, name), 31),
    ):
        assert TO_IDENTIFIER.fullmatch(made)
        assert len(made) <= limit


@given(st.text(), st.text())
def test_different_ids_have_different_names(one: str, other: str) -> None:
    assert (set_name(4, one) == set_name(4, other)) == (one == other)
    assert (profile_chain(Way.TO, one) == profile_chain(Way.TO, other)) == (one == other)


_parts = st.text(alphabet="a/\0", max_size=3)
_policy_ids = st.builds(
    PolicyId, st.sampled_from(["NetworkPolicy", "np", "GlobalNetworkPolicy"]), _parts, _parts
)


@given(_policy_ids, _policy_ids)
@example(PolicyId("np", "", "\0"), PolicyId("np", "\0", ""))
@example(PolicyId("np", "a\0b", "c"), PolicyId("np", "a", "b\0c"))
def test_different_policies_have_different_chains(one: PolicyId, other: PolicyId) -> None:
    assert (policy_chain(Way.TO, one) == policy_chain(Way.TO, other)) == (one == other)


def test_readable_names_stay_readable() -> None:
    assert policy_chain(Way.TO, WEB) == "cali-pi-knp/shop/web"
    assert policy_chain(Way.FROM, PolicyId("GlobalNetworkPolicy", "", "a")) == "cali-po-gnp/a"
    assert profile_chain(Way.TO, "ksa.shop.default") == "cali-pri-ksa.shop.default"
    assert endpoint_chain(Way.FROM, "cali12ab") == "cali-fw-cali12ab"
    assert set_name(4, "masq-ipam-pools") == "cali40masq-ipam-pools"


@given(st.text(max_size=20))
def test_an_interface_is_checked_not_replaced(name: str) -> None:
    try:
        assert checked_interface(name) == name
    except UnsafeName:
        return
    assert re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,14}", name)


@pytest.mark.parametrize(
    "wrong",
    [
        {"mark_mask": 0x30000},
        {"mark_mask": 1 << 40 | 3},
        {"interface_prefixes": ()},
        {"interface_prefixes": ('cali"',)},
        {"log_prefix": 'x" drop'},
        {"vxlan_port": 0},
    ],
)
def test_settings_that_cannot_be_used_are_refused(wrong: dict[str, object]) -> None:
    (name,) = wrong
    with pytest.raises(ValueError, match=f"(?i){name.partition('_')[0]}"):
        NftSettings(**wrong)  # type: ignore[arg-type]


def test_settings_reach_the_text() -> None:
    settings = NftSettings(
        endpoint_to_host=HostAction.RETURN, masquerade_to_hosts=False, mark_mask=0xF0
    )
    text = str([line_text(line) for one in static_chains(IPV4, settings) for line in one.rules])
    assert "daddr != @cali40all-hosts-net" in text
    assert "0x10 " in text
    assert "'return'" in text


def test_ranges_are_merged_and_nets_made_disjoint() -> None:
    spans = [PortRange(5, 9), PortRange(1, 2), PortRange(3, 6), PortRange(20, 20)]
    assert merged_ranges(spans) == [PortRange(1, 9), PortRange(20, 20)]
    nets = [net("10.1.0.0/16"), net("10.0.0.0/8"), net("fd00::/8"), net("11.0.0.0/8")]
    assert disjoint_nets(nets, IPV4) == [net("10.0.0.0/8"), net("11.0.0.0/8")]


def test_a_set_changes_its_layout_with_its_first_prefix() -> None:
    one, wide = net("10.0.0.1"), net("10.0.0.0/8")
    made = FamilySet(IPV4, SetKind.NET, [one])
    assert made.layout is Layout.ADDRESSES
    assert made.change({wide}, set()) is None
    assert made.layout is Layout.NETS
    assert set(made.elements()) == {member_element(Layout.NETS, wide)}
    change = made.change(set(), {wide})
    assert change is not None
    assert change.removed == {member_element(Layout.NETS, wide)}
    assert change.added == {member_element(Layout.NETS, one)}


def test_two_changes_of_one_set_in_one_delta_add_up() -> None:
    a, b, c = net("10.0.0.1"), net("10.0.0.2"), net("10.0.0.3")
    desired: NftDesired = Desired(FamilySet)
    desired.fold(Delta(sets={"s": SetContents(SetKind.NET, frozenset({a}))}))
    touched = desired.fold(
        Delta(
            sets={"s": SetContents(SetKind.NET, frozenset({b}))},
            members={"s": MemberChange(frozenset({a, c}), frozenset({b}))},
        )
    )
    element = member_element(Layout.ADDRESSES, c)
    assert touched.elements == {(4, "s"): ElementChange({element}, set())}


@given(st.lists(st.sets(st.sampled_from(NETS), max_size=6), max_size=8))
def test_changes_of_elements_lead_from_one_content_to_the_next(contents: list[set[Prefix]]) -> None:
    """What the kernel holds after each change is what a new set would be given."""
    made = FamilySet(IPV4, SetKind.NET)
    kernel: set[Element] = set()
    for wanted in contents:
        change = made.change(wanted - made.members, made.members - wanted)
        if change is None:
            kernel = set(made.elements())
        else:
            assert change.removed <= kernel
            assert not change.added & kernel
            kernel = kernel - change.removed | change.added
        assert kernel == set(made.elements())


@pytest.mark.parametrize(
    ("layout", "member", "text"),
    [
        (Layout.ADDRESSES, net("10.0.0.1"), "10.0.0.1"),
        (Layout.NETS, net("10.0.0.1"), "10.0.0.1"),
        (Layout.NETS, net("10.0.0.0/24"), "10.0.0.0-10.0.0.255"),
        (Layout.NETS, net("0.0.0.0/0"), "0.0.0.0-255.255.255.255"),
        (Layout.IP_PORTS, IPPort(4, 0x0A000001, 17, 53), "10.0.0.1 . 17 . 53"),
    ],
)
def test_elements_have_a_text(layout: Layout, member: Prefix | IPPort, text: str) -> None:
    assert elements_text(layout, IPV4, [member_element(layout, member)]) == text


def test_a_set_made_anew_lets_go_of_its_rules_first() -> None:
    mirror = TableMirror()
    chain = Chain(ChainName("cali-pi-gnp/a"), ((InSet((SOURCE[4],), "cali40x"), DROP),))
    mirror.note(PutChain(IPV4, chain))
    mirror.note(PutSet(IPV4, SetName("cali40x"), Layout.ADDRESSES))
    edits = [PutSet(IPV4, SetName("cali40x"), Layout.NETS), PutChain(IPV4, chain)]
    verbs = [line.split()[:2] for line in transaction_text(edits, {4: mirror}).splitlines()]
    assert verbs == [["flush", "chain"], ["delete", "set"], ["add", "set"], ["add", "rule"]]


def test_of_two_edits_of_one_set_the_later_counts() -> None:
    name = SetName("cali40x")
    edits = [PutSet(IPV4, name, Layout.ADDRESSES), PutSet(IPV4, name, Layout.NETS)]
    (line,) = transaction_text(edits, {4: TableMirror()}).splitlines()
    assert "interval" in line
    assert "delete set" in transaction_text([DropSet(IPV4, name)], {4: TableMirror()})
    nothing = EditElements(IPV4, name, Layout.NETS, frozenset(), frozenset())
    assert transaction_text([nothing], {4: TableMirror()}) == ""


@pytest.mark.parametrize("action", Action)
def test_a_rule_about_http_requests_matches_no_packet(action):
    rule = Rule(action, http=HttpMatch(methods=("GET",)))
    assert [rendered(rule, family) for family in FAMILIES] == [[], []]
