"""What people read."""

import msgspec

from tortie.net import parse_address, parse_network
from tortie.net.protocols import TCP
from tortie.policy import Packet, Program, evaluate, explain
from tortie.policy.program import (
    Action,
    DefaultAction,
    Endpoint,
    EndpointId,
    PeerMatch,
    Policy,
    PolicyId,
    Profile,
    Rule,
    TierPolicies,
)

WEB = EndpointId("WorkloadEndpoint", "shop", "web")
DB = EndpointId("WorkloadEndpoint", "shop", "db")
GUARD = PolicyId("GlobalNetworkPolicy", "", "guard")
ONLY_WEB = PolicyId("NetworkPolicy", "shop", "only-web")
PROGRAM = Program(
    endpoints={
        WEB: Endpoint(WEB, "cali1", (parse_network("10.0.0.1"),), profiles=("kns.shop",)),
        DB: Endpoint(
            DB,
            "cali2",
            (parse_network("10.0.0.2"),),
            ingress=(
                TierPolicies("security", DefaultAction.PASS, (GUARD,)),
                TierPolicies("default", DefaultAction.DENY, (ONLY_WEB,)),
            ),
        ),
    },
    policies={
        GUARD: Policy(GUARD, "security", (Rule(Action.LOG), Rule(Action.DENY, protocol=17))),
        ONLY_WEB: Policy(
            ONLY_WEB, "default", (Rule(Action.ALLOW, source=PeerMatch(sets=("s:x",))),)
        ),
    },
    profiles={"kns.shop": Profile("kns.shop", (Rule(Action.ALLOW),), (Rule(Action.ALLOW),))},
    sets={"s:x": frozenset()},
    titles={"s:x": 'what app == "web" selects'},
)
PACKET = Packet(
    version=4,
    source=parse_address("10.0.0.1")[1],
    destination=parse_address("10.0.0.2")[1],
    protocol=TCP,
    source_port=40000,
    destination_port=5432,
    source_endpoint=WEB,
    destination_endpoint=DB,
)


def test_a_denial_is_explained_stage_by_stage():
    assert (
        explain(evaluate(PROGRAM, PACKET))
        == """\
TCP 10.0.0.1:40000 -> 10.0.0.2:5432: denied

egress of shop/web
  profile kns.shop: Profile(kns.shop) egress[0] allows it

ingress of shop/db
  tier security: no rule matched, default action Pass
      GlobalNetworkPolicy(guard) ingress[0] logs it
      GlobalNetworkPolicy(guard) ingress[1] does not match: TCP is not UDP
  tier default: no rule matched, default action Deny
      NetworkPolicy(shop/only-web) ingress[0] does not match: source 10.0.0.1 is
        not in what app == "web" selects"""
    )


def test_long_lists_of_reasons_are_cut_short():
    many = Policy(GUARD, "security", tuple(Rule(Action.DENY, protocol=17) for _ in range(50)))
    program = msgspec.structs.replace(PROGRAM, policies={**PROGRAM.policies, GUARD: many})
    assert "… and 40 rules more" in explain(evaluate(program, PACKET))


def test_a_packet_between_strangers_is_said_to_be_nobodys_business():
    asked = msgspec.structs.replace(PACKET, source_endpoint=None, destination_endpoint=None)
    assert "neither end is an endpoint here" in explain(evaluate(PROGRAM, asked))
