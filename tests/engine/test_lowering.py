"""One rule at a time: what it becomes, and that what can't be lowered fails closed."""

import pytest

from tortie.api import (
    EntityRule,
    IcmpFields,
    Rule,
    RuleMetadata,
    ServiceAccountMatch,
    ServiceMatch,
)
from tortie.api.calico.rule import HttpMatch
from tortie.engine.lowering import lower_rules
from tortie.net import PortRange, parse_network
from tortie.policy import Direction, program
from tortie.policy.program import Action, IcmpMatch, PeerMatch, SetKind


def lower(rule: Rule, namespace: str = "shop") -> program.Rule:
    """The one rule that a rule becomes."""
    lowered = lower_rules((rule,), namespace, Direction.INGRESS)
    assert lowered.problems == ()
    return lowered.rules[0]


def selectors(entity: EntityRule, namespace: str = "shop") -> dict[str, str]:
    """The canonical selectors of the sets that a source needs, by the field that names them."""
    lowered = lower_rules((Rule(action="Allow", source=entity),), namespace, Direction.INGRESS)
    assert lowered.problems == ()
    match = lowered.rules[0].source
    return {
        field: lowered.sets[getattr(match, field)[0]].selector.canonical
        for field in ("sets", "not_sets", "port_sets", "not_port_sets")
        if getattr(match, field)
    }


def test_plain_fields_become_numbers():
    rule = Rule(
        action="Deny",
        ip_version=4,
        protocol="tcp",
        source=EntityRule(nets=("10.0.0.7/8",), not_nets=("10.1.0.0/16",)),
        destination=EntityRule(ports=(80, "90:99"), not_ports=("95",)),
        metadata=RuleMetadata(annotations={"b": "2", "a": "1"}),
    )
    assert lower(rule) == program.Rule(
        action=Action.DENY,
        ip_version=4,
        protocol=6,
        source=PeerMatch(
            nets=(parse_network("10.0.0.0/8"),), not_nets=(parse_network("10.1.0.0/16"),)
        ),
        destination=PeerMatch(
            ports=(PortRange(80, 80), PortRange(90, 99)), not_ports=(PortRange(95, 95),)
        ),
        annotations=(("a", "1"), ("b", "2")),
    )


@pytest.mark.parametrize(
    ("rule", "version"),
    [
        (Rule(action="Allow"), None),
        (Rule(action="Allow", ip_version=6), 6),
        (Rule(action="Allow", source=EntityRule(nets=("10.0.0.0/8",))), 4),
        (Rule(action="Allow", destination=EntityRule(not_nets=("fd00::/8",))), 6),
        (Rule(action="Allow", protocol="ICMP", icmp=IcmpFields(type=8)), 4),
        (Rule(action="Allow", protocol="ICMPv6", not_icmp=IcmpFields(type=128)), 6),
    ],
)
def test_networks_and_icmp_types_imply_the_ip_version(rule, version):
    assert lower(rule).ip_version == version


def test_icmp_types_need_no_code():
    rule = Rule(action="Allow", protocol="ICMP", icmp=IcmpFields(type=8))
    assert lower(rule).icmp == IcmpMatch(8)
    assert lower(Rule(action="Allow", protocol="ICMP", icmp=IcmpFields())).icmp is None


NS = 'projectcalico.org/namespace == "shop"'


@pytest.mark.parametrize(
    ("entity", "namespace", "expected"),
    [
        (EntityRule(), "shop", {}),
        (EntityRule(nets=("10.0.0.0/8",)), "shop", {}),
        (EntityRule(selector="a == 'b'"), "shop", {"sets": f'({NS} && a == "b")'}),
        (EntityRule(selector="a == 'b'"), "", {"sets": 'a == "b"'}),
        (EntityRule(selector="all()"), "", {"sets": "all()"}),
        (EntityRule(selector="all()"), "shop", {"sets": NS}),
        (EntityRule(not_selector="has(a)"), "shop", {"sets": NS, "not_sets": "has(a)"}),
        (EntityRule(not_selector="has(a)"), "", {"not_sets": "has(a)"}),
        (
            EntityRule(namespace_selector="team == 'red'"),
            "shop",
            {"sets": 'pcns.team == "red"'},
        ),
        (
            EntityRule(namespace_selector="team == 'red'", selector="has(a)"),
            "shop",
            {"sets": '(pcns.team == "red" && has(a))'},
        ),
        (EntityRule(namespace_selector="all()"), "", {"sets": "has(projectcalico.org/namespace)"}),
        (
            EntityRule(namespace_selector="global()"),
            "shop",
            {"sets": "!has(projectcalico.org/namespace)"},
        ),
        (
            EntityRule(service_accounts=ServiceAccountMatch(names=("b", "a"))),
            "shop",
            {"sets": f'({NS} && projectcalico.org/serviceaccount in {{"a", "b"}})'},
        ),
        (
            EntityRule(service_accounts=ServiceAccountMatch(selector="has(x)")),
            "",
            {"sets": "has(pcsa.x)"},
        ),
        (EntityRule(service_accounts=ServiceAccountMatch()), "shop", {}),
        (EntityRule(ports=("http",)), "shop", {"port_sets": "all()"}),
        (
            EntityRule(ports=("http",), selector="has(a)"),
            "",
            {"sets": "has(a)", "port_sets": "has(a)"},
        ),
        (EntityRule(not_ports=("http",)), "", {"not_port_sets": "all()"}),
    ],
)
def test_selectors_stay_within_their_scope(entity, namespace, expected):
    assert selectors(entity, namespace) == expected


@pytest.mark.parametrize(
    ("protocol", "number"), [(None, 6), ("TCP", 6), ("UDP", 17), ("SCTP", 132)]
)
def test_a_named_port_is_of_the_rules_protocol_or_tcp(protocol, number):
    rule = Rule(action="Allow", protocol=protocol, destination=EntityRule(ports=("http",)))
    (spec,) = lower_rules((rule,), "", Direction.INGRESS).sets.values()
    assert (spec.kind, spec.protocol, spec.port) == (SetKind.IP_PORT, number, "http")


def test_equal_selectors_share_one_set_across_policies():
    one = lower_rules(
        (Rule(action="Allow", source=EntityRule(selector="a == 'b'")),), "", Direction.INGRESS
    )
    two = lower_rules(
        (Rule(action="Deny", source=EntityRule(selector='a=="b"')),), "", Direction.INGRESS
    )
    assert one.sets == two.sets


WRONG = [
    ("source.selector", Rule(action="Allow", source=EntityRule(selector="a =="))),
    ("source.selector", Rule(action="Allow", source=EntityRule(selector="global()"))),
    ("source.notSelector", Rule(action="Allow", source=EntityRule(not_selector="=="))),
    (
        "destination.namespaceSelector",
        Rule(action="Allow", destination=EntityRule(namespace_selector="global() || has(a)")),
    ),
    (
        "source.serviceAccounts.selector",
        Rule(action="Allow", source=EntityRule(service_accounts=ServiceAccountMatch(selector="("))),
    ),
    ("source.nets", Rule(action="Allow", source=EntityRule(nets=("10.0.0.0/33",)))),
    ("source.notNets", Rule(action="Allow", source=EntityRule(not_nets=("bad",)))),
    ("nets", Rule(action="Allow", source=EntityRule(nets=("10.0.0.0/8", "fd00::/8")))),
    ("ipVersion", Rule(action="Allow", ip_version=6, source=EntityRule(nets=("10.0.0.0/8",)))),
    ("protocol", Rule(action="Allow", protocol="TPC")),
    ("notProtocol", Rule(action="Allow", not_protocol=0)),
    ("icmp", Rule(action="Allow", protocol="TCP", icmp=IcmpFields(type=8))),
    ("icmp.code", Rule(action="Allow", protocol="ICMP", icmp=IcmpFields(code=1))),
    ("notICMP", Rule(action="Allow", not_icmp=IcmpFields(type=8))),
    ("source.ports", Rule(action="Allow", source=EntityRule(ports=(80,)))),
    ("source.ports", Rule(action="Allow", protocol="ICMP", source=EntityRule(ports=("http",)))),
    ("source.ports", Rule(action="Allow", protocol="TCP", source=EntityRule(ports=("9:1",)))),
    ("source.ports", Rule(action="Allow", protocol="TCP", source=EntityRule(ports=("a b",)))),
    ("source.notPorts", Rule(action="Allow", protocol="TCP", source=EntityRule(not_ports=(-1,)))),
    ("destination.services", Rule(action="Allow", destination=EntityRule(services=ServiceMatch()))),
    ("http", Rule(action="Allow", http=HttpMatch(methods=("GET",)))),
]


@pytest.mark.parametrize(("field", "wrong"), WRONG, ids=[field for field, _ in WRONG])
@pytest.mark.parametrize(
    ("action", "instead"), [("Allow", 0), ("Log", 0), ("Deny", 1), ("Pass", 1)]
)
def test_what_cannot_be_lowered_fails_closed_and_names_the_field(field, wrong, action, instead):
    good = Rule(action="Allow", source=EntityRule(selector="has(good)"))
    bad = Rule(
        action=action,
        **{name: getattr(wrong, name) for name in wrong.__struct_fields__ if name != "action"},
    )
    lowered = lower_rules((good, bad, good), "shop", Direction.EGRESS)
    assert len(lowered.problems) == 1
    assert lowered.problems[0].startswith(f"spec.egress[1].{field}: ")
    assert lowered.rules[0] == lowered.rules[-1] == lower(good)
    assert lowered.rules[1:-1] == (program.Rule(Action.DENY),) * instead
    assert lowered.sets == lower_rules((good,), "shop", Direction.INGRESS).sets


def test_an_http_rule_of_ingress_is_carried_for_the_application_layer_and_said_to_allow_no_packet():
    match = HttpMatch(methods=("GET",))
    lowered = lower_rules((Rule(action="Allow", http=match),), "shop", Direction.INGRESS)
    assert [rule.http for rule in lowered.rules] == [match]
    assert lowered.problems[0].startswith("spec.ingress[0].http: ")


@pytest.mark.parametrize(("action", "left"), [("Deny", 1), ("Pass", 1), ("Log", 0)])
def test_requests_can_only_be_allowed(action, left):
    bad = Rule(action=action, http=HttpMatch(methods=("GET",)))
    lowered = lower_rules((bad,), "shop", Direction.INGRESS)
    assert lowered.rules == (program.Rule(program.Action.DENY),) * left
