"""Bytes of a datastore: the kind's name on the first line, then the object as JSON."""

import json
import re
from collections.abc import Iterator
from random import Random

from fuzz import examples, shapes, trees
from fuzz.targets import Target, promised
from tortie.api import KINDS, DecodeError, Resource, decode, encode, kind_of_manifest, to_manifest
from tortie.api.documents import MAX_DEPTH
from tortie.api.manifests import read_manifests
from tortie.api.validation import apply_defaults, validate
from tortie.api.writing import to_yaml

_STORED_ONLY = re.compile(rb"\d{19}|:null")
_MOST_VALUES = 5000  # no input has room for more


def check(data: bytes) -> None:
    """A resource that survives every way of writing it, or DecodeError."""
    resource = read(data)
    if resource is None:
        return
    assert decode(resource.kind, encode(resource)) == resource
    settled = apply_defaults(resource)
    assert apply_defaults(settled) == settled
    violations = validate(settled)
    assert all(violation.message and str(violation) for violation in violations)
    if not violations and _is_for_people(settled):
        _as_a_person_writes_it(settled)


def read(data: bytes) -> Resource | None:
    """The resource in an input; None where there is none."""
    name, _, body = data.partition(b"\n")
    kind = name.decode("ascii", "replace")
    try:
        return decode(kind if kind in KINDS else "NetworkPolicy", body)
    except DecodeError as error:
        promised(str(error), "an error says something")
        return None


def _is_for_people(resource: Resource) -> bool:
    """Whether it has no depth, nulls or numbers that only a datastore may have, in kept parts."""
    shallow = trees.depth(to_manifest(resource)) <= MAX_DEPTH
    return shallow and not _STORED_ONLY.search(encode(resource))


def _as_a_person_writes_it(resource: Resource) -> None:
    for text in (to_yaml([resource]), json.dumps(to_manifest(resource))):
        found = read_manifests("f.yaml", text)
        assert not found.errors, f"{found.errors[0]} in {text[:300]}"
        assert found.resources[0].resource == resource


def starts() -> Iterator[bytes]:
    """The examples, and objects of each kind."""
    yield from map(examples.as_json, examples.resources())
    for manifest in examples.manifests_of_each_kind():
        kind = kind_of_manifest(manifest["apiVersion"], manifest["kind"]).name
        yield f"{kind}\n".encode() + json.dumps(manifest).encode()


def mutate(data: bytes, random: Random) -> bytes:
    """Change the object's data; sometimes its kind."""
    name, _, body = data.partition(b"\n")
    kind = name.decode("ascii", "replace")
    if kind not in KINDS or random.random() < 0.05:
        kind = random.choice(list(KINDS))
    try:
        tree = json.loads(body)
    except (ValueError, RecursionError):
        tree = shapes.arbitrary(shapes.shape_of_kind(kind), random)
    try:
        tree = trees.changed(tree, shapes.shape_of_kind(kind), random)
        text = json.dumps(tree) if trees.written_out(tree) < _MOST_VALUES else body.decode()
    except (ValueError, RecursionError):  # nested too deep for what changes it
        return data
    return f"{kind}\n{text}".encode()


TARGET = Target(check, starts, shapes.words, mutate, size=16384)
