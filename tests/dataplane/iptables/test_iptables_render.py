"""What rules look like, and what never becomes text: no kernel needed."""

import re
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strategies.loose_programs import loose_rules
from strategies.programs import HOSTS4, HOSTS6, NETS4, rules
from tortie.dataplane.iptables import Backend, IptablesError, IptablesSettings
from tortie.dataplane.iptables.chains import Chain, comment_of, render_rule
from tortie.dataplane.iptables.commands import run
from tortie.dataplane.iptables.edits import DropChain, Mirror, PutChain
from tortie.dataplane.iptables.names import (
    ChainName,
    Way,
    endpoint_chain,
    is_own_set,
    policy_chain,
    profile_chain,
    set_name,
    spare_name,
)
from tortie.dataplane.iptables.reading import count_foreign_rules, read_sets, read_tables
from tortie.dataplane.iptables.restore import table_text
from tortie.dataplane.iptables.sets import FamilySet, elements_of
from tortie.dataplane.iptables.skeleton import workload_chains
from tortie.dataplane.policy.families import FAMILIES, IPV4, IPV6
from tortie.net import PortRange, parse_network
from tortie.policy.program import Action, PeerMatch, PolicyId, Rule, SetKind

SETTINGS = IptablesSettings()
TEXT = re.compile(r"[A-Za-z0-9_./:,+!\" -]*", re.ASCII)
# A word that iptables takes: no white space, quotes, or a beginning that reads as an option.
WORD = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_./=-]*", re.ASCII)


def lines(rule: Rule, version: int = 4) -> list[str]:
    return render_rule(rule, IPV4 if version == 4 else IPV6, SETTINGS)


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        (Rule(Action.ALLOW), ["-g cali-accept"]),
        (Rule(Action.PASS, protocol=6), ["-p 6 -g cali-pass"]),
        (Rule(Action.DENY, not_protocol=17), ["! -p 17 -j DROP"]),
        (Rule(Action.LOG), ['-j LOG --log-prefix "calico-packet: " --log-level 5']),
        (Rule(Action.ALLOW, ip_version=6), []),
        (Rule(Action.DENY, source=PeerMatch(nets=(HOSTS6[0],))), []),
        (Rule(Action.DENY, source=PeerMatch(nets=(HOSTS4[0],))), ["-s 10.65.0.1 -j DROP"]),
        (
            Rule(Action.DENY, source=PeerMatch(nets=(HOSTS4[0], HOSTS4[2]))),
            ["-s 10.65.0.1 -j DROP", "-s 10.65.0.3 -j DROP"],
        ),
        (Rule(Action.DENY, destination=PeerMatch(not_nets=(NETS4[3],))), []),
        (
            Rule(Action.ALLOW, protocol=6, destination=PeerMatch(ports=(PortRange(80, 90),))),
            ["-p 6 -m multiport --dports 80:90 -g cali-accept"],
        ),
    ],
)
def test_a_rule_becomes_these_lines(rule: Rule, expected: list[str]) -> None:
    assert lines(rule) == expected


def test_lists_of_ports_are_split_where_a_match_is_full() -> None:
    ports = (*(PortRange(n, n) for n in range(1, 40, 2)), PortRange(100, 200))
    found = lines(Rule(Action.ALLOW, protocol=6, source=PeerMatch(ports=ports)))
    assert len(found) == 2
    for line in found:
        listed = line.partition("--sports ")[2].split()[0].split(",")
        assert sum(1 + (":" in one) for one in listed) <= 15


def test_a_logged_packet_is_logged_once_whatever_alternatives_it_matches() -> None:
    many = tuple(parse_network(f"10.{n}.0.0/16") for n in range(5))
    rule = Rule(Action.LOG, source=PeerMatch(nets=many), destination=PeerMatch(nets=many))
    assert sum("-j LOG" in line for line in lines(rule)) == 1


@given(rule=rules() | loose_rules(), version=st.sampled_from([4, 6]))
def test_only_words_of_a_few_characters_reach_a_text(rule: Rule, version: int) -> None:
    for line in lines(rule, version):
        assert TEXT.fullmatch(line)


@given(st.text(), st.text(), st.text())
def test_every_name_is_a_word_within_its_limit(kind: str, namespace: str, name: str) -> None:
    for way in Way:
        for chain in (
            policy_chain(way, PolicyId(kind, namespace, name)),
            profile_chain(way, name),
        ):
            assert WORD.fullmatch(chain)
            assert len(chain) <= 28
    for version in (4, 6):
        for found in (set_name(version, name), spare_name(set_name(version, name))):
            assert WORD.fullmatch(found)
            assert len(found) <= 31
            assert is_own_set(found)


def test_long_names_that_differ_stay_different() -> None:
    named = [policy_chain(Way.TO, PolicyId("NetworkPolicy", "shop", "x" * n)) for n in range(1, 99)]
    assert len(set(named)) == len(named)


def test_what_is_saved_is_read_as_it_was_written() -> None:
    chain = Chain(ChainName("cali-po-np/a/b"), ("-p 6 -g cali-accept", "-j DROP"))
    saved = f"""# Generated
*filter
:FORWARD ACCEPT [0:0]
:{chain.name} - [3:180]
:theirs - [0:0]
-A FORWARD -j theirs
-A FORWARD -m comment --comment "cali:cali-FORWARD" -j cali-FORWARD
-A theirs -s 10.0.0.1/32 -g cali-po-np/a/b
-A {chain.name} -p tcp -m comment --comment "{comment_of(chain.rules[0])}" -g cali-accept
-A {chain.name} -m comment --comment {comment_of(chain.rules[1])} -j DROP
COMMIT
"""
    mirror = Mirror()
    read_tables(saved, mirror)
    assert mirror.holds(chain)
    assert not mirror.holds(chain._replace(rules=chain.rules[:1]))
    assert mirror.first["filter", "FORWARD"] == "-j theirs"
    assert set(mirror.jumps) == {("filter", "FORWARD"), ("filter", "theirs")}
    assert count_foreign_rules(saved) == 1


def test_sets_are_read_in_the_form_in_which_they_are_written() -> None:
    found = read_sets(
        "create cali40a hash:ip,port family inet hashsize 1024 maxelem 64\n"
        "add cali40a 10.0.0.1,sctp:80\n"
        "create cali60b hash:net family inet6 hashsize 1024 maxelem 64\n"
        "add cali60b fd00::/64\n"
        "create cali40c hash:mac hashsize 1024\n"
        "add cali40c 01:02:03:04:05:06\n"
        "create theirs hash:net family inet hashsize 1024 maxelem 64\n"
    )
    assert found.elements["cali40a"] == {"10.0.0.1,132:80"}
    assert found.elements["cali60b"] == {"fd00::/64"}
    assert found.types["cali40c"] is None
    assert "theirs" not in found.types


def test_a_transaction_empties_what_goes_before_it_goes() -> None:
    put = PutChain(4, Chain(ChainName("cali-a"), ("-j DROP",)))
    gone = DropChain(4, "filter", ChainName("cali-b"))
    assert table_text("filter", [put, gone]).splitlines() == [
        "*filter",
        ":cali-a - [0:0]",
        ":cali-b - [0:0]",
        f'-A cali-a -m comment --comment "{comment_of("-j DROP")}" -j DROP',
        "-X cali-b",
        "COMMIT",
    ]


_nets = st.frozensets(
    st.sampled_from([*map(parse_network, ("0.0.0.0/0", "0.0.0.0/1", "128.0.0.0/1")), *HOSTS4[:2]])
)


@given(first=_nets, changes=st.lists(st.tuples(_nets, _nets), max_size=5))
def test_changes_of_a_set_come_to_its_members(
    first: frozenset, changes: list[tuple[frozenset, frozenset]]
) -> None:
    kept = FamilySet(IPV4, SetKind.NET, first)
    kernel, members = set(kept.elements()), set(first)
    for added, removed in changes:
        change = kept.change(added, removed - added)
        members = (members - removed) | added
        kernel |= change.added
        kernel -= change.removed
        assert kernel == elements_of(members)


@pytest.mark.parametrize("count", [1, 12, 13, 400])
def test_every_interface_is_found_in_few_steps(count: int) -> None:
    names = [f"cali{n * 7919:x}" for n in range(count)]
    chains = {one.name: one.rules for one in workload_chains((), names, FAMILIES[0])}
    for name in names:
        here, steps = ChainName("cali-to-wl-ifaces"), 0
        while here != endpoint_chain(Way.TO, name):
            matching = [
                (place, rule.split()[-1])
                for place, rule in enumerate(chains[here])
                if _matches(rule.split()[1], name)
            ]
            ((place, target),) = matching  # one rule only: their order means nothing
            here, steps = ChainName(target), steps + place + 1
        assert steps <= 70


def _matches(pattern: str, name: str) -> bool:
    return name.startswith(pattern[:-1]) if pattern.endswith("+") else name == pattern


@pytest.mark.parametrize(
    "wrong", [{"mark_mask": 0x7}, {"max_set_size": 0}, {"lock_seconds": 0}, {"mark_mask": 1 << 33}]
)
def test_settings_that_cannot_be_used_are_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(ValueError):
        IptablesSettings(backend=Backend.NFT, **wrong)


def test_bits_of_the_mark_never_overlap() -> None:
    """Of the packet's mark: `ended` is a bit of the connection's."""
    for count in (5, 8):
        for bits in combinations(range(0, 32, 3), count):
            settings = IptablesSettings(mark_mask=sum(1 << bit for bit in bits))
            used = [*settings.marks._replace(ended=0), *settings.scratch]
            assert sum(used) == sum(used) & settings.mark_mask
            assert sum(one.bit_count() for one in used) == sum(used).bit_count()
        assert sum(used) <= settings.mark_mask
        assert all(bit & settings.mark_mask == bit for bit in used)


def test_a_missing_command_is_told_with_its_package() -> None:
    with pytest.raises(IptablesError, match="install the package iptables"):
        run(["iptables-that-nobody-has"])


@pytest.mark.parametrize(
    ("settings", "needed"),
    [({}, 5), ({"end_denied_flows": True}, 6), ({"wireguard_port": 51820}, 7)],
)
def test_a_mask_with_too_few_bits_is_refused_in_one_sentence(
    settings: dict[str, int], needed: int
) -> None:
    IptablesSettings(mark_mask=(1 << needed) - 1, **settings)
    with pytest.raises(
        ValueError, match=f"IptablesMarkMask .* has {needed - 1} bits, and {needed}"
    ):
        IptablesSettings(mark_mask=(1 << needed - 1) - 1, **settings)
