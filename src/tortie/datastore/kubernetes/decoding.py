"""Bytes of lists and watches as resources, without dicts in between. Pure."""

from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

import msgspec
from msgspec import Raw, Struct

from tortie.api import Key, Resource
from tortie.api.codec import drop_nulls
from tortie.datastore.contract import Deleted, Event, Gone, Malformed, Put, Unavailable
from tortie.datastore.kubernetes.errors import Status, one_line, status_of
from tortie.datastore.kubernetes.forms import Form
from tortie.datastore.kubernetes.places import Place


class _ListMeta(Struct, frozen=True, rename="camel"):
    resource_version: str = ""
    continue_: str = msgspec.field(default="", name="continue")


class Head(NamedTuple):
    """What a page says of itself."""

    revision: int  # of the snapshot that the page is of
    next: str  # what asks for the next page; empty: this was the last


class _List(Struct, frozen=True):
    metadata: _ListMeta
    items: Raw  # passed over, but there must be some


class _RawPage(Struct, frozen=True):
    items: tuple[Raw, ...] = ()


class _Name(Struct, frozen=True, rename="camel"):
    name: str = ""
    namespace: str = ""
    resource_version: str = "0"


class _Named(Struct, frozen=True):
    metadata: _Name = _Name()


class _WatchEvent(Struct, frozen=True):
    type: str
    object: Raw


class Page(NamedTuple):
    """The objects of one page, and those that can't be read."""

    resources: list[Resource]
    malformed: list[Malformed]


class Bookmark(NamedTuple):
    """Everything of the kind up to this revision has been told."""

    revision: int


_list = msgspec.json.Decoder(_List).decode
_raw_page = msgspec.json.Decoder(_RawPage).decode
_named = msgspec.json.Decoder(_Named).decode
_event = msgspec.json.Decoder(_WatchEvent).decode


def head_of(body: bytes, place: Place) -> Head:
    """What a list's page says of itself. Raises Unavailable for what is no list.

    JSON of anybody else, even `{}`, must not be taken for an empty list: that deletes everything.
    """
    try:
        metadata = _list(body).metadata
        revision = int(metadata.resource_version or 0)
    except (msgspec.DecodeError, ValueError) as error:
        raise _no_api(place, error) from None
    if revision <= 0:
        raise _no_api(place, ValueError("the list has no resourceVersion"))
    return Head(revision, metadata.continue_)


def _no_api(place: Place, error: Exception) -> Unavailable:
    return Unavailable(f"what answers for {place.collection()} is no API: {error}")


def page_of(body: bytes, place: Place) -> Page:
    """The objects of a list's page."""
    form = place.form
    try:
        items = _items_decoder(form.wire, form.strict)(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return _one_by_one(body, place)
    try:
        return Page([found for item in items if (found := form.read(item)) is not None], [])
    except ValueError:
        return _one_by_one(body, place)


def _one_by_one(body: bytes, place: Place) -> Page:
    """As `page_of`, where something in the page can't be read: each object by itself."""
    page = Page([], [])
    try:
        items = _raw_page(body).items
    except (msgspec.DecodeError, ValueError) as error:
        raise _no_api(place, error) from None
    for raw in items:
        found = _item_of(bytes(raw), place)
        if isinstance(found, Malformed):
            page.malformed.append(found)
        elif found is not None:
            page.resources.append(found)
    return page


def _item_of(body: bytes, place: Place) -> Resource | Malformed | None:
    """An item of a list. Raises Unavailable for one that does not even say its name."""
    try:
        return object_of(body, place)
    except (msgspec.DecodeError, ValueError) as error:
        raise _no_api(place, error) from None


def object_of(body: bytes, place: Place) -> Resource | Malformed | None:
    """One object; None where it stands for nothing."""
    form = place.form
    try:
        return form.read(_decoded(body, form))
    except (msgspec.DecodeError, ValueError, RecursionError) as error:  # UnicodeDecodeError too
        key, revision = name_of(body, place)
        return Malformed(key, one_line(str(error)), revision)


def _decoded(body: bytes, form: Form) -> Any:
    try:
        return _object_decoder(form.wire, form.strict)(body)
    except msgspec.ValidationError:  # other writers put null where a field is absent
        return msgspec.convert(drop_nulls(msgspec.json.decode(body)), form.wire, strict=form.strict)


def name_of(body: bytes, place: Place) -> tuple[Key, int]:
    """Which object this is, whatever else it says: the server has seen to its name."""
    metadata = _named(body).metadata
    return Key(place.kind, metadata.namespace, metadata.name), int(metadata.resource_version)


def event_of(line: bytes, place: Place) -> Event | Bookmark | None:
    """What one line of a watch tells; None: nothing that stands for something.

    Raises Gone, and Unavailable for other errors: the watch has ended.
    """
    try:
        event = _event(line)
        return _told(event.type, bytes(event.object), place)
    except (msgspec.DecodeError, ValueError) as error:  # UnicodeDecodeError too
        raise Unavailable(f"the watch of {place.plural} tells no events: {error}") from None


def _told(type_: str, body: bytes, place: Place) -> Event | Bookmark | None:
    match type_:
        case "ADDED" | "MODIFIED":
            return _put(object_of(body, place), body, place)
        case "DELETED":
            return _deleted(body, place)
        case "BOOKMARK":
            return Bookmark(name_of(body, place)[1])
        case "ERROR":
            raise _error(status_of(0, body), place)
    return None


def _put(found: Resource | Malformed | None, body: bytes, place: Place) -> Event | Bookmark | None:
    if isinstance(found, Malformed):
        return found
    if found is None:  # it stood for something, maybe: what it was called, nobody knows
        return _vanished(body, place)
    return Put(found.key, found, int(found.metadata.resource_version))


def _vanished(body: bytes, place: Place) -> Event | Bookmark:
    revision = name_of(body, place)[1]
    gone = getattr(place.form, "absent_key", None)
    key = gone(_decoded(body, place.form)) if gone else None
    return Deleted(key, revision) if key else Bookmark(revision)


def _deleted(body: bytes, place: Place) -> Event | Bookmark:
    key, revision = name_of(body, place)
    if place.kind not in ("WorkloadEndpoint", "Profile"):
        return Deleted(key, revision)
    found = object_of(body, place)
    return Deleted(found.key, revision) if isinstance(found, Resource) else _vanished(body, place)


def _error(status: Status, place: Place) -> Exception:
    said = one_line(status.message)
    if status.code == 410:
        return Gone(f"{place.plural}: the history since then is gone ({said}): list again")
    return Unavailable(f"the watch of {place.plural} ended: {said}")


@cache
def _items_decoder(wire: type[Resource], strict: bool) -> Callable[[bytes], tuple[Any, ...]]:
    items: Any = tuple[wire, ...] | None  # type: ignore[valid-type]
    page: Any = msgspec.defstruct(f"{wire.__name__}Page", [("items", items, ())], frozen=True)
    decode: Callable[[bytes], Any] = msgspec.json.Decoder(page, strict=strict).decode
    return lambda body: decode(body).items or ()


@cache
def _object_decoder(wire: type[Resource], strict: bool) -> Callable[[bytes], Any]:
    return msgspec.json.Decoder(wire, strict=strict).decode
