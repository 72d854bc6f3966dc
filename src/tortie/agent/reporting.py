"""What the agent says of itself to the cluster, for `tortie status`."""

from tortie.agent.agent import Agent
from tortie.reports.report import Report
from tortie.reports.reporting import Pace

COMPONENT = "agent"


def report_of(agent: Agent, version: str, since: str) -> Report:
    """How it is now. `since` is when it was started, as RFC 3339."""
    failures = [f"{one.driver}: {one.subject}: {one.message}" for one in agent.failures]
    counts = agent.last_turn.counts
    return Report(
        node=agent.config.felix_hostname,
        component=COMPONENT,
        version=version,
        since=since,
        ready=agent.health.is_ready,
        waiting_for=tuple(agent.health.not_ready()),
        failures=(*failures, *agent.absent_policies()),
        warnings=tuple(agent.warnings),
        facts={"endpoints": counts.local_endpoints, "policies": counts.local_policies},
    )


def pace_of(agent: Agent) -> Pace:
    """How often, by ReportingIntervalSecs and ReportingTTLSecs."""
    config = agent.config
    return Pace(config.reporting_interval_secs, config.reporting_ttl_secs)
