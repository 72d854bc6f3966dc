"""The policy program: tiers, policies, rules and sets as data, and what it says of a packet.

What comes in: one program, lowered once by the engine. What goes out: a verdict with its reason,
from the reference evaluator. Every dataplane renders this same program, and every test of a
dataplane compares against this evaluator. It never performs I/O.
"""

from tortie.policy.evaluate import evaluate
from tortie.policy.explain import explain
from tortie.policy.packet import Packet, Path, Program, ToHost, host_endpoint_of
from tortie.policy.verdict import Direction, Miss, Outcome, Place, RuleRef, Stage, Step, Verdict

__all__ = [
    "Direction",
    "Miss",
    "Outcome",
    "Packet",
    "Path",
    "Place",
    "Program",
    "RuleRef",
    "Stage",
    "Step",
    "ToHost",
    "Verdict",
    "evaluate",
    "explain",
    "host_endpoint_of",
]
