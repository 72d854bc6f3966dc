"""Arbitrary data of the API's types, and words that its fields know."""

import re
from collections.abc import Iterator
from functools import cache
from random import Random
from typing import Any

from msgspec import inspect

from tortie.api import KINDS

SCALARS: tuple[Any, ...] = (
    *(None, True, False, 0, 1, -1, 80, 65535, 65536, 2**31, 2**63, 2**64, 10**70, 1.5, 1e308, -0.0),
    *(
        "",
        " ",
        "a",
        "A",
        "-",
        "x" * 64,
        "x" * 300,
        "\x00",
        "\u0663",
        "\u20ac",
        "\U0001f600",
        "\x85",
    ),
    *(
        "10.0.0.0/8",
        "10.0.0.1",
        "10.0.0.1/33",
        "fd00::/8",
        "::1",
        "1.2.3",
        "0.0.0.0/0",
        "fe80::1%e",
    ),
    *("80", "80:90", "90:80", "http", "TCP", "icmp", "6", "256", "1e3", "1.5Gi", "AF11", "1m30s"),
    *("all()", "global()", "a == 'b'", "has(a)", "a in {'b'}", "!", "(" * 70, "a == 'b", "k8s-app"),
    *("default", "kns.default", "Allow", "alow", "Ingress", "null", "yes", "0o17", "0x1F", "1_000"),
    *(
        "default.a",
        "knp.default.a",
        "node.a",
        "2026-01-31T12:00:00Z",
        "64512.1",
        "[",
        "(?<!a",
        "<<",
    ),
    *(
        '["10.0.0.1"]',
        '[{"a": 1}]',
        "[[[",
        "66:2d:f4:01:23:ab",
        "3f0c6f2e-1b1a-4c39-9f0e-6d0f1c2b3a4d",
    ),
)
_MOST_DEPTH = 7


@cache
def shape_of_kind(kind: str) -> inspect.Type:
    """What msgspec knows about the type of a kind."""
    return inspect.type_info(KINDS[kind].type)


def below(shape: inspect.Type | None, step: str | int, value: Any) -> inspect.Type | None:
    """The shape of a field, value or item of `value`, where it is known."""
    match branch(shape, value):
        case inspect.StructType() as struct:
            return next((f.type for f in struct.fields if f.encode_name == step), None)
        case inspect.DictType() as mapped:
            return mapped.value_type
        case inspect.VarTupleType() as listed:
            return listed.item_type
    return None


def branch(shape: inspect.Type | None, value: Any) -> inspect.Type | None:
    """The part of a union that is for such a value, without wrappers."""
    if isinstance(shape, inspect.Metadata):
        return branch(shape.type, value)
    if not isinstance(shape, inspect.UnionType):
        return shape
    branches = [branch(each, value) for each in shape.types]
    wanted = inspect.VarTupleType if isinstance(value, list) else inspect.StructType
    return next((each for each in branches if isinstance(each, wanted)), branches[0])


def arbitrary(shape: inspect.Type | None, random: Random, depth: int = 0) -> Any:
    """Data that fits the shape, mostly; a scalar where nothing is known or the depth is reached."""
    match shape:
        case inspect.Metadata():
            return arbitrary(shape.type, random, depth)
        case inspect.UnionType():
            return arbitrary(random.choice(shape.types), random, depth)
        case inspect.StructType() | inspect.VarTupleType() | inspect.DictType() if (
            depth < _MOST_DEPTH
        ):
            return _container(shape, random, depth + 1)
    return _scalar(shape, random)


def _container(
    shape: inspect.StructType | inspect.VarTupleType | inspect.DictType, random: Random, depth: int
) -> Any:
    match shape:
        case inspect.StructType():
            return _struct(shape, random, depth)
        case inspect.VarTupleType():
            count = random.choice((0, 1, 1, 2))
            return [arbitrary(shape.item_type, random, depth) for _ in range(count)]
    return {_text(random): arbitrary(shape.value_type, random, depth)}


def _struct(shape: inspect.StructType, random: Random, depth: int) -> dict[str, Any]:
    share = min(1.0, 4 / (1 + len(shape.fields)))
    return {
        field.encode_name: arbitrary(field.type, random, depth)
        for field in shape.fields
        if field.required or random.random() < share
    }


def _scalar(shape: inspect.Type | None, random: Random) -> Any:
    match shape:
        case inspect.LiteralType():
            return random.choice(shape.values)
        case inspect.IntType():
            return random.choice((0, 1, 4, 6, 80, 65535, random.randint(-10, 70000), 2**40))
        case inspect.StrType():
            return _text(random)
        case inspect.BoolType():
            return random.random() < 0.5
        case inspect.NoneType():
            return None
    return random.choice(SCALARS)


def _text(random: Random) -> str:
    return str(random.choice(SCALARS))


def words() -> Iterator[str]:
    """Names of kinds and fields, choices and interesting scalars: a fuzzer's dictionary."""
    found: set[str] = {str(scalar) for scalar in SCALARS}
    for kind in KINDS.values():
        found |= {kind.api_version, kind.manifest_kind}
        found |= set(_names(shape_of_kind(kind.name), 0))
    return iter(sorted(word for word in found if 0 < len(word) <= 60))


def _names(shape: inspect.Type, depth: int) -> Iterator[str]:
    match shape:
        case inspect.Metadata():
            yield from _names(shape.type, depth)
        case inspect.UnionType():
            for each in shape.types:
                yield from _names(each, depth)
        case inspect.StructType():
            for field in shape.fields:
                yield field.encode_name
                yield from _names(field.type, depth + 1)
        case inspect.VarTupleType():
            yield from _names(shape.item_type, depth + 1)
        case inspect.LiteralType():
            yield from map(str, shape.values)


def annotation_names() -> tuple[str, ...]:
    """The annotations of pods that the conversion reads."""
    from tortie.kubernetes import names, qos

    found = [value for value in vars(names).values() if isinstance(value, str) and "/" in value]
    limits = [
        f"{qos.PREFIX}{direction}{limit.annotation}"
        for direction in qos.DIRECTIONS
        for limit in qos.LIMITS
    ]
    plain = [name for name in found if re.fullmatch(r"[a-z0-9./A-Z-]+", name)]
    return (*plain, *limits, qos.DSCP)
