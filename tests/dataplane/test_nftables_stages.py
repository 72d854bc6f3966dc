"""What goes into which transaction, what tells policies apart, and in which order bytes stand."""

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataplane.packets import PacketLab
from dataplane.programming import WORKLOADS, whole
from strategies.programs import ENDPOINTS, HOSTS4
from tortie.dataplane.nftables import NftablesDataplane, fields
from tortie.dataplane.nftables.anonymous import CONSTANT, Span
from tortie.dataplane.nftables.chains import Chain
from tortie.dataplane.nftables.coalesce import united
from tortie.dataplane.nftables.conditions import Match, joined
from tortie.dataplane.nftables.edits import DropChain, PutChain, PutSet, TableMirror
from tortie.dataplane.nftables.encoding import encoded
from tortie.dataplane.nftables.kernel import Overtaken
from tortie.dataplane.nftables.names import ChainName, SetName, Way
from tortie.dataplane.nftables.reach import Dimension, Reach, blocks, reach_of
from tortie.dataplane.nftables.sets import Layout, member_element
from tortie.dataplane.nftables.terms import (
    DROP,
    Among,
    Bits,
    InSet,
    Is,
    Line,
    Switch,
    Term,
    jump,
    line_text,
)
from tortie.dataplane.nftables.transaction import staged
from tortie.dataplane.policy.families import IPV4
from tortie.engine.delta import Delta
from tortie.linux.netlink.nfobjects import delete_chain
from tortie.linux.netlink.sockets import NetlinkError, NetlinkLost, Request
from tortie.net import PortRange, parse_network
from tortie.policy import Program
from tortie.policy.program import (
    Action,
    DefaultAction,
    Endpoint,
    PeerMatch,
    Policy,
    PolicyId,
    Rule,
    TierPolicies,
)

NEW_CHAIN, DELETE_CHAIN, NEW_RULE, NEW_SET, DELETE_SET = 3, 5, 6, 9, 11
NETS = Among((fields.SOURCE[4],), ((Span(0, 7),), (Span(16, 31),)))
PORTS = Among((fields.DESTINATION_PORT,), ((Span(80, 80),), (Span(443, 443),)))
CHAIN = ChainName("cali-pi-gnp/a")


def kinds(requests: list[Request]) -> list[int]:
    return [one.type & 0xFF for one in requests]


def mirror_with(*chains: Chain) -> TableMirror:
    mirror = TableMirror()
    mirror.exists = True
    for one in chains:
        mirror.note(PutChain(IPV4, one))
    return mirror


def test_ranges_are_there_before_the_rule_and_go_with_it() -> None:
    old, new = Chain(CHAIN, ((NETS, DROP),)), Chain(CHAIN, ((PORTS, DROP),))
    empty = mirror_with()
    stages = staged([PutChain(IPV4, old)], {4: empty})
    assert NEW_SET in kinds(stages.before)
    assert NEW_SET not in kinds(stages.change)
    assert kinds(stages.undo) == [DELETE_SET]
    assert stages.after == []
    gone = staged([PutChain(IPV4, new)], {4: mirror_with(old)})
    assert gone.before == gone.after == []
    assert DELETE_SET in kinds(gone.change)


def test_single_values_come_with_their_rule() -> None:
    stages = staged([PutChain(IPV4, Chain(CHAIN, ((PORTS, DROP),)))], {4: mirror_with()})
    assert stages.before == stages.undo == []
    assert NEW_SET in kinds(stages.change)


def test_a_map_goes_after_the_rules_and_what_it_leads_to_after_the_map() -> None:
    target = Chain(CHAIN, ((DROP,),))
    switch = Switch((fields.DESTINATION_PORT,), (((Span(80, 80),), jump(CHAIN)),))
    asking = Chain(ChainName("cali-ri-_x"), ((switch,),))
    edits = [PutChain(IPV4, target), PutChain(IPV4, asking)]
    coming = staged(edits, {4: mirror_with()})
    assert kinds(coming.before)[1:3] == [NEW_CHAIN, NEW_SET]  # behind the table's own
    assert NEW_RULE not in kinds(coming.before)
    drops = [DropChain(IPV4, asking.name), DropChain(IPV4, target.name)]
    going = staged(drops, {4: mirror_with(target, asking)})
    assert going.change == []
    assert kinds(going.after)[-3:] == [DELETE_SET, DELETE_CHAIN, DELETE_CHAIN]


def test_a_set_begun_anew_as_a_tree_is_filled_before_the_rules_ask_it() -> None:
    name = SetName("cali40x")
    chain = Chain(CHAIN, ((InSet((fields.SOURCE[4],), name), DROP),))
    mirror = mirror_with(chain)
    mirror.note(PutSet(IPV4, name, Layout.ADDRESSES))
    elements = (member_element(Layout.NETS, parse_network("10.0.0.0/8")),)
    edits = [PutSet(IPV4, name, Layout.NETS, elements), PutChain(IPV4, chain)]
    stages = staged(edits, {4: mirror})
    again, asking = stages.settle
    assert NEW_SET in kinds(stages.before)
    assert NEW_SET not in kinds(stages.change)
    assert NEW_SET in kinds(again)
    assert NEW_SET not in kinds(asking)
    assert kinds(asking)[-1] == DELETE_SET


@pytest.mark.parametrize(
    ("term", "little", "big"),
    [
        (Bits(fields.MARK, 0x10000), b"\0\0\1\0", b"\0\1\0\0"),
        (Is(fields.DESTINATION_PORT, 80), b"\0\x50", b"\0\x50"),
        (Is(fields.SOURCE[4], 0x0A000001), b"\x0a\0\0\1", b"\x0a\0\0\1"),
    ],
)
def test_marks_stand_in_the_machines_order_and_packets_in_the_networks(
    term: Term, little: bytes, big: bytes
) -> None:
    assert little in encoded((term,), "little").steps[0]
    assert big in encoded((term,), "big").steps[0]


@pytest.mark.parametrize(
    ("matches", "expected"),
    [
        ([("tcp", 80), ("tcp", 443)], ["meta l4proto 6 th dport { 80, 443 }"]),
        ([("tcp", 80), ("tcp", 81)], ["meta l4proto 6 th dport 80-81"]),
        ([("tcp", 80), ("udp", 53)], ["meta l4proto . th dport { 6 . 80, 17 . 53 }"]),
    ],
)
def test_matches_of_one_shape_become_one_look_up(
    matches: list[tuple[str, int]], expected: list[str]
) -> None:
    numbers = {"tcp": 6, "udp": 17}
    told = [
        Match(
            (
                (fields.PROTOCOL, (Span(numbers[name], numbers[name]),)),
                (fields.DESTINATION_PORT, (Span(port, port),)),
            )
        )
        for name, port in matches
    ]
    assert [line_text(line) for line in united(told)] == expected


_spans = st.builds(
    lambda first, more: Span(first, min(255, first + more)), *[st.integers(0, 255)] * 2
)
_nets = st.builds(
    lambda bits, at: Span(at >> bits << bits, (at >> bits << bits) + (1 << bits) - 1),
    st.integers(0, 8),
    st.integers(0, 255),
)


@given(
    st.lists(
        st.tuples(
            st.lists(_nets, min_size=1, max_size=2), st.lists(_spans, min_size=1, max_size=2)
        ),
        min_size=1,
        max_size=8,
    ),
    st.lists(st.tuples(st.integers(0, 255), st.integers(0, 255)), max_size=40),
)
def test_lines_put_together_take_the_same_packets(
    rows: list[tuple[list[Span], list[Span]]], packets: list[tuple[int, int]]
) -> None:
    """Addresses below 256 and ports: is any box around the packet, and never two of one look-up?"""
    matches = [
        Match(((fields.SOURCE[4], joined(nets)), (fields.DESTINATION_PORT, joined(ports))))
        for nets, ports in rows
    ]
    lines = united(matches)
    for address, port in packets:
        values = {fields.SOURCE[4].text: address, fields.DESTINATION_PORT.text: port}
        wanted = any(
            all(_inside(values[field.text], spans) for field, spans in one.ranges)
            for one in matches
        )
        assert any(_holds(line, values) for line in lines) == wanted


def _inside(value: int, spans: tuple[Span, ...]) -> bool:
    return any(int(one.first) <= value <= int(one.last) for one in spans)


def _holds(line: Line, values: dict[str, int]) -> bool:
    return all(_term_holds(term, values) for term in line)


def _term_holds(term: Term, values: dict[str, int]) -> bool:
    if isinstance(term, Among):
        found = [
            box
            for box in term.boxes
            if all(
                _inside(values[field.text], (span,))
                for field, span in zip(term.fields, box, strict=True)
            )
        ]
        assert len(found) <= 1
        return bool(found)
    value = values[term.field.text]  # type: ignore[attr-defined]
    match term:
        case Is():
            return value == term.value
        case _ if hasattr(term, "length"):
            return value >> 32 - term.length == term.address >> 32 - term.length
        case _:
            return bool(term.first <= value <= term.last)  # type: ignore[attr-defined]


def test_policies_are_told_apart_by_ports_or_peers_and_the_empty_are_left_out() -> None:
    def reach(*rules: Rule) -> Reach:
        return reach_of(rules, Way.TO, IPV4)

    def port(number: int) -> Reach:
        peer = PeerMatch(ports=(PortRange(number, number),))
        return reach(Rule(Action.DENY, protocol=6, destination=peer))

    def net(text: str) -> Reach:
        return reach(Rule(Action.ALLOW, source=PeerMatch(nets=(parse_network(text),))))

    anything, nothing = reach(Rule(Action.ALLOW, protocol=6)), reach()
    ports, nets = [port(n) for n in range(5)], [net(f"10.{n}.0.0/16") for n in range(4)]
    found = blocks([*ports, nothing, anything, *nets, net("10.0.0.0/8")])
    assert [(len(one.places), one.dimension) for one in found] == [
        (5, Dimension.PORT),
        (1, None),
        (4, Dimension.PEER),
        (1, None),
    ]


@pytest.fixture(scope="module")
def shared_lab() -> Iterator[PacketLab]:
    with PacketLab(WORKLOADS) as made:
        yield made


@pytest.fixture
def lab(shared_lab: PacketLab) -> PacketLab:
    shared_lab.nft("flush", "ruleset")
    return shared_lab


def _driver(lab: PacketLab) -> NftablesDataplane:
    with lab.inside():
        return NftablesDataplane()


@pytest.mark.root
def test_what_others_write_between_reading_and_writing_makes_it_read_again(
    lab: PacketLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    with _driver(lab) as driver:
        read, others = driver._kernel.read, iter(["add table ip theirs", "delete table ip theirs"])

        def overtaken_read() -> object:
            snapshot = read()
            for command in others:
                lab.nft(command)
                break
            return snapshot

        monkeypatch.setattr(driver._kernel, "read", overtaken_read)
        driver.fold(whole(Program()))
        assert driver.resync().failed == ()
        assert "cali-FORWARD" in lab.nft("list", "ruleset")
        with pytest.raises(Overtaken):
            driver._kernel.commit([], driver.generation() - 1)


MANY = [PolicyId("GlobalNetworkPolicy", "", f"m{number}") for number in range(20)]


def _of_port(number: int, port: int) -> Policy:
    allowed = PeerMatch(ports=(PortRange(port, port),))
    return Policy(MANY[number], "default", (Rule(Action.ALLOW, protocol=6, destination=allowed),))


@pytest.mark.root
def test_an_edit_rewrites_the_run_only_where_it_reaches_something_else(lab: PacketLab) -> None:
    tiers = (TierPolicies("default", DefaultAction.DENY, tuple(MANY)),)
    endpoint = Endpoint(ENDPOINTS[0], "cali0", (HOSTS4[0],), tiers)
    policies = {MANY[number]: _of_port(number, 1000 + number) for number in range(20)}
    with _driver(lab) as driver:
        driver.apply(whole(Program({endpoint.id: endpoint}, policies)))
        written, generation = driver.written, driver.generation()
        denied = Policy(
            MANY[3], "default", (Rule(Action.DENY, protocol=6, destination=_port(1003)),)
        )
        driver.apply(Delta(policies={MANY[3]: denied}))
        assert driver.generation() == generation + 1
        assert driver.written == written + 2  # the policy's chain in each family
        driver.apply(Delta(policies={MANY[3]: _of_port(3, 2003)}))
        assert "tcp . 2003 : jump cali-pi-gnp/m3" in lab.nft("list", "ruleset")
        driver.apply(Delta(endpoints_removed=frozenset({endpoint.id})))
        assert "cali-ri-" not in lab.nft("list", "ruleset")
        assert CONSTANT not in _of_policies(lab)


def _port(number: int) -> PeerMatch:
    return PeerMatch(ports=(PortRange(number, number),))


def _of_policies(lab: PacketLab) -> str:
    """What is not the static chains' own: IPv4 has none of these."""
    return lab.nft("list", "table", "ip", "calico")


@pytest.mark.root
def test_a_refused_change_takes_its_ranges_back(lab: PacketLab) -> None:
    nets = tuple(map(parse_network, ("10.0.0.0/9", "11.0.0.0/9")))
    bad = Rule(Action.DENY, source=PeerMatch(nets=nets, sets=("s:never-given",)))
    policy = Policy(MANY[0], "default", (bad,))
    with _driver(lab) as driver:
        driver.apply(whole(Program()))
        (failure,) = driver.apply(Delta(policies={MANY[0]: policy})).failed
        assert failure.subject == str(MANY[0])
        assert "ip saddr { 10.0.0.0/9, 11.0.0.0/9 }" in failure.message
        assert CONSTANT not in _of_policies(lab)
        assert driver.resync().failed != ()


@pytest.mark.root
def test_ten_thousand_refusals_are_one_refusal(lab: PacketLab) -> None:
    """Each takes room where the kernel answers: without it the answer would be lost."""
    with _driver(lab) as driver:
        driver.resync()
        refused = [delete_chain(2, "calico", f"no{n}") for n in range(10_000)]
        with pytest.raises(NetlinkError) as caught:
            driver._kernel.commit(refused)
    assert not isinstance(caught.value, NetlinkLost)
    assert "chain no0" in str(caught.value)
