"""Resources of every kind: arbitrary ones drawn from the types, and valid policies."""

from functools import cache
from typing import Any

import msgspec
from hypothesis import strategies as st
from msgspec import inspect

from tortie.api import (
    KINDS,
    EntityRule,
    IcmpFields,
    NetworkPolicy,
    NetworkPolicySpec,
    ObjectMeta,
    Resource,
    Rule,
)

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
DNS_LABELS = st.from_regex(r"[a-z]([-a-z0-9]{0,8}[a-z0-9])?", fullmatch=True)
CIDRS = st.builds(
    lambda a, b, length: f"{a}.{b}.0.0/{length}",
    st.integers(0, 255),
    st.integers(0, 255),
    st.integers(1, 32),
)
_WIDE = st.integers(-(2**63), 2**63 - 1)
_PLAIN = st.recursive(
    st.booleans() | _WIDE | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=5,
)


@cache
def resources(kind: str) -> st.SearchStrategy[Resource]:
    """Resources of a kind with fields of the right types and bounds, otherwise arbitrary."""
    type_ = KINDS[kind].type
    return _of(inspect.type_info(type_)).map(lambda data: msgspec.convert(data, type_))


def any_resource() -> st.SearchStrategy[Resource]:
    """Resources of any kind, as from `resources`."""
    return st.sampled_from(sorted(KINDS)).flatmap(resources)


def _of(shape: inspect.Type) -> st.SearchStrategy[Any]:
    match shape:
        case inspect.Metadata():
            strategy = _of(shape.type)
        case inspect.StructType():
            strategy = _struct(shape)
        case inspect.UnionType():
            branches = [each for each in shape.types if not isinstance(each, inspect.NoneType)]
            strategy = st.one_of([_of(branch) for branch in branches])
        case inspect.VarTupleType():
            least, most = shape.min_length or 0, shape.max_length
            strategy = st.lists(_of(shape.item_type), min_size=least, max_size=min(most or 3, 3))
        case inspect.DictType():
            strategy = st.dictionaries(TEXT, _of(shape.value_type), max_size=3)
        case inspect.AnyType():
            strategy = _PLAIN
        case _:
            strategy = _scalar(shape)
    return strategy


def _struct(shape: inspect.StructType) -> st.SearchStrategy[dict[str, Any]]:
    required = {each.encode_name: _of(each.type) for each in shape.fields if each.required}
    optional = {each.encode_name: _of(each.type) for each in shape.fields if not each.required}
    return st.fixed_dictionaries(required, optional=optional)


def _scalar(shape: inspect.Type) -> st.SearchStrategy[Any]:
    match shape:
        case inspect.LiteralType():
            return st.sampled_from(shape.values)
        case inspect.BoolType():
            return st.booleans()
        case inspect.FloatType():
            return st.floats(allow_nan=False, allow_infinity=False)
        case inspect.IntType():
            least = -(2**63) if shape.ge is None else shape.ge
            return st.integers(least, 2**63 - 1 if shape.le is None else shape.le)
        case inspect.StrType() if shape.pattern:
            most = shape.max_length or 253
            matching = st.from_regex(shape.pattern, fullmatch=True)
            return matching.filter(lambda text: text.isprintable() and len(text) <= most)
        case inspect.StrType():
            least, most = shape.min_length or 0, min(shape.max_length or 12, 12)
            return st.text(st.characters(exclude_categories=["Cs"]), min_size=least, max_size=most)
    raise AssertionError(f"no strategy for {shape}")


_PORTS = st.lists(st.sampled_from([80, 443, "8000:8100", "http"]), unique=True, max_size=3).map(
    tuple
)
_NETS = st.lists(CIDRS, unique=True, max_size=3).map(tuple)
_SELECTORS = st.sampled_from(["", "all()", "a == 'b'", "has(x) && !has(y)", "r in {'p', 'q'}"])
_ENTITIES = st.builds(
    EntityRule, nets=_NETS, not_nets=_NETS, selector=_SELECTORS, namespace_selector=_SELECTORS
)
_ENTITIES_WITH_PORTS = st.builds(EntityRule, ports=_PORTS, selector=_SELECTORS)
_ACTIONS = st.sampled_from(["Allow", "Deny", "Log", "Pass"])
RULES = st.one_of(
    st.builds(
        Rule,
        action=_ACTIONS,
        protocol=st.sampled_from(["TCP", "UDP", "SCTP", 6]),
        source=st.none() | _ENTITIES,
        destination=st.none() | _ENTITIES_WITH_PORTS,
    ),
    st.builds(
        Rule,
        action=_ACTIONS,
        protocol=st.just("ICMP"),
        icmp=st.none() | st.builds(IcmpFields, type=st.integers(0, 254)),
    ),
)
POLICIES = st.builds(
    NetworkPolicy,
    metadata=st.builds(ObjectMeta, name=DNS_LABELS, namespace=DNS_LABELS),
    spec=st.builds(
        NetworkPolicySpec,
        tier=DNS_LABELS,
        order=st.none() | st.floats(-1e6, 1e6),
        selector=_SELECTORS,
        ingress=st.lists(RULES, max_size=3).map(tuple),
        egress=st.lists(RULES, max_size=3).map(tuple),
    ),
)
"""Valid NetworkPolicies, without their defaults."""
