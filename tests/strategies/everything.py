"""Programs that use all that a policy program can say, and the packets that try them, from a seed.

The strategies of `programs` and `loose_programs` keep to a small world. Here are all ICMP types and
codes, every protocol with a name and one without, lists of ports beyond what one iptables rule
holds, nets and sets and their exclusions at once, sources that a workload may use beside its own,
and host endpoints of every kind. A plain random generator makes them: a program is too large for
hypothesis, which would leave out the largest; `dataplane.proof.shrinking` makes them small.

`aimed` makes packets for a program: what its rules just match or just don't, and some at random.
"""

import random
from collections.abc import Iterator, Sequence
from typing import NamedTuple, TypeVar

from msgspec.structs import replace

from strategies.loose_programs import UNKNOWN_PROTOCOL
from strategies.programs import (
    ENDPOINTS,
    HOSTS4,
    HOSTS6,
    NET_SETS,
    NETS4,
    NETS6,
    OUTSIDE,
    POLICIES,
    PORT_SETS,
    PORTS,
    PROFILES,
)
from tortie.net import PortRange, Prefix
from tortie.net.addresses import WIDTH
from tortie.net.protocols import ICMP, ICMPV6, SCTP, TCP, UDP, UDPLITE
from tortie.policy import Packet, Path, Program
from tortie.policy.matching import why_not
from tortie.policy.program import (
    EVERY_INTERFACE,
    Action,
    DefaultAction,
    Endpoint,
    EndpointId,
    HostEndpoint,
    HttpMatch,
    IcmpMatch,
    IPPort,
    Member,
    PeerMatch,
    Policy,
    PolicyId,
    Profile,
    Rule,
    TierPolicies,
    Tiers,
)

T = TypeVar("T")
PROTOCOLS = [TCP, UDP, SCTP, UDPLITE, ICMP, ICMPV6, UNKNOWN_PROTOCOL]
_WITH_PORTS = (TCP, UDP, SCTP)
_ODD_PORTS = [0, 1, 65535, 1024, 32768]
_OPEN = ENDPOINTS[3]  # with `with_open_peer` the other end decides
_TRIES = 4
_ICMP_TYPES = {4: (0, 3, 5, 8, 11, 12, 13, 17, 254), 6: (1, 3, 4, 128, 129, 133, 136, 139, 255)}
_ACTIONS = [*[Action.ALLOW] * 4, *[Action.DENY] * 2, Action.PASS, Action.LOG]
_NETS = [*NETS4, *NETS6, *HOSTS4[:5], *HOSTS6, *OUTSIDE]


class Links(NamedTuple):
    """What host endpoints may be of: names of links, and addresses that links have."""

    names: Sequence[str]
    addresses: Sequence[Prefix]


def program_of(seed: int, links: Links) -> Program:
    """A whole program, the same for the same seed; half of them have host endpoints."""
    return _Maker(random.Random(seed), links).program()


class _Maker:
    def __init__(self, chance: random.Random, links: Links) -> None:
        self._chance, self._links = chance, links
        self._tier_of = {name: chance.choice(("first", "default")) for name in POLICIES}
        self._pool = [self._rule() for _ in range(chance.randint(3, 9))]
        self._actions = {"first": chance.choice(list(DefaultAction)), "default": DefaultAction.DENY}

    def program(self) -> Program:
        hosts = [self._host(n) for n in range(self._chance.choice((0, 0, 0, 1, 2, 3)))]
        return Program(
            endpoints={ENDPOINTS[n]: self._workload(n) for n in range(self._chance.randint(1, 4))},
            policies={
                name: Policy(name, tier, self._rules(), self._rules())
                for name, tier in self._tier_of.items()
            },
            profiles={name: Profile(name, self._rules(), self._rules()) for name in PROFILES},
            sets={
                "s:empty": frozenset(),
                **{name: self._net_members() for name in NET_SETS[:2]},
                **{name: self._port_members() for name in PORT_SETS},
            },
            host_endpoints={one.id: one for one in hosts},
        )

    def _some(self, items: Sequence[T], least: int, most: int) -> tuple[T, ...]:
        return tuple(self._chance.sample(items, self._chance.randint(least, most)))

    def _rarely(self) -> bool:
        return self._chance.random() < 0.2

    # ---- endpoints

    def _workload(self, number: int) -> Endpoint:
        return Endpoint(
            ENDPOINTS[number],
            f"cali{number}",
            (HOSTS4[number], *([HOSTS6[number]] if self._chance.random() < 0.8 else ())),
            self._tiers(),
            self._tiers(),
            self._some(PROFILES, 0, 3),
            self._some([*NETS4[:2], *NETS6[:2], *OUTSIDE], 1, 2) if self._rarely() else (),
        )

    def _host(self, number: int) -> HostEndpoint:
        interface = self._chance.choice((*self._links.names, EVERY_INTERFACE, ""))
        return HostEndpoint(
            EndpointId("HostEndpoint", "", f"hep-{number}"),
            interface,
            () if interface else (self._chance.choice(self._links.addresses),),
            self._stage(),
            Tiers(self._tiers() if self._chance.random() < 0.4 else ()),
            self._stage(),
            self._stage(),
            self._some(PROFILES, 0, 2),
        )

    def _stage(self) -> Tiers:
        return Tiers(self._tiers(), self._tiers()) if self._chance.random() < 0.4 else Tiers()

    def _tiers(self) -> tuple[TierPolicies, ...]:
        """None at all, quite often, so that profiles have a say."""
        found = []
        for tier in () if self._chance.random() < 0.3 else ("first", "default"):
            own: list[PolicyId] = [one for one in POLICIES if self._tier_of[one] == tier]
            chosen = self._some(own, 0, min(3, len(own)))
            if chosen:
                found.append(TierPolicies(tier, self._actions[tier], chosen))
        return tuple(found)

    # ---- rules and sets

    def _rules(self) -> tuple[Rule, ...]:
        return tuple(self._chance.choices(self._pool, k=self._chance.choice((0, 1, 1, 2, 3, 4))))

    def _rule(self) -> Rule:
        action = self._chance.choice(_ACTIONS)
        kind = self._chance.random()
        if kind < 0.2:  # what most packets match brings out the order of rules, policies, tiers
            return Rule(action, protocol=self._chance.choice((None, TCP, UDP)))
        conditions = 1 if kind < 0.6 else 3
        header = self._header(conditions)
        return Rule(
            action,
            **header,
            source=self._peer(self._chance.randint(0, conditions)),
            destination=self._peer(self._chance.randint(0 if header else 1, conditions)),
            http=HttpMatch(methods=("GET",)) if self._chance.random() < 0.03 else None,
        )

    def _header(self, conditions: int) -> dict[str, object]:
        makers = {
            "ip_version": lambda: self._chance.choice((4, 6)),
            "protocol": lambda: self._chance.choice([*PROTOCOLS, TCP, UDP, SCTP]),
            "not_protocol": lambda: self._chance.choice(PROTOCOLS),
            "icmp": self._icmp,
            "not_icmp": self._icmp,
        }
        return {name: makers[name]() for name in self._some(sorted(makers), 0, conditions - 1 or 1)}

    def _icmp(self) -> IcmpMatch:
        usual = self._chance.choice((0, 3, 8, 8, 13, 128, 128, 136))
        kind = self._chance.randint(0, 254) if self._rarely() else usual
        return IcmpMatch(kind, self._chance.choice((None, None, 0, 1, 255)))

    def _peer(self, conditions: int) -> PeerMatch:
        makers = {
            "nets": lambda: self._some(_NETS, 1, 4),
            "sets": lambda: self._some(NET_SETS, 1, 1),
            "ports": self._ports,
            "port_sets": lambda: self._some(PORT_SETS, 1, 2),
            "services": lambda: self._some(PORT_SETS, 1, 1),
            "not_nets": lambda: self._some(_NETS, 1, 3),
            "not_sets": lambda: self._some(NET_SETS, 1, 2),
            "not_ports": self._ports,
            "not_port_sets": lambda: self._some(PORT_SETS, 1, 2),
        }
        return PeerMatch(
            **{name: makers[name]() for name in self._some(sorted(makers), 0, conditions)}
        )

    def _ports(self) -> tuple[PortRange, ...]:
        if self._chance.random() < 0.4:
            return tuple(
                PortRange(n * 7 + 53, n * 7 + 53 + n % 2)
                for n in range(self._chance.randint(16, 40))
            )
        firsts = self._some([*PORTS, *_ODD_PORTS, self._chance.randint(0, 65535)], 1, 3)
        more = self._chance.choice((0, 0, 0, 1, 1000))
        return tuple(PortRange(first, min(first + more, 65535)) for first in firsts)

    def _net_members(self) -> frozenset[Member]:
        return frozenset(self._some([*HOSTS4, *HOSTS6, *OUTSIDE, *NETS4[:3], *NETS6], 1, 8))

    def _port_members(self) -> frozenset[Member]:
        ends = self._some([*HOSTS4, *HOSTS6, *OUTSIDE], 1, 8)
        return frozenset(
            IPPort(one.version, one.address, protocol, port)
            for one in ends
            for protocol in self._some(_WITH_PORTS, 1, 2)
            for port in self._some(PORTS, 1, 2)
        )


# ---- packets


class Ground(NamedTuple):
    """Where packets may begin and end: addresses of the node itself, and those beyond its links."""

    node: tuple[Prefix, ...]
    beyond: tuple[Prefix, ...]


def aimed(program: Program, ground: Ground, number: int, seed: int) -> list[Packet]:
    """At most `number` packets, the same for the same arguments; most aim at a rule that is asked.

    Of several tries for a rule one is taken that it matches, or that only an exclusion keeps out.
    """
    return list(_Aim(program, ground, random.Random(seed)).packets(number))


class _Target(NamedTuple):
    """A rule, and at which workload's end it is asked (None: at a host endpoint's)."""

    rule: Rule
    workload: EndpointId | None
    is_ingress: bool


class _Aim:
    """Chooses packets for the rules that endpoints ask."""

    def __init__(self, program: Program, ground: Ground, chance: random.Random) -> None:
        self._program, self._ground, self._chance = program, ground, chance
        self._targets = list(_targets(program)) or [_Target(Rule(Action.ALLOW), None, True)]

    def packets(self, number: int) -> Iterator[Packet]:
        for turn in range(number):
            target = self._chance.choice(self._targets)
            if turn % 8 == 0:
                target = _Target(Rule(Action.ALLOW), None, True)
            tries = filter(None, (self._packet(target) for _ in range(_TRIES)))
            found = {self._worth(target.rule, one): one for one in tries}
            if found:
                yield found[max(found)]

    def _worth(self, rule: Rule, packet: Packet) -> float:
        """What just fails or just matches tells more than what is far away."""
        why = why_not(rule, packet, self._program)
        if why is None:
            return 0.4 + self._chance.random()
        return self._chance.random() + (0.4 if why.endswith("excluded") or "in excl" in why else 0)

    def _packet(self, target: _Target) -> Packet | None:
        rule = target.rule
        version = rule.ip_version or self._chance.choice((4, 6))
        path = self._path(target)
        source = self._source(path, version, target)
        destination = self._destination(path, version, target)
        if source[0] == destination[0]:
            return None
        packet = Packet(
            version,
            source[0],
            destination[0],
            self._protocol(rule, version),
            source_endpoint=source[1],
            destination_endpoint=destination[1],
            path=path,
        )
        return self._finished(packet, rule)

    def _path(self, target: _Target) -> Path:
        if target.workload is None:
            return self._chance.choice((Path.FORWARD, Path.FORWARD, Path.TO_HOST, Path.FROM_HOST))
        to_host = Path.FORWARD if target.is_ingress else Path.TO_HOST
        return self._chance.choice((*[Path.FORWARD] * 7, to_host))

    def _finished(self, packet: Packet, rule: Rule) -> Packet:
        if packet.is_icmp:
            kind, code = self._icmp(rule, packet.version)
            return replace(packet, icmp_type=kind, icmp_code=code)
        if packet.protocol not in _WITH_PORTS:
            return packet
        return replace(
            packet,
            source_port=self._port(rule.source, packet),
            destination_port=self._port(rule.destination, packet),
        )

    def _source(self, path: Path, version: int, target: _Target) -> tuple[int, EndpointId | None]:
        match = target.rule.source
        if path is Path.FROM_HOST:
            return self._own(version), None
        name = self._chance.choice((None, None, *ENDPOINTS[:3], _OPEN, _OPEN))
        if target.workload is not None and not target.is_ingress:
            name = target.workload
        if name is None:
            return self._wanted(version, match, self._beyond(version)), None
        own = _address(version, name)
        strange = self._wanted(version, match, [own]) if self._chance.random() < 0.1 else own
        return strange, name

    def _destination(
        self, path: Path, version: int, target: _Target
    ) -> tuple[int, EndpointId | None]:
        match = target.rule.destination
        if path is Path.TO_HOST:
            return self._own(version), None
        # What no workload is programmed for has no route from the node itself either.
        known = [one for one in ENDPOINTS if one in self._program.endpoints]
        name = self._chance.choice((None, None, *(ENDPOINTS if path is Path.FORWARD else known)))
        if target.workload is not None and target.is_ingress:
            name = target.workload
        if name is None:
            return self._wanted(version, match, self._beyond(version)), None
        return _address(version, name), name

    def _own(self, version: int) -> int:
        return self._chance.choice([n for n in self._ground.node if n.version == version]).address

    def _beyond(self, version: int) -> list[int]:
        return [one.address for one in self._ground.beyond if one.version == version]

    def _wanted(self, version: int, match: PeerMatch, others: list[int]) -> int:
        """An address at an edge of what is asked for, or beside it; no node's, no workload's."""
        members = [
            Prefix.single(one.version, one.address) if isinstance(one, IPPort) else one
            for name in (*match.sets, *match.not_sets, *match.port_sets, *match.services)
            for one in sorted(self._program.sets[name], key=repr)
        ]
        nets = [one for one in (*match.nets, *match.not_nets, *members) if one.version == version]
        edges = [edge for net in nets for edge in _edges(net) if self._is_free(version, edge)]
        return self._chance.choice([*edges, *others])

    def _is_free(self, version: int, address: int) -> bool:
        taken = (HOSTS4 if version == 4 else HOSTS6)[:4] + list(self._ground.node)
        return Prefix.single(version, address) not in taken and _is_unicast(version, address)

    def _protocol(self, rule: Rule, version: int) -> int:
        if rule.icmp is not None and rule.protocol is None:
            return ICMP if version == 4 else ICMPV6
        if rule.protocol is not None and self._chance.random() < 0.9:
            return rule.protocol
        return self._chance.choice([*PROTOCOLS, TCP, UDP])

    def _icmp(self, rule: Rule, version: int) -> tuple[int, int]:
        asked = [one for one in (rule.icmp, rule.not_icmp) if one is not None]
        kinds = [one.type + more for one in asked for more in (0, 0, 1)]
        codes = [one.code + more for one in asked if one.code is not None for more in (0, 0, 1)]
        kind = self._chance.choice(kinds or _ICMP_TYPES[version])
        return kind % 256, self._chance.choice([*(codes or [0]), 0, 1]) % 256

    def _port(self, match: PeerMatch, packet: Packet) -> int:
        ranges = (*match.ports, *match.not_ports)
        listed = [
            one.port
            for name in (*match.port_sets, *match.not_port_sets, *match.services)
            for one in sorted(self._program.sets[name], key=repr)
            if isinstance(one, IPPort) and one.protocol == packet.protocol
        ]
        some = self._chance.sample(ranges, min(len(ranges), 6))
        edges = [n for one in some for n in (one.first, one.last, one.first - 1, one.last + 1)]
        return self._chance.choice([*edges, *listed, *PORTS[:2], 20000]) % 65536


def _targets(program: Program) -> Iterator[_Target]:
    """Every rule that some endpoint asks, with where."""
    for name, end in program.endpoints.items():
        for is_ingress, tiers in ((True, end.ingress), (False, end.egress)):
            for rule in _asked(program, tiers, end.profiles, is_ingress):
                yield _Target(rule, name, is_ingress)
    for host in program.host_endpoints.values():
        for stage in (host.untracked, host.pre_dnat, host.forward, host.normal):
            for is_ingress, tiers in ((True, stage.ingress), (False, stage.egress)):
                for rule in _asked(program, tiers, host.profiles, is_ingress):
                    yield _Target(rule, None, is_ingress)


def _asked(
    program: Program, tiers: Sequence[TierPolicies], profiles: Sequence[str], is_ingress: bool
) -> Iterator[Rule]:
    lists: list[Policy | Profile] = [
        program.policies[name] for tier in tiers for name in tier.policies
    ]
    lists += [program.profiles[name] for name in profiles]
    for one in lists:
        yield from one.ingress if is_ingress else one.egress


def _address(version: int, name: EndpointId) -> int:
    return (HOSTS4 if version == 4 else HOSTS6)[ENDPOINTS.index(name)].address


def _edges(net: Prefix) -> tuple[int, ...]:
    size = 1 << WIDTH[net.version] - net.length
    return tuple(
        one
        for one in (net.address - 1, net.address, net.address + size - 1, net.address + size)
        if 0 <= one < 1 << WIDTH[net.version]
    )


def _is_unicast(version: int, address: int) -> bool:
    """What a router passes on, from and to anywhere."""
    if version == 4:
        first = address >> 24
        return 1 <= first < 224 and first not in (127, 169)
    return address >> 125 == 0b001 or address >> 121 == 0b1111110
