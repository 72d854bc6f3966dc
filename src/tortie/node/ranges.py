"""Default pools: where they are to be, so that they clash with nothing. Pure.

What the operator named counts; then what kubeadm told the cluster to use for pods; then a private
range that neither the machine, nor other nodes, nor services have. A range that is taken by chance
cuts the node off from whatever has it too, and nobody sees why.
"""

import secrets
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from tortie.net import Prefix, parse_network, parse_prefix

# 192.168.0.0/16 first, as ever; then what is left of RFC 1918.
_CANDIDATES4 = (
    "192.168.0.0/16",
    *(f"172.{second}.0.0/16" for second in range(16, 32)),
    *(f"10.{second}.0.0/16" for second in range(256)),
)
_ULA_LENGTH, _ULA_RANDOM = 48, 40  # bits: RFC 4193 wants the 40 after fd to be random
_ATTEMPTS = 8
_SUCH = {4: "10.65.0.0/16", 6: "fd00:65::/48"}


class Taken(NamedTuple):
    """A range that is somebody's, and whose, for people."""

    network: Prefix
    whose: str


class NoRange(Exception):
    """Every private range clashes with something; the message says what to do."""


class Chosen(NamedTuple):
    """A pool's range, why it is that one, and a line for each range that it lies across."""

    network: Prefix
    reason: str
    clashes: tuple[str, ...] = ()


def choose(
    version: int,
    named: str,
    kubeadm: Sequence[Prefix],
    taken: Sequence[Taken],
    draw: Callable[[int], int] = secrets.randbits,
) -> Chosen:
    """The range of the default pool of an IP version. `named` is the operator's, `kubeadm` its
    podSubnet.

    Raises ValueError for a name that is no range of this version, NoRange.
    """
    if named:
        return _told(named_range(named, version), f"CALICO_IPV{version}POOL_CIDR says so", taken)
    for one in kubeadm:
        if one.version == version:
            return _told(one, "it is kubeadm's podSubnet", taken)
    passed: list[Taken] = []
    for candidate in _candidates(version, draw):
        clash = next((one for one in taken if overlap(candidate, one.network)), None)
        if clash is None:
            return Chosen(candidate, _free(passed))
        passed.append(clash)
    raise NoRange(
        f"every private IPv{version} range lies across one that is in use (the last:"
        f" {passed[-1].network}, {passed[-1].whose}): name one for pods in"
        f" CALICO_IPV{version}POOL_CIDR"
    )


def named_range(text: str, version: int) -> Prefix:
    """What CALICO_IPV4POOL_CIDR or CALICO_IPV6POOL_CIDR says. Raises ValueError."""
    variable = f"CALICO_IPV{version}POOL_CIDR"
    try:
        found = parse_prefix(text.strip())
    except ValueError as problem:
        raise ValueError(f"{variable}: {problem}") from None
    if found.version != version or "/" not in text:
        raise ValueError(f"{variable}: {text!r} is no IPv{version} range such as {_SUCH[version]}")
    if found != found.network:
        raise ValueError(f"{variable}: {text} is an address in a range: write {found.network}")
    return found


def overlap(one: Prefix, other: Prefix) -> bool:
    """Whether two networks have an address in common."""
    return one.contains(other.network) or other.contains(one.network)


def _told(network: Prefix, reason: str, taken: Sequence[Taken]) -> Chosen:
    clashes = tuple(
        f"the pool {network} ({reason}) lies across {one.network}, {one.whose}: packets to one of"
        " them will go to the other"
        for one in taken
        if overlap(network, one.network)
    )
    return Chosen(network, reason, clashes)


def _candidates(version: int, draw: Callable[[int], int]) -> Iterator[Prefix]:
    if version == 4:
        yield from map(parse_network, _CANDIDATES4)
        return
    for _ in range(_ATTEMPTS):
        head = (0xFD << _ULA_RANDOM) | draw(_ULA_RANDOM)
        yield Prefix(6, head << (128 - _ULA_LENGTH), _ULA_LENGTH)


def _free(passed: Sequence[Taken]) -> str:
    if not passed:
        return "no range in use lies across it"
    whose = ", ".join(dict.fromkeys(f"{one.network} ({one.whose})" for one in passed[:3]))
    return f"the first private range that clashes with nothing; others lie across {whose}"
