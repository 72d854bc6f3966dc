"""Manifests from people: any text."""

import json
from collections.abc import Iterator
from random import Random
from typing import Any

import yaml
from msgspec import inspect

from fuzz import examples, shapes, trees
from fuzz.targets import Target
from tortie.api import UnknownKind, decode, encode, kind_of_manifest
from tortie.api.manifests import Manifests, read_manifests
from tortie.api.validation import validate
from tortie.api.writing import to_yaml

_INDICATORS = (
    "---\n",
    "- ",
    ": ",
    "&a ",
    "*a",
    "<<: ",
    "\n  ",
    "\t",
    "'",
    '"',
    "|\n",
    "? ",
    "!!str ",
)

_MOST_VALUES = 5000  # of JSON: no input has room for more


def check(data: bytes) -> None:
    """Resources that are valid and survive being written, or errors that say where."""
    found = read_manifests("f.yaml", data)
    _errors(found, data.count(b"\n") + 2 + 3 * len(data.decode("utf-8", "replace").splitlines()))
    broken = {error.document for error in found.errors}
    for resource, place in found.resources:
        assert place.document not in broken
        assert validate(resource) == ()
        assert decode(resource.kind, encode(resource)) == resource
    _written_again(found)


def _errors(found: Manifests, most_lines: int) -> None:
    for error in found.errors:
        assert error.message
        assert str(error).startswith("f.yaml")
        assert error.line is None or 1 <= error.line <= most_lines


def _written_again(found: Manifests) -> None:
    resources = [located.resource for located in found.resources]
    again = read_manifests("f.yaml", to_yaml(resources))
    assert not again.errors, f"written, then: {again.errors[0]}"
    assert [located.resource for located in again.resources] == resources


def starts() -> Iterator[bytes]:
    """The examples, and objects of each kind."""
    yield from examples.texts()
    for manifest in examples.manifests_of_each_kind(1):
        yield yaml.dump(manifest, Dumper=yaml.CSafeDumper).encode()


def mutate(data: bytes, random: Random) -> bytes:
    """Change one document's data, or the text line by line."""
    change = random.choice((_change_data, _change_data, _change_lines, _change_marks))
    return change(data.decode("utf-8", "replace"), random).encode("utf-8", "replace")


def _change_data(text: str, random: Random) -> str:
    try:
        documents = list(yaml.load_all(text, Loader=yaml.CSafeLoader))
    except (yaml.YAMLError, ValueError, RecursionError, TypeError):
        return _change_lines(text, random)
    at = random.randrange(len(documents)) if documents else 0
    one = documents[at] if documents else {}
    try:
        documents[at : at + 1] = [_in_list(trees.changed(one, _shape(one), random), random)]
        return _dumped(documents, random)
    except (yaml.YAMLError, ValueError, RecursionError, TypeError):  # what can't be written
        return text


def _shape(document: Any) -> inspect.Type | None:
    try:
        return shapes.shape_of_kind(
            kind_of_manifest(str(document["apiVersion"]), str(document["kind"])).name
        )
    except (UnknownKind, TypeError, KeyError, IndexError):
        return None


def _in_list(document: Any, random: Random) -> Any:
    if random.random() < 0.95:
        return document
    return {"apiVersion": "v1", "kind": "List", "items": [document] * random.choice((1, 2, 1000))}


def _dumped(documents: list[Any], random: Random) -> str:
    """As YAML, where what is shared becomes an alias; or as JSON, which is YAML too."""
    if random.random() < 0.2 and trees.written_out(documents) < _MOST_VALUES:
        return "\n---\n".join(json.dumps(document) for document in documents)
    style = random.choice((None, True, False))
    unicode = random.random() < 0.5
    return str(
        yaml.dump_all(
            documents, Dumper=yaml.CSafeDumper, default_flow_style=style, allow_unicode=unicode
        )
    )


def _change_lines(text: str, random: Random) -> str:
    lines = text.split("\n")
    at = random.randrange(len(lines))
    other = random.choice(lines)
    indent = len(lines[at]) - len(lines[at].lstrip())
    lines[at : at + 1] = random.choice(
        (
            [],
            [lines[at]] * random.choice((2, 50)),
            [" " * random.randrange(9) + lines[at].lstrip()],
            [lines[at], " " * indent + other.lstrip()],
            [lines[at].partition(":")[0] + ": " + str(random.choice(shapes.SCALARS))],
        )
    )
    return "\n".join(lines)


def _change_marks(text: str, random: Random) -> str:
    at = random.randrange(len(text) + 1)
    return text[:at] + random.choice(_INDICATORS) + text[at + random.randrange(3) :]


TARGET = Target(check, starts, lambda: [*shapes.words(), *_INDICATORS], mutate, size=16384)
