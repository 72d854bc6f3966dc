"""Which pools a request may take addresses from, and where in them a node looks first. Pure."""

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from hashlib import sha256
from typing import NamedTuple

from tortie.api import IPPool
from tortie.ipam.errors import NoPool
from tortie.ipam.standing import Standing, standings
from tortie.ipam.types import Use
from tortie.net import Prefix, parse_network
from tortie.net.addresses import WIDTH
from tortie.selectors import SelectorError, parse

_DEFAULT_BLOCK = {4: 26, 6: 122}
_EVERYWHERE = ("", "all()")


class Query(NamedTuple):
    """What a pool must be meant for."""

    version: int
    use: Use
    requested: tuple[str, ...]  # names or CIDRs; empty: any pool
    node: str
    node_labels: Mapping[str, str]
    namespace: str
    namespace_labels: Mapping[str, str]


class Range(NamedTuple):
    """What allocation needs of a pool."""

    name: str
    cidr: Prefix
    block_length: int

    def block_of(self, address: Prefix) -> Prefix:
        """The block that an address of the pool belongs to."""
        return Prefix(address.version, address.address, self.block_length).network


def looks_at_nodes(pools: Iterable[IPPool]) -> bool:
    """Whether some pool is only for some nodes."""
    return any(pool.spec.node_selector.strip() not in _EVERYWHERE for pool in pools)


def looks_at_namespaces(pools: Iterable[IPPool]) -> bool:
    """Whether some pool is only for some namespaces."""
    return any(pool.spec.namespace_selector.strip() for pool in pools)


def selects(pool: IPPool, node_labels: Mapping[str, str]) -> bool:
    """Whether a pool is for nodes with these labels. Raises SelectorError."""
    return parse(pool.spec.node_selector).matches(node_labels)


def select(pools: Sequence[IPPool], query: Query) -> tuple[Range, ...]:
    """The pools for a request: as asked for, else by address. Raises NoPool."""
    chosen: list[Range] = []
    reasons: list[str] = []
    standing = standings(pools)
    for pool in _candidates(pools, query.requested):
        reason = _objection(pool, standing[pool.metadata.name], query)
        if reason:
            reasons.append(f"{pool.metadata.name} ({reason})")
        else:
            chosen.append(range_of(pool))
    if chosen:
        return tuple(chosen if query.requested else sorted(chosen, key=lambda one: one.cidr))
    known = ", ".join(reasons) or "there are no pools"
    raise NoPool(
        f"no IPPool gives IPv{query.version} addresses for {query.use} on node {query.node}: "
        f"{known}. Enable or add a pool"
    )


def range_of(pool: IPPool) -> Range:
    """A pool's addresses. Raises ValueError for a CIDR that is none."""
    cidr = parse_network(pool.spec.cidr)
    length = pool.spec.block_size or _DEFAULT_BLOCK[cidr.version]
    return Range(pool.metadata.name, cidr, min(max(length, cidr.length), WIDTH[cidr.version]))


def range_holding(pool: IPPool, address: Prefix) -> Range | None:
    """The pool's addresses, if `address` is among them."""
    try:
        found = range_of(pool)
    except ValueError:
        return None
    return found if found.cidr.contains(address) else None


def allows(pool: IPPool, use: Use) -> bool:
    """Whether a pool's addresses may be used so."""
    return use in pool.spec.uses


def blocks_for(node: str, pool: Range, without: Iterable[Prefix] = ()) -> Iterator[Prefix]:
    """The blocks of a pool from a place that is the node's own, but for those inside `without`.

    Nodes that start at different places seldom want the same block at once. What is left out is
    stepped over, not walked through: a /49 of IPv6 has 2**73 blocks.
    """
    count = 1 << (pool.block_length - pool.cidr.length)
    size = 1 << (WIDTH[pool.cidr.version] - pool.block_length)
    start = int.from_bytes(sha256(f"{node} {pool.cidr}".encode()).digest()) % count
    ends = dict(_spans(pool, without))
    firsts = sorted(ends)
    for index, end in ((start, count), (0, start)):
        while index < end:
            before = bisect_right(firsts, index)
            beyond = ends[firsts[before - 1]] if before else 0
            if index >= beyond:
                yield Prefix(pool.cidr.version, pool.cidr.address + index * size, pool.block_length)
            index = max(index + 1, beyond)


def _spans(pool: Range, nets: Iterable[Prefix]) -> Iterator[tuple[int, int]]:
    """(first, end) of the blocks inside each of `nets`, counted from the pool's first one."""
    shift = WIDTH[pool.cidr.version] - pool.block_length
    end = 0
    for net in sorted(set(nets)):
        if net.contains(pool.cidr):
            net = pool.cidr
        if pool.cidr.contains(net) and net.length <= pool.block_length:
            first = (net.address - pool.cidr.address) >> shift
            if first >= end:  # else inside an earlier one: prefixes never cross
                end = first + (1 << (pool.block_length - net.length))
                yield first, end


def _candidates(pools: Sequence[IPPool], requested: tuple[str, ...]) -> list[IPPool]:
    if not requested:
        return list(pools)
    found: list[IPPool] = []
    for wanted in requested:
        named = [pool for pool in pools if wanted in (pool.metadata.name, pool.spec.cidr)]
        if not named:
            known = ", ".join(sorted(pool.metadata.name for pool in pools)) or "none"
            raise NoPool(f"there is no IPPool {wanted!r}, which was asked for; there are: {known}")
        found += named
    return found


def _objection(pool: IPPool, standing: Standing, query: Query) -> str:
    """Why a pool is not for this request; empty: it is."""
    spec = pool.spec
    try:
        version = parse_network(spec.cidr).version
    except ValueError as error:
        return str(error)
    if version != query.version:
        return f"IPv{version}"
    if not standing.is_allocatable:
        return standing.text
    if not allows(pool, query.use):
        return f"allowedUses is {', '.join(spec.uses)}"
    return "" if query.requested else _unasked_objection(pool, query)


def _unasked_objection(pool: IPPool, query: Query) -> str:
    spec = pool.spec
    if spec.assignment_mode == "Manual":
        return "assignmentMode is Manual: it must be asked for"
    try:
        if not selects(pool, query.node_labels):
            return f"nodeSelector {spec.node_selector!r} does not match"
        wanted = spec.namespace_selector.strip()
        if wanted and not parse(wanted).matches(query.namespace_labels):
            return f"namespaceSelector {wanted!r} does not match namespace {query.namespace!r}"
    except SelectorError as error:
        return f"selector: {error.reason}"
    return ""
