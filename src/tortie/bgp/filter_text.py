"""Filters and what is told to peers, in BIRD's language. Pure.

Each BGPFilter is a function a direction and IP version; a rule that matches ends the whole filter
with `accept` or `reject`. After them stands what holds for all peers.
"""

from collections.abc import Iterator

from tortie.bgp.picture import Direction, Family, Filter, Operation, PrefixMatch, Rule
from tortie.bgp.words import (
    community,
    community_list,
    interface_pattern,
    network,
    remark,
    within,
)

_PASSED_ON = 100  # the MED of what others told us: outsiders prefer the node that has it
_DIRECTIONS: tuple[Direction, ...] = ("import", "export")


def filter_functions(filters: tuple[Filter, ...]) -> Iterator[str]:
    """A function for each filter, direction and IP version."""
    for each in filters:
        yield f"# BGPFilter {remark(each.name)}"
        for version in (4, 6):
            for direction in _DIRECTIONS:
                yield f"function {function_name(each.symbol, version, direction)}(bool inside)"
                yield "{"
                if each.closed:
                    yield "  reject;"
                for rule in each.rules(version, direction):
                    yield from (f"  {line}" for line in _rule(rule))
                yield "}"


def function_name(symbol: str, version: int, direction: str) -> str:
    """The function of a filter for one direction and IP version."""
    return f"{symbol}_{direction}{version}"


def _rule(rule: Rule) -> Iterator[str]:
    conditions = " && ".join(_conditions(rule)) or "true"
    yield f"if {conditions} then {{"
    yield from (f"  {_operation(each)}" for each in rule.operations)
    yield "  accept;" if rule.accept else "  reject;"
    yield "}"


def _conditions(rule: Rule) -> Iterator[str]:
    if rule.peer_type:
        yield "inside" if rule.peer_type == "iBGP" else "! inside"
    if rule.nets is not None:
        yield _nets(rule.nets)
    if rule.from_peers:
        yield "source = RTS_BGP"
    if rule.interface:
        yield f"(defined(ifname) && ifname ~ {interface_pattern(rule.interface)})"
    if rule.community:
        yield f"{community(rule.community)} ~ {community_list(rule.community)}"
    if rule.as_path:
        numbers = " ".join(str(int(number)) for number in rule.as_path)
        yield f"bgp_path ~ [= {numbers} * =]"
    if rule.priority:
        yield f"(defined(krt_metric) && krt_metric = {int(rule.priority)})"


def _nets(match: PrefixMatch) -> str:
    """The lengths are given to BIRD as a range, which must not be an empty one."""
    low, high = max(match.low, match.prefix.length), match.high
    if match.exact:
        found = low <= match.prefix.length <= high
        text = f"net = {network(match.prefix)}"
    else:
        found = low <= high
        text = f"net ~ [ {network(match.prefix)}{{{low},{high}}} ]"
    if not found:
        return "true" if match.negated else "false"
    return f"! ({text})" if match.negated else f"({text})"


def _operation(each: Operation) -> str:
    if each.community:
        return f"{community_list(each.community)}.add({community(each.community)});"
    if each.prepend:  # each is put before the path, so the last of them goes first
        return " ".join(f"bgp_path.prepend({int(n)});" for n in reversed(each.prepend))
    return f"krt_metric = {int(each.priority)};"


def tell_function(
    family: Family, version: int, workload_prefixes: tuple[str, ...]
) -> Iterator[str]:
    """What peers are told, where no filter of theirs has said otherwise.

    Our blocks; addresses of local workloads outside of them (borrowed) or with another priority
    than the block's; services' addresses; and what other peers told us of the same ranges.
    """
    yield f"function tell{version}(bool inside)"
    yield "{"
    for each in family.advertised:
        adding = " ".join(f"{community_list(c)}.add({community(c)});" for c in each.communities)
        if adding:
            yield f"  if net ~ [ {network(each.cidr)}+ ] then {{ {adding} }}"
    yield f'  if proto = "services{version}" then accept;'
    hidden = [pool.cidr for pool in family.pools if not pool.told]
    if hidden:
        yield f"  if net ~ {within(hidden)} then reject;"
    outside = [pool.cidr for pool in family.pools if pool.told and not pool.told_inside]
    if outside:
        yield f"  if inside && net ~ {within(outside)} then reject;"
    yield f'  if proto = "blocks{version}" then accept;'
    yield from _of_workloads(family, workload_prefixes)
    known = [pool.cidr for pool in family.pools if pool.told] + list(family.service_ranges)
    if known:
        yield f"  if source = RTS_BGP && net ~ {within(known)} then {{"
        yield f"    if ! inside then bgp_med = {_PASSED_ON};"
        yield "    accept;"
        yield "  }"
    yield "  reject;"
    yield "}"


def own_services_function(family: Family, version: int) -> Iterator[str]:
    """What is not passed on where we would be its next hop: the services that others announce.

    Their packets would end at our own proxy, which has no endpoint for those of Local policy.
    """
    yield f"function own_services{version}()"
    yield "{"
    if family.service_ranges:
        ranges = within(family.service_ranges)
        yield f"  if source = RTS_BGP && net ~ {ranges} then reject;"
    yield "}"


def _of_workloads(family: Family, prefixes: tuple[str, ...]) -> Iterator[str]:
    """The kernel's routes to local workloads are the agent's: each is there once its policy is.

    Those of no pool, too: a floating address is nobody else's to tell.
    """
    yield f"  if source = RTS_INHERIT && {_workload_interface(prefixes)} then {{"
    if family.blocks:
        usual = f"(! defined(krt_metric) || krt_metric = {int(family.priority)})"
        yield f"    if net ~ {within(family.blocks)} && {usual} then reject;"
    yield "    accept;"
    yield "  }"


def _workload_interface(prefixes: tuple[str, ...]) -> str:
    patterns = [f"ifname ~ {interface_pattern(prefix + '*')}" for prefix in prefixes]
    return "(defined(ifname) && (" + " || ".join(patterns) + "))"


def kernel_filter(family: Family, version: int) -> Iterator[str]:
    """What BIRD writes into the kernel: what peers told, of what no tunnel of the agent's carries.

    Not services' ranges: their addresses lead to this node's own proxy. Nor parts of our own
    blocks: of those only single addresses may be elsewhere, lent. These stand behind the agent's
    own routes by metric: one that comes here is here, though a peer still tells it; and with the
    same metric BIRD would write over the agent's.
    """
    yield "    export filter {"
    yield f'      if proto = "gateways{version}" then accept;'
    yield "      if source != RTS_BGP then reject;"
    rejected = [pool.cidr for pool in family.pools if not pool.programmed]
    rejected += family.service_ranges
    if rejected:
        yield f"      if net ~ {within(rejected)} then reject;"
    single = 32 if version == 4 else 128
    if family.blocks:
        yield f"      if net ~ {within(family.blocks)} && net.len < {single} then reject;"
    yield "      if ! defined(krt_metric) then {"
    yield f"        krt_metric = {int(family.priority)};"
    yield f"        if net.len = {single} then krt_metric = {int(family.priority) + 1};"
    yield "      }"
    yield "      accept;"
    yield "    };"
