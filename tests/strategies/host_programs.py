"""Programs with host endpoints: of two links of the node, told in every way, at every stage."""

from collections.abc import Sequence

from hypothesis import strategies as st
from msgspec.structs import replace

from strategies.programs import OUTSIDE, POLICIES, PROFILES
from tortie.net import Prefix
from tortie.net.protocols import TCP, UDP
from tortie.policy import Program
from tortie.policy.program import (
    EVERY_INTERFACE,
    DefaultAction,
    EndpointId,
    Failsafe,
    Failsafes,
    HostEndpoint,
    TierPolicies,
    Tiers,
)

FAILSAFES = Failsafes(
    (Failsafe(TCP, 80), Failsafe(UDP, 443, OUTSIDE[0]), Failsafe(UDP, 443, OUTSIDE[1])),
    (Failsafe(UDP, 53), Failsafe(TCP, 8080, OUTSIDE[0]), Failsafe(TCP, 8080, OUTSIDE[1])),
)


@st.composite
def _tiers(draw: st.DrawFn, program: Program) -> tuple[TierPolicies, ...]:
    listed = []
    for name, action in (("first", draw(st.sampled_from(DefaultAction))), ("default", "Deny")):
        own = [one for one in POLICIES if program.policies[one].tier == name]
        chosen = draw(st.permutations(own))[: draw(st.integers(0, 2))]
        if chosen:
            listed.append(TierPolicies(name, DefaultAction(action), tuple(chosen)))
    return tuple(listed)


def _stage(program: Program) -> st.SearchStrategy[Tiers]:
    return st.just(Tiers()) | st.builds(Tiers, _tiers(program), _tiers(program))


@st.composite
def host_endpoints(
    draw: st.DrawFn, program: Program, links: Sequence[str], addresses: Sequence[Prefix]
) -> HostEndpoint:
    """One for a link, for what has one of the addresses, or for every link."""
    number = draw(st.integers(0, 9))
    interface = draw(st.sampled_from([*links, EVERY_INTERFACE, ""]))
    return HostEndpoint(
        EndpointId("HostEndpoint", "", f"hep-{number}"),
        interface,
        () if interface else (draw(st.sampled_from(addresses)),),
        draw(_stage(program)),
        Tiers(draw(_tiers(program)) if draw(st.booleans()) else ()),
        draw(_stage(program)),
        draw(_stage(program)),
        tuple(draw(st.lists(st.sampled_from(PROFILES), max_size=2, unique=True))),
    )


@st.composite
def with_host_endpoints(
    draw: st.DrawFn,
    programs: st.SearchStrategy[Program],
    links: Sequence[str],
    addresses: Sequence[Prefix],
) -> Program:
    """A program with one to three host endpoints, and failsafe ports among the usual ones."""
    program = draw(programs)
    hosts = draw(st.lists(host_endpoints(program, links, addresses), min_size=1, max_size=3))
    return replace(program, host_endpoints={one.id: one for one in hosts}, failsafes=FAILSAFES)
