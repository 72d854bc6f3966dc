"""One question's answer: every packet's verdict, for people and for machines."""

from typing import Any

from msgspec import Struct

from tortie.policy import Miss, RuleRef, Step, Verdict, explain
from tortie.policy.explain import decisions
from tortie.policy.program import EndpointId, PolicyId
from tortie.trace.cluster import Cluster
from tortie.trace.ends import end_named, end_or_service
from tortie.trace.questions import Port, verdicts


class Answer(Struct, frozen=True):
    """What becomes of a connection; to a service, of one to each of its backends."""

    source: str
    destination: str
    port: Port
    verdicts: tuple[Verdict, ...]

    @property
    def allowed(self) -> bool:
        """Whether all of them pass: a connection that passes only sometimes is broken."""
        return all(verdict.allowed for verdict in self.verdicts)


def ask(cluster: Cluster, source: str, destination: str, port: Port) -> Answer:
    """Whether `source` reaches `destination`. Raises UnknownEnd, NoQuestion."""
    here, there = end_named(cluster, source), end_or_service(cluster, destination)
    return Answer(str(here), str(there), port, verdicts(cluster, here, there, port))


def as_text(cluster: Cluster, answer: Answer) -> str:
    """For people, at most 80 columns wide. What is the same for IPv6 is said once."""
    result = "allowed" if answer.allowed else "denied"
    parts = [f"{answer.source} -> {answer.destination}, {answer.port}: {result}"]
    told: list[Verdict] = []
    for verdict in answer.verdicts:
        same = next((each for each in told if _alike(each, verdict)), None)
        if same is None:
            parts.append(cluster.in_words(explain(verdict), _ends(verdict)))
            told.append(verdict)
        else:
            parts.append(f"{verdict.packet}: {_word(verdict)}, likewise")
    return "\n\n".join(parts)


def because(cluster: Cluster, verdict: Verdict) -> list[str]:
    """A line for each side: what let the packet through, or stopped it."""
    return [cluster.in_words(text, _ends(verdict)) for text in decisions(verdict)]


def _alike(one: Verdict, other: Verdict) -> bool:
    return one.steps == other.steps and _ends(one) == _ends(other)


def _ends(verdict: Verdict) -> list[EndpointId]:
    packet = verdict.packet
    return [end for end in (packet.source_endpoint, packet.destination_endpoint) if end]


def _word(verdict: Verdict) -> str:
    return "allowed" if verdict.allowed else "denied"


def as_data(answer: Answer) -> dict[str, Any]:
    """For machines; names as in the API."""
    return {
        "from": answer.source,
        "to": answer.destination,
        "port": str(answer.port),
        "allowed": answer.allowed,
        "packets": [
            {
                "packet": str(verdict.packet),
                "allowed": verdict.allowed,
                "steps": [_step(step) for step in verdict.steps],
            }
            for verdict in answer.verdicts
        ],
    }


def _step(step: Step) -> dict[str, Any]:
    found: dict[str, Any] = {
        "direction": str(step.direction),
        "endpoint": step.endpoint._asdict(),
        "place": str(step.place),
        "stage": str(step.stage),
        "outcome": str(step.outcome),
    }
    found.update({key: text for key, text in (("name", step.name), ("why", step.reason)) if text})
    if step.matched is not None:
        found["rule"] = rule_data(step.matched)
    if step.logged:
        found["logged"] = [rule_data(rule) for rule in step.logged]
    if step.misses:
        found["notMatched"] = list(map(_miss, step.misses))
    return found


def rule_data(rule: RuleRef) -> dict[str, Any]:
    """A rule by its policy, or profile, and its place there."""
    if isinstance(rule.owner, PolicyId):
        policy = rule.owner
        owner = {"kind": policy.kind, "namespace": policy.namespace, "name": policy.name}
    else:
        owner = {"kind": "Profile", "name": rule.owner}
    return {**owner, "direction": str(rule.direction), "position": rule.position}


def _miss(miss: Miss) -> dict[str, Any]:
    return {**rule_data(miss.rule), "why": miss.why}
