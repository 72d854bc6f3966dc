"""From one program to another as a delta, and packets as they look in the lab."""

from collections.abc import Iterable, Iterator, Mapping
from itertools import permutations, product
from typing import TypeVar

from msgspec.structs import replace

from dataplane.packets import UPLINK, Sent
from strategies.loose_programs import UNKNOWN_PROTOCOL
from strategies.programs import ENDPOINTS, HOSTS4, HOSTS6, OUTSIDE, PORTS
from tortie.engine.delta import ALL_HOSTS, ALL_POOLS, MASQ_POOLS, Delta, MemberChange, SetContents
from tortie.net import Prefix
from tortie.net.protocols import ICMP, ICMPV6, SCTP, TCP, UDP
from tortie.policy import Packet, Program
from tortie.policy.program import EndpointId, SetId, SetKind

K = TypeVar("K")
V = TypeVar("V")
FIXED = {name: SetContents(SetKind.NET, frozenset()) for name in (MASQ_POOLS, ALL_POOLS, ALL_HOSTS)}
WORKLOADS = {f"cali{n}": [HOSTS4[n], HOSTS6[n]] for n in range(4)}
_OWNERS = {(one.version, one.address): n for n in range(4) for one in (HOSTS4[n], HOSTS6[n])}


def kind_of(name: SetId) -> SetKind:
    """Sets of the strategies tell their kind by their id."""
    return SetKind.IP_PORT if name.startswith("n:") else SetKind.NET


def whole(program: Program) -> Delta:
    """The delta from nothing."""
    return between(Program(), program)


def between(old: Program, new: Program) -> Delta:
    """What an engine would say when one program becomes another."""
    fresh = {
        name: SetContents(kind_of(name), frozenset(members))
        for name, members in new.sets.items()
        if name not in old.sets
    }
    changes = {
        name: MemberChange(frozenset(members - old.sets[name]), frozenset(old.sets[name] - members))
        for name, members in new.sets.items()
        if name in old.sets and members != old.sets[name]
    }
    return Delta(
        sets=fresh if old.sets else {**FIXED, **fresh},
        members=changes,
        sets_removed=_gone(old.sets, new.sets),
        policies=_changed(old.policies, new.policies),
        policies_removed=_gone(old.policies, new.policies),
        profiles=_changed(old.profiles, new.profiles),
        profiles_removed=_gone(old.profiles, new.profiles),
        endpoints=_changed(old.endpoints, new.endpoints),
        endpoints_removed=_gone(old.endpoints, new.endpoints),
        host_endpoints=_changed(old.host_endpoints, new.host_endpoints),
        host_endpoints_removed=_gone(old.host_endpoints, new.host_endpoints),
    )


def _changed(old: Mapping[K, V], new: Mapping[K, V]) -> dict[K, V]:
    return {name: value for name, value in new.items() if old.get(name) != value}


def _gone(old: Mapping[K, V], new: Mapping[K, V]) -> frozenset[K]:
    return frozenset(old.keys() - new.keys())


def every_packet() -> Iterator[Packet]:
    """First packets between all workloads and the outside, of every protocol, on several ports.

    Each is another connection: a packet that is another's way back is left out.
    """
    return without_ways_back(_all_packets())


def without_ways_back(packets: Iterable[Packet]) -> Iterator[Packet]:
    """Those that are no answer to an earlier one: each is the first of its connection."""
    taken: set[tuple[int | None, ...]] = set()
    for packet in packets:
        ports = (packet.source_port, packet.destination_port)
        taken.add((packet.protocol, packet.source, packet.destination, *ports))
        back = (packet.protocol, packet.destination, packet.source, *reversed(ports))
        if packet.icmp_type is not None or back not in taken:
            yield packet


def _all_packets() -> Iterator[Packet]:
    for hosts, outside in ((HOSTS4[:4], OUTSIDE[0]), (HOSTS6[:4], OUTSIDE[1])):
        for source, destination in permutations((*hosts, outside), 2):
            yield from _between(source, destination)


def _between(source: Prefix, destination: Prefix) -> Iterator[Packet]:
    asker = Packet(
        version=source.version,
        source=source.address,
        destination=destination.address,
        protocol=UNKNOWN_PROTOCOL,
        source_endpoint=_owner(source.version, source.address),
        destination_endpoint=_owner(destination.version, destination.address),
    )
    yield asker
    # Of ICMP only an echo request begins a connection.
    protocol, echo = (ICMP, 8) if source.version == 4 else (ICMPV6, 128)
    for code in (0, 1):
        yield replace(asker, protocol=protocol, icmp_type=echo, icmp_code=code)
    for one, there in product((TCP, UDP, SCTP), PORTS):
        here = PORTS[(there + one + source.address) % len(PORTS)]
        yield replace(asker, protocol=one, source_port=here, destination_port=there)


def _owner(version: int, address: int) -> EndpointId | None:
    number = _OWNERS.get((version, address))
    return None if number is None else ENDPOINTS[number]


def sent(packet: Packet) -> Sent:
    """By which link the packet enters the node."""
    number = _OWNERS.get((packet.version, packet.source))
    return Sent(UPLINK if number is None else f"cali{number}", packet)
