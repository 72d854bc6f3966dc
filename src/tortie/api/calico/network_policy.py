"""NetworkPolicy: rules for the endpoints of one namespace."""

from tortie.api.calico import API_VERSION
from tortie.api.calico.rule import (
    Direction,
    Directions,
    PerformanceHints,
    Rules,
    directions_of,
)
from tortie.api.fields import Fields, SelectorText
from tortie.api.meta import Resource


class NetworkPolicySpec(Fields, frozen=True, kw_only=True):
    """To which endpoints of the namespace it applies, when, and its rules."""

    tier: str = "default"
    """The tier that the policy is part of."""
    order: float | None = None
    """Lower comes first within the tier; absent: last. Ties go by name."""
    ingress: Rules = ()
    """The rules for packets to the endpoints, asked in order."""
    egress: Rules = ()
    """The rules for packets from the endpoints, asked in order."""
    selector: SelectorText = ""
    """The labels of the endpoints it applies to. Absent: all of the namespace."""
    types: Directions = ()
    """The directions it applies to; absent: what the rules imply (see `directions`)."""
    service_account_selector: SelectorText = ""
    """Only endpoints whose service account has these labels."""
    performance_hints: PerformanceHints = ()
    """AssumeNeededOnEveryNode: program it even where no endpoint needs it yet."""

    @property
    def directions(self) -> tuple[Direction, ...]:
        """`types`, with its default worked out."""
        return directions_of(self.types, self.ingress, self.egress)


class NetworkPolicy(Resource, frozen=True, kw_only=True):
    """Rules for the endpoints of one namespace."""

    api_version = API_VERSION
    kind = "NetworkPolicy"

    spec: NetworkPolicySpec
