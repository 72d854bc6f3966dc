"""A small cluster of three pods, one of which only friends may reach."""

from dataplane.packets import PacketLab, Sent
from dataplane.programming import FIXED
from strategies.programs import ENDPOINTS, HOSTS4, HOSTS6
from tortie.engine.delta import Delta, MemberChange, SetContents
from tortie.net import Prefix
from tortie.policy import Packet
from tortie.policy.program import (
    Action,
    DefaultAction,
    Endpoint,
    PeerMatch,
    Policy,
    PolicyId,
    Profile,
    Rule,
    SetKind,
    TierPolicies,
)

FRIENDS = "s:friends"
POLICY = PolicyId("NetworkPolicy", "shop", "friends-only")


def endpoint(number: int, *policies: PolicyId, profiles: tuple[str, ...] = ()) -> Endpoint:
    """pod-N on caliN."""
    tiers = (TierPolicies("default", DefaultAction.DENY, policies),) if policies else ()
    addresses = (HOSTS4[number], HOSTS6[number])
    return Endpoint(ENDPOINTS[number], f"cali{number}", addresses, tiers, tiers, profiles)


def nets(*members: Prefix) -> SetContents:
    """A set of prefixes."""
    return SetContents(SetKind.NET, frozenset(members))


def friends_only(*friends: Prefix) -> Delta:
    """pod-1 is reached by friends; everything else is open."""
    allow = (Rule(Action.ALLOW),)
    from_friends = (Rule(Action.ALLOW, source=PeerMatch(sets=(FRIENDS,))),)
    return Delta(
        sets={**FIXED, FRIENDS: nets(*friends)},
        policies={POLICY: Policy(POLICY, "default", from_friends, allow)},
        profiles={"open": Profile("open", allow, allow)},
        endpoints={
            one.id: one
            for one in (
                endpoint(0, profiles=("open",)),
                endpoint(1, POLICY),
                endpoint(2, profiles=("open",)),
            )
        },
    )


def members(*, added: tuple[Prefix, ...] = (), removed: tuple[Prefix, ...] = ()) -> Delta:
    """Friends come and go."""
    return Delta(members={FRIENDS: MemberChange(frozenset(added), frozenset(removed))})


def reaches(lab: PacketLab, source: int, destination: int, *, version: int = 4) -> bool:
    """Whether a first packet from one pod gets to another."""
    hosts = HOSTS4 if version == 4 else HOSTS6
    packet = Packet(
        version, hosts[source].address, hosts[destination].address, 17, 1000, 1000 + source
    )
    lab.forget_connections()
    return lab.deliver([Sent(f"cali{source}", packet)]) == [True]


def who_reaches_pod_1(lab: PacketLab) -> set[int]:
    """Of pods 0 and 2."""
    return {source for source in (0, 2) if reaches(lab, source, 1)}
