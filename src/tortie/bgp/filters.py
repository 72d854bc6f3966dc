"""BGPFilters as typed rules. Pure.

A filter with anything in it that can't be understood is closed: it lets nothing pass, since it was
made to keep something out. So is one that a peer names and that is not there.
"""

from collections.abc import Iterable

from tortie.api import checks
from tortie.api.calico.bgp_configuration import community as check_community
from tortie.api.calico.bgp_filter import (
    BGPFilter,
    CommunityMatch,
    FilterOperation,
    FilterRuleV4,
    FilterRuleV6,
)
from tortie.bgp.picture import Filter, Operation, PrefixMatch, Problem, Rule
from tortie.bgp.words import interface_pattern, symbol
from tortie.net.addresses import WIDTH

_AS_BOUND = 2**32
_PRIORITIES = range(1, 2**31 - 1)


def communities_of(text: str) -> tuple[int, ...]:
    """A community's two or three numbers. Raises ValueError."""
    check_community(text)
    return tuple(int(part) for part in text.split(":"))


def filters_named(
    names: Iterable[str], known: dict[str, BGPFilter]
) -> tuple[tuple[Filter, ...], tuple[Problem, ...]]:
    """The filters of these names, in order of their names, and what is wrong with them."""
    filters, problems = [], []
    for name in sorted(set(names)):
        try:
            filters.append(_filter(name, known.get(name)))
        except ValueError as problem:
            filters.append(Filter(symbol_of(name), name, closed=True))
            text = f"{problem}; peers that name it get and give nothing"
            problems.append(Problem(f"BGPFilter({name})", text))
    return tuple(filters), tuple(problems)


def symbol_of(name: str) -> str:
    """What BIRD calls a filter."""
    return symbol("filter", name)


def _filter(name: str, found: BGPFilter | None) -> Filter:
    if found is None:
        raise ValueError("there is no such filter")
    spec = found.spec
    return Filter(
        symbol_of(name),
        name,
        _rules("importV4", spec.import_v4, 4),
        _rules("exportV4", spec.export_v4, 4),
        _rules("importV6", spec.import_v6, 6),
        _rules("exportV6", spec.export_v6, 6),
    )


def _rules(
    field: str, rules: Iterable[FilterRuleV4 | FilterRuleV6], version: int
) -> tuple[Rule, ...]:
    found = []
    for index, rule in enumerate(rules):
        try:
            found.append(_rule(rule, version))
        except ValueError as problem:
            raise ValueError(f"spec.{field}[{index}]: {problem}") from None
    return tuple(found)


def _rule(rule: FilterRuleV4 | FilterRuleV6, version: int) -> Rule:
    if rule.operations and rule.action != "Accept":
        raise ValueError("operations need the action Accept")
    if rule.interface:
        interface_pattern(rule.interface)
    return Rule(
        accept=rule.action == "Accept",
        nets=_nets(rule, version),
        from_peers=rule.source == "RemotePeers",
        interface=rule.interface,
        peer_type=rule.peer_type,
        community=_community(rule.communities),
        as_path=_as_numbers(rule.as_path_prefix),
        priority=_priority(rule.priority),
        operations=tuple(_operation(each) for each in rule.operations),
    )


def _nets(rule: FilterRuleV4 | FilterRuleV6, version: int) -> PrefixMatch | None:
    if bool(rule.cidr) != bool(rule.match_operator):
        raise ValueError("cidr and matchOperator must both be set or both be empty")
    if not rule.cidr:
        if rule.prefix_length is not None:
            raise ValueError("cidr is required when prefixLength is set")
        return None
    prefix = checks.cidr(rule.cidr).network
    if prefix.version != version:
        raise ValueError(f"{rule.cidr} is not IPv{version}")
    given, low, high = rule.prefix_length, prefix.length, WIDTH[version]
    if given is not None:
        low = low if given.min is None else given.min
        high = high if given.max is None else given.max
    operator = rule.match_operator
    return PrefixMatch(
        prefix,
        exact=operator in ("Equal", "NotEqual"),
        negated=operator in ("NotEqual", "NotIn"),
        low=low,
        high=high,
    )


def _community(match: CommunityMatch | None) -> tuple[int, ...]:
    if match is None:
        return ()
    if len(match.values) != 1:
        raise ValueError("communities.values has one value")
    return communities_of(match.values[0])


def _as_numbers(numbers: Iterable[int]) -> tuple[int, ...]:
    found = tuple(numbers)
    if not all(0 <= number < _AS_BOUND for number in found):
        raise ValueError("an AS number is from 0 to 4294967295")
    return found


def _priority(value: int | None) -> int:
    if value is not None and value not in _PRIORITIES:
        raise ValueError(f"a priority is from 1 to 2147483646, not {value}")
    return value or 0


def _operation(each: FilterOperation) -> Operation:
    given = [each.add_community, each.prepend_as_path, each.set_priority]
    if given.count(None) != 2:
        raise ValueError("exactly one of addCommunity, prependASPath and setPriority must be set")
    if each.add_community is not None:
        return Operation(community=communities_of(each.add_community.value))
    if each.prepend_as_path is not None:
        return Operation(prepend=_as_numbers(each.prepend_as_path.prefix))
    assert each.set_priority is not None
    return Operation(priority=_priority(each.set_priority.value))
