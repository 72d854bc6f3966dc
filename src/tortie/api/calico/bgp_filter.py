"""BGPFilter: which routes are taken from a peer or told to it, and what is changed in them."""

from typing import Annotated, Literal

from msgspec import Meta, field

from tortie.api import checks
from tortie.api.calico import API_VERSION
from tortie.api.calico.bgp_configuration import AsNumber
from tortie.api.fields import Atomic, Fields, RoutePriority, Unset, matching
from tortie.api.meta import Resource
from tortie.api.rules import Cel, Validators, given, inside, items, must, text

_16 = (
    r"([0-9]|[1-9][0-9]{1,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5])"
)
_32 = (
    r"([0-9]|[1-9][0-9]{1,8}|[1-3][0-9]{9}|4[0-1][0-9]{8}|42[0-8][0-9]{7}|429[0-3][0-9]{6}"
    r"|4294[0-8][0-9]{5}|42949[0-5][0-9]{4}|429496[0-6][0-9]{3}|4294967[0-1][0-9]{2}"
    r"|42949672[0-8][0-9]|429496729[0-5])"
)
CommunityValue = Annotated[str, matching(rf"^({_16}:{_16}|{_32}:{_32}:{_32})$", max_length=32)]
"""aa:nn with 16 bits each, or aa:nn:mm with 32 bits each."""


class AddCommunity(Atomic, frozen=True, kw_only=True):
    """Adds a community."""

    value: CommunityValue
    """The community: aa:nn (16 bits each) or aa:nn:mm (32 bits each)."""


class PrependASPath(Atomic, frozen=True, kw_only=True):
    """Puts AS numbers before the path."""

    prefix: Annotated[tuple[AsNumber, ...], Meta(min_length=1, max_length=10)]
    """The AS numbers, the first of them first in the path."""


class SetPriority(Atomic, frozen=True, kw_only=True):
    """Gives the route another priority in the kernel."""

    value: RoutePriority
    """The priority, 1 to 2147483646; lower comes first."""


_ONE_FIELD = {**Atomic.schema_extra, "minProperties": 1, "maxProperties": 1}


class FilterOperation(Atomic, frozen=True, kw_only=True):
    """One change to a route; exactly one of the fields is set."""

    schema_extra = _ONE_FIELD

    add_community: AddCommunity | None = None
    prepend_as_path: PrependASPath | None = None
    set_priority: SetPriority | None = None


class CommunityMatch(Atomic, frozen=True, kw_only=True):
    """Routes with this community."""

    values: Annotated[tuple[CommunityValue, ...], Meta(min_length=1, max_length=1)]
    """The community: aa:nn (16 bits each) or aa:nn:mm (32 bits each)."""


class PrefixLengthV4(Atomic, frozen=True, kw_only=True):
    """The shortest and the longest prefix."""

    min: Annotated[int, Meta(ge=0, le=32, extra_json_schema={"format": "int32"})] | None = None
    """The shortest, in bits. Absent: 0."""
    max: Annotated[int, Meta(ge=0, le=32, extra_json_schema={"format": "int32"})] | None = None
    """The longest, in bits. Absent: 32."""


class PrefixLengthV6(Atomic, frozen=True, kw_only=True):
    """The shortest and the longest prefix."""

    min: Annotated[int, Meta(ge=0, le=128, extra_json_schema={"format": "int32"})] | None = None
    """The shortest, in bits. Absent: 0."""
    max: Annotated[int, Meta(ge=0, le=128, extra_json_schema={"format": "int32"})] | None = None
    """The longest, in bits. Absent: 128."""


class FilterRule(Atomic, frozen=True, kw_only=True):
    """Which routes, and whether they pass. All that is given must hold."""

    action: Literal["Accept", "Reject"]
    """Whether the route passes."""
    source: Literal["RemotePeers"] | Unset = ""
    """Only routes learned from peers."""
    interface: Annotated[str, Meta(max_length=15)] = ""
    """Only routes through this interface; * stands for anything."""
    match_operator: Literal["Equal", "NotEqual", "In", "NotIn"] | Unset = ""
    """How `cidr` is compared."""
    peer_type: Literal["eBGP", "iBGP"] | Unset = field(default="", name="peerType")
    """Only with such peers."""
    communities: CommunityMatch | None = None
    """Only routes with this community."""
    as_path_prefix: tuple[AsNumber, ...] = ()
    """Only routes whose path begins with these AS numbers."""
    priority: RoutePriority | None = None
    """Only routes of this priority."""
    operations: Annotated[tuple[FilterOperation, ...], Meta(min_length=1, max_length=10)] = ()
    """Changes to the routes that are accepted."""


class FilterRuleV4(FilterRule, frozen=True, kw_only=True):
    """A rule for IPv4 routes."""

    cidr: Annotated[str, Meta(max_length=18, extra_json_schema={"format": "cidr"})] = ""
    """The routes that `match_operator` compares with."""
    prefix_length: PrefixLengthV4 | None = None
    """The lengths of their prefixes."""


class FilterRuleV6(FilterRule, frozen=True, kw_only=True):
    """A rule for IPv6 routes."""

    cidr: Annotated[str, Meta(max_length=43, extra_json_schema={"format": "cidr"})] = ""
    """The routes that `match_operator` compares with."""
    prefix_length: PrefixLengthV6 | None = None
    """The lengths of their prefixes."""


class BGPFilterSpec(Fields, frozen=True, kw_only=True):
    """Rules in order; what none matches passes."""

    export_v4: tuple[FilterRuleV4, ...] = ()
    """For IPv4 routes told to the peer."""
    import_v4: tuple[FilterRuleV4, ...] = ()
    """For IPv4 routes taken from it."""
    export_v6: tuple[FilterRuleV6, ...] = ()
    """For IPv6 routes told to the peer."""
    import_v6: tuple[FilterRuleV6, ...] = ()
    """For IPv6 routes taken from it."""


class BGPFilter(Resource, frozen=True, kw_only=True):
    """Which routes pass between a node and its peers."""

    api_version = API_VERSION
    kind = "BGPFilter"

    spec: BGPFilterSpec


def _in_order(length: PrefixLengthV4 | PrefixLengthV6) -> bool:
    return length.min is None or length.max is None or length.min <= length.max


LENGTH_RULES: Validators[PrefixLengthV4] = (must("max", "must not be below min", _in_order),)

OPERATION_RULES: Validators[FilterOperation] = (
    must(
        "",
        "exactly one of addCommunity, prependASPath and setPriority must be set",
        lambda o: [o.add_community, o.prepend_as_path, o.set_priority].count(None) == 2,
    ),
)

RULE_RULES: Validators[FilterRuleV4] = (
    must(
        "cidr",
        "cidr and matchOperator must both be set or both be empty",
        lambda r: bool(r.cidr) == bool(r.match_operator),
        cel=Cel(
            "(has(self.cidr) && size(self.cidr) > 0) == (has(self.matchOperator) && "
            "size(self.matchOperator) > 0)"
        ),
    ),
    must(
        "prefix_length",
        "cidr is required when prefixLength is set",
        lambda r: r.prefix_length is None or r.cidr,
        cel=Cel("!has(self.prefixLength) || (has(self.cidr) && size(self.cidr) > 0)"),
    ),
    given(
        "operations",
        must(
            "operations",
            "operations may only be used with action Accept",
            lambda r: r.action == "Accept",
            cel=Cel(
                "!has(self.operations) || size(self.operations) == 0 || self.action == 'Accept'",
                "",
            ),
        ),
        items("operations", OPERATION_RULES),
    ),
    text("interface", checks.interface_glob),
    inside("prefix_length", LENGTH_RULES),
)

V4_RULES = (*RULE_RULES, text("cidr", checks.cidr_of(4)))
V6_RULES = (*RULE_RULES, text("cidr", checks.cidr_of(6)))

RULES = (
    inside(
        "spec",
        (
            items("export_v4", V4_RULES),
            items("import_v4", V4_RULES),
            items("export_v6", V6_RULES),
            items("import_v6", V6_RULES),
        ),
    ),
)
