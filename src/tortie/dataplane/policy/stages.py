"""The stages at which a host endpoint is asked, each in one direction. Pure."""

from collections.abc import Iterable, Mapping
from enum import Enum
from typing import NamedTuple

from tortie.dataplane.policy.families import Family
from tortie.dataplane.policy.names import Way
from tortie.net import Prefix
from tortie.policy.program import Failsafe, Failsafes, HostEndpoint, TierPolicies


class When(Enum):
    """How far a packet has come."""

    UNTRACKED = "before connection tracking"
    PRE_DNAT = "before destination NAT"
    FORWARD = "on its way through the node"
    NORMAL = "to or from the node itself"


class Stage(NamedTuple):
    """One stage; `way` is TO where packets come in by the host endpoint's interface."""

    when: When
    way: Way

    def tiers(self, host: HostEndpoint) -> tuple[TierPolicies, ...]:
        """What is asked there."""
        stages = {
            When.UNTRACKED: host.untracked,
            When.PRE_DNAT: host.pre_dnat,
            When.FORWARD: host.forward,
            When.NORMAL: host.normal,
        }
        asked = stages[self.when]
        return asked.ingress if self.way is Way.TO else asked.egress

    def failsafes(self, ports: Failsafes) -> tuple[Failsafe, ...]:
        """What passes whatever policy says, by the port it goes to."""
        return ports.inbound if self.way is Way.TO else ports.outbound

    def answers(self, ports: Failsafes) -> tuple[Failsafe, ...]:
        """What answers such packets of the other direction, by the port it comes from."""
        return ports.outbound if self.way is Way.TO else ports.inbound


def failsafe_ports(
    ports: Iterable[Failsafe], family: Family
) -> Mapping[tuple[int, Prefix | None], list[int]]:
    """The ports by protocol and net of the peer; None: any peer."""
    grouped: dict[tuple[int, Prefix | None], list[int]] = {}
    for one in ports:
        if one.net is None or one.net.version == family.version:
            net = one.net.network if one.net is not None and one.net.length else None
            grouped.setdefault((one.protocol, net), []).append(one.port)
    return grouped
