"""What is wrong in a cluster, where, and what to do, from its resources and reports. Pure."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Literal, NamedTuple

from tortie.api import Node
from tortie.reports.report import Report

State = Literal["ready", "not ready", "silent", "unheard"]
AGENT, BGP = "agent", "bgp"


class Finding(NamedTuple):
    """Something to be seen to. `where` is a node or an object; `advice` says what to do."""

    where: str
    what: str
    advice: str = ""


class NodeState(NamedTuple):
    """One node's line."""

    name: str
    address: str
    agent: State
    version: str = ""
    since: str = ""
    endpoints: int | None = None
    policies: int | None = None
    bgp: str = ""


class Cluster(NamedTuple):
    """Every node, by name, and what is wrong."""

    nodes: tuple[NodeState, ...]
    findings: tuple[Finding, ...]


def cluster_of(nodes: Sequence[Node], reports: Sequence[Report], now: datetime) -> Cluster:
    """How the nodes are, by what they said last."""
    by_place = {(one.node, one.component): one for one in reports}
    states, findings = [], list(_strangers(nodes, reports))
    for node in sorted(nodes, key=lambda one: one.metadata.name):
        name = node.metadata.name
        agent, bgp = by_place.get((name, AGENT)), by_place.get((name, BGP))
        states.append(_state(node, agent, bgp, now))
        findings += [*_of_node(node), *_of_agent(name, agent, now), *_of_bgp(name, bgp, now)]
    findings += _versions(states)
    return Cluster(tuple(states), tuple(findings))


def _state(node: Node, agent: Report | None, bgp: Report | None, now: datetime) -> NodeState:
    name = node.metadata.name
    line = NodeState(name, _address(node), _word(agent, now), bgp=_sessions(bgp, now))
    if agent is None:
        return line
    return line._replace(
        version=agent.version,
        since=agent.since,
        endpoints=_number(agent, "endpoints"),
        policies=_number(agent, "policies"),
    )


def _word(report: Report | None, now: datetime) -> State:
    if report is None:
        return "unheard"
    if report.is_silent(now):
        return "silent"
    return "ready" if report.ready else "not ready"


def _sessions(report: Report | None, now: datetime) -> str:
    if report is None:
        return ""
    return "silent" if report.is_silent(now) else str(report.facts.get("sessions", ""))


def _number(report: Report, fact: str) -> int | None:
    found = report.facts.get(fact)
    return found if isinstance(found, int) else None


def _address(node: Node) -> str:
    bgp = node.spec.bgp
    found = (bgp.ipv4_address or bgp.ipv6_address or "") if bgp else ""
    return found.split("/")[0]


def _of_node(node: Node) -> Iterable[Finding]:
    if not _address(node):
        yield Finding(
            node.metadata.name,
            "its Node has no address: other nodes have no way to its workloads",
            "`tortie node autodetect` there says why none was found",
        )


def _of_agent(name: str, report: Report | None, now: datetime) -> Iterable[Finding]:
    if report is None:
        yield Finding(
            name,
            "its agent has never reported",
            "start `tortie agent` there (reportingInterval 0 switches reports off)",
        )
    elif report.is_silent(now):
        yield Finding(
            name,
            f"no sign of life of its agent since {report.at}: what it programmed stays in force",
            "see whether it runs there, and what its log says",
        )
    else:
        yield from (Finding(name, f"not ready: {line}") for line in report.waiting_for)
        yield from (
            Finding(name, line, "its last good state is in force there; the agent tries again")
            for line in report.failures
        )


def _of_bgp(name: str, report: Report | None, now: datetime) -> Iterable[Finding]:
    if report is None:
        return
    if report.is_silent(now):
        yield Finding(
            name,
            f"no sign of life of its BGP since {report.at}",
            "see whether `tortie bgp` runs there, and what its log says",
        )
        return
    for line in (*report.waiting_for, *report.failures):
        yield Finding(name, f"BGP: {line}", "`tortie node status` there says more")


def _strangers(nodes: Sequence[Node], reports: Sequence[Report]) -> Iterable[Finding]:
    known = {one.metadata.name for one in nodes}
    for report in reports:
        if report.component == AGENT and report.node not in known:
            yield Finding(
                report.node,
                "an agent reports, but there is no Node of this name",
                "its name (--node, FELIX_FELIXHOSTNAME) must be the one that was registered",
            )


def _versions(states: Sequence[NodeState]) -> list[Finding]:
    running = {one.version for one in states if one.version and one.agent != "silent"}
    if len(running) < 2:
        return []
    newest = max(running, key=_order)
    old = [one.name for one in states if one.version and one.version != newest]
    return [
        Finding(
            "cluster",
            f"agents of {len(running)} versions run: {', '.join(sorted(running, key=_order))}",
            f"finish the upgrade on {_some(old)}",
        )
    ]


def _order(version: str) -> tuple[tuple[int, str], ...]:
    """Numbers as numbers, so that 0.10 comes after 0.9."""
    parts = version.split(".")
    return tuple((int(part) if part.isdecimal() else -1, part) for part in parts)


def _some(names: Sequence[str]) -> str:
    shown = ", ".join(names[:5])
    return f"{shown} and {len(names) - 5} more" if len(names) > 5 else shown
