"""What the BGP daemon says of itself to the cluster, for `tortie status`."""

from tortie.bgp.report import SessionReport
from tortie.bgp.service import BgpService
from tortie.reports.report import Report
from tortie.reports.reporting import Pace

COMPONENT = "bgp"
PACE = Pace(every=30.0, counts=90.0, look=10.0)
_UP = "Established"


async def report_of(service: BgpService, version: str, since: str) -> Report:
    """How it and its sessions are now. `since` is when it was started, as RFC 3339."""
    state = await service.state()
    down = [_told(one) for one in state.sessions if one.state != _UP]
    up = len(state.sessions) - len(down)
    return Report(
        node=service.cluster.node,
        component=COMPONENT,
        version=version,
        since=since,
        ready=state.bird is not None and not down,
        waiting_for=() if state.bird else (f"BIRD does not answer: {state.away}",),
        failures=(*down, *service.problems()),
        facts={"sessions": f"{up}/{len(state.sessions)}"},
    )


def _told(session: SessionReport) -> str:
    return f"the session to {session.peer} is not up: {session.reason or session.state}"
