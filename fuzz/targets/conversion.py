"""Kubernetes' objects into Calico's: the input is as of `fuzz.targets.stored`."""

import json
from collections.abc import Iterator
from random import Random

from fuzz import shapes
from fuzz.targets import Target, promised, stored
from tortie.api import (
    DecodeError,
    EntityRule,
    GlobalNetworkPolicy,
    NetworkPolicy,
    Profile,
    Resource,
    Rule,
    decode,
    encode,
)
from tortie.api.validation import apply_defaults, validate
from tortie.kubernetes import CONVERTED_KINDS, conversion, converted_key
from tortie.kubernetes.names import FURTHER_INTERFACES
from tortie.net import parse_network
from tortie.selectors import parse

_KINDS = sorted(CONVERTED_KINDS)


def check(data: bytes) -> None:
    """What stands for the object can be stored and matched; a valid object gives a valid one."""
    resource = stored.read(data)
    if resource is None:
        return
    values, warnings = conversion(resource)
    assert conversion(resource) == (values, warnings)
    assert all(isinstance(warning, str) and warning for warning in warnings)
    assert len({value.key for value in values}) == len(values)
    for value in values:
        _value(resource, value, is_whole=not warnings)


def _value(resource: Resource, value: Resource, is_whole: bool) -> None:
    """One of those that it stands for; `is_whole`: nothing of it could not be converted."""
    _written(value)
    _key(resource, value)
    if isinstance(value, NetworkPolicy | GlobalNetworkPolicy) and value is not resource:
        _policy(value)
    if is_whole and not validate(apply_defaults(resource)):
        found = [violation for violation in validate(value) if violation.path.startswith("spec")]
        assert not found, f"{found[0]} after the conversion"


def _written(value: Resource) -> None:
    """It survives encoding. It is never stored, so the API's bounds on length need not hold."""
    try:
        assert decode(value.kind, encode(value)) == value
    except DecodeError as error:
        promised("length" in str(error), str(error))


def _key(resource: Resource, value: Resource) -> None:
    """Profiles have keys of their own, policies keep theirs; that of a Pod is not known."""
    key = converted_key(resource.key)
    if isinstance(value, Profile):
        assert key == value.key, f"{key} is not {value.key}"
    elif key is not None:
        assert key == resource.key, f"{key} is not {resource.key}"


def _policy(policy: NetworkPolicy | GlobalNetworkPolicy) -> None:
    parse(policy.spec.selector)
    for rule in (*policy.spec.ingress, *policy.spec.egress):
        assert isinstance(policy, GlobalNetworkPolicy) or rule.action == "Allow"
        _rule(rule)


def _rule(rule: Rule) -> None:
    for side in (rule.source, rule.destination):
        for text in _nets(side):
            assert str(parse_network(text)) == text
        if side is not None:
            parse(side.selector)
            parse(side.namespace_selector)


def _nets(side: EntityRule | None) -> tuple[str, ...]:
    return (*side.nets, *side.not_nets) if side else ()


def starts() -> Iterator[bytes]:
    """The inputs of `stored` that the conversion does something with, and a pod with everything."""
    yield from (data for data in stored.starts() if data.partition(b"\n")[0].decode() in _KINDS)
    yield b"Pod\n" + json.dumps(_pod()).encode()


def _pod() -> dict[str, object]:
    annotations = dict.fromkeys(shapes.annotation_names(), "1")
    further = {"net1": {"containerID": "c", "network": "n", "addresses": ["10.1.0.1/32"]}}
    port = {"name": "http", "containerPort": 80, "hostPort": 8080, "protocol": "TCP"}
    return {
        "metadata": {
            "name": "a",
            "namespace": "b",
            "annotations": annotations,
            "labels": {"x": "y"},
        },
        "spec": {"nodeName": "n", "containers": [{"name": "c", "ports": [port]}]},
        "status": {
            "phase": "Running",
            "podIPs": [{"ip": "10.0.0.1"}, {"ip": "fd00::1"}],
            "conditions": [{"type": FURTHER_INTERFACES, "message": json.dumps(further)}],
        },
    }


def mutate(data: bytes, random: Random) -> bytes:
    """As of `stored`, but with only the kinds that are converted."""
    name, _, body = data.partition(b"\n")
    if name.decode("ascii", "replace") not in _KINDS:
        data = random.choice(_KINDS).encode() + b"\n" + body
    return stored.mutate(data, random)


TARGET = Target(check, starts, lambda: [*shapes.words(), *shapes.annotation_names()], mutate, 16384)
