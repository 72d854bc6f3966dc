"""Manifests from people: YAML or JSON text as resources, or as errors that say where and what.

A document with an error contributes no resource at all; the others do.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, NamedTuple

import msgspec
from msgspec import Struct

from tortie.api.codec import drop_nulls, with_metadata
from tortie.api.documents import Document, List, Object, YamlError, read_documents
from tortie.api.meta import Key, Resource
from tortie.api.problems import Violation, nearest, outward, shown, steps
from tortie.api.registry import KINDS, Kind, UnknownKind, kind_of_manifest
from tortie.api.salvage import salvaged
from tortie.api.structure import faults
from tortie.api.validation import apply_defaults, validate

DEFAULT_NAMESPACE = "default"
MOST_ERRORS = 1000  # of one document; a person needs no more, and an alias can make millions


class ManifestError(Struct, frozen=True, kw_only=True):
    """One thing wrong in a file; `str()` is the message for people.

    `document` counts the file's documents from 1, empty ones left out; `line` counts from 1, None
    where it is not known. `path` is from the document's root.
    """

    source: str
    document: int
    line: int | None = None
    path: str = ""
    message: str
    suggestion: str = ""

    def __str__(self) -> str:
        line = f":{self.line}" if self.line else ""
        said = Violation(self.path, self.message, suggestion=self.suggestion)
        return f"{self.source}{line}: document {self.document}: {said}"


class Place(Struct, frozen=True):
    """Where an object stands in a file: `prefix` is the path to it in a List, else ""."""

    source: str
    document: int
    root: Document
    prefix: str = ""

    def error(self, path: str, message: str, suggestion: str = "") -> ManifestError:
        """An error about the field at `path` of the object."""
        full = f"{self.prefix}.{path}" if self.prefix and path else self.prefix or path
        return ManifestError(
            source=self.source,
            document=self.document,
            line=line_of(self.root, full),
            path=full,
            message=message,
            suggestion=suggestion,
        )


class Located(NamedTuple):
    """A resource and where it was read: `place.error(path, message)` speaks of it."""

    resource: Resource
    place: Place


class Manifests(NamedTuple):
    """What was read: the resources in order, and all errors."""

    resources: tuple[Located, ...]
    errors: tuple[ManifestError, ...]


PassesOver = Callable[[Place, dict[str, Any]], bool]


def read_manifests(
    source_name: str, text: str | bytes, namespace: str = DEFAULT_NAMESPACE
) -> Manifests:
    """The resources in a text, checked and with defaults; `namespace` is for those without one."""
    return read_all([(source_name, text)], namespace)


def read_all(
    sources: Iterable[tuple[str, str | bytes]],
    namespace: str = DEFAULT_NAMESPACE,
    passes_over: PassesOver | None = None,
) -> Manifests:
    """The resources of several texts, by name; an object may be there only once in all of them.

    `passes_over` says of each object, those in a List too, whether it is left out unread.
    """
    resources: list[Located] = []
    errors: list[ManifestError] = []
    seen: dict[Key, Place] = {}
    for source, text in sources:
        for found, wrong in _documents(source, text, _Reading(namespace, passes_over)):
            wrong = wrong or list(_twice(found, seen))
            errors += wrong
            if not wrong:
                resources += found
                seen.update((located.resource.key, located.place) for located in found)
    return Manifests(tuple(resources), tuple(errors))


def line_of(document: Document, path: str) -> int | None:
    """The line of the field at `path`, or of what is nearest above it."""
    line, data = document.line, document.data
    for step in steps(path):
        if isinstance(data, Object) and isinstance(step, str) and step in data:
            line, data = data.lines.get(step, line), data[step]
        elif isinstance(data, List) and isinstance(step, int) and step < len(data):
            line, data = data.lines[step], data[step]
        else:
            break
    return line


class _Reading(NamedTuple):
    """How texts are read."""

    namespace: str
    passes_over: PassesOver | None


def _documents(
    source: str, text: str | bytes, how: _Reading
) -> Iterator[tuple[list[Located], list[ManifestError]]]:
    """For each document either its objects or its errors."""
    if isinstance(text, bytes):
        try:
            text = text.decode()
        except UnicodeDecodeError as error:
            message = f"is no UTF-8 text: {error.reason} at byte {error.start}"
            yield [], [ManifestError(source=source, document=1, message=message)]
            return
    for number, document in enumerate(read_documents(text), 1):
        if isinstance(document, YamlError):
            yield [], [_broken(source, number, document)]
        else:
            yield _objects(Place(source, number, document), document.data, how)


def _broken(source: str, number: int, error: YamlError) -> ManifestError:
    return ManifestError(
        source=source,
        document=number,
        line=error.line,
        message=error.message,
        suggestion=error.suggestion,
    )


def _objects(place: Place, data: Any, how: _Reading) -> tuple[list[Located], list[ManifestError]]:
    found: list[Located] = []
    errors: list[ManifestError] = []
    for at, item in _items(place, data):
        if how.passes_over and isinstance(item, dict) and how.passes_over(at, item):
            continue
        resource, wrong = _object(at, item, how.namespace)
        errors += wrong
        if resource is not None:
            found.append(Located(resource, at))
        if len(errors) >= MOST_ERRORS:
            rest = place.error("", f"has {MOST_ERRORS} errors or more; the others are left out")
            return [], [*errors[:MOST_ERRORS], rest]
    errors = errors or list(_twice(found, {}))
    return ([], errors) if errors else (found, [])


def _items(place: Place, data: Any) -> Iterator[tuple[Place, Any]]:
    """The object, or the items of a List; an item of a typed list may leave out its own kind."""
    if not _is_list(data):
        yield place, data
        return
    for index, item in enumerate(data["items"]):
        if data["kind"] != "List" and isinstance(item, dict):
            kind = str(data["kind"]).removesuffix("List")
            item = {"apiVersion": data.get("apiVersion"), "kind": kind, **item}
        yield Place(place.source, place.document, place.root, f"items[{index}]"), item


def _is_list(data: Any) -> bool:
    if not isinstance(data, dict) or not isinstance(data.get("items"), list):
        return False
    return isinstance(data.get("kind"), str) and data["kind"].endswith("List")


def _object(place: Place, data: Any, namespace: str) -> tuple[Resource | None, list[ManifestError]]:
    """The resource, or all that is wrong with it."""
    if not isinstance(data, dict):
        return None, [place.error("", f"expected an object, found {shown(data)}")]
    kind, error = _kind(place, data)
    if kind is None:
        return None, [error] if error else []
    body = {key: item for key, item in data.items() if key not in ("apiVersion", "kind")}
    if found := list(islice(faults(kind.type, body), MOST_ERRORS)):
        rest = salvaged(kind.type, body)
        found += _apart_from(found, _settled(rest, kind, namespace)[1]) if rest else []
        return None, [_located(place, violation) for violation in found]
    try:
        resource = msgspec.convert(drop_nulls(body), kind.type)
    except (msgspec.ValidationError, RecursionError) as error:
        return None, [place.error("", f"can't be read: {error}")]
    resource, violations = _settled(resource, kind, namespace)
    return resource, [_located(place, violation) for violation in violations]


def _settled(
    resource: Resource, kind: Kind, namespace: str
) -> tuple[Resource, tuple[Violation, ...]]:
    """The resource with its defaults, and what is wrong with it."""
    if kind.namespaced and not resource.metadata.namespace:
        resource = with_metadata(resource, namespace=namespace)
    resource = apply_defaults(resource)
    return resource, validate(resource)


def _apart_from(known: Sequence[Violation], more: Iterable[Violation]) -> list[Violation]:
    """Of `more` what is not about the same field, or what that is part of."""
    blamed = {fault.path for fault in known}
    around = {path for fault in known for path in outward(fault.path)}
    return [
        violation
        for violation in more
        if violation.path not in around and blamed.isdisjoint(outward(violation.path))
    ]


def _kind(place: Place, data: dict[str, Any]) -> tuple[Kind | None, ManifestError | None]:
    for field in ("apiVersion", "kind"):
        if not isinstance(data.get(field), str):
            hint = nearest(field, [name for name in data if name not in ("metadata", "spec")])
            return None, place.error(field, "is required, as text", hint)
    try:
        return kind_of_manifest(data["apiVersion"], data["kind"]), None
    except UnknownKind as error:
        return None, place.error("kind", *_unknown_kind(data["apiVersion"], data["kind"], error))


def _unknown_kind(api_version: str, kind: str, error: UnknownKind) -> tuple[str, str]:
    groups = {known.api_version for known in KINDS.values()}
    hint = f"did you mean {' or '.join(error.nearest)}?" if error.nearest else ""
    if api_version not in groups and not hint:
        hint = nearest(api_version, groups)
    return f"unknown kind {kind!r} of {api_version!r}", hint


def _located(place: Place, violation: Violation) -> ManifestError:
    return place.error(violation.path, violation.message, violation.suggestion)


def _twice(found: Iterable[Located], seen: dict[Key, Place]) -> Iterator[ManifestError]:
    """An error for each object that is there already."""
    here = dict(seen)
    for resource, place in found:
        first = here.setdefault(resource.key, place)
        if first is not place:
            where = f"{first.source}:{line_of(first.root, first.prefix)}"
            message = f"{resource.key} is there twice, first in {where}"
            yield place.error("metadata.name", message)
