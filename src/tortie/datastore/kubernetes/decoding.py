"""Bytes of lists and watches as resources, without dicts in between. Pure."""

from collections.abc import Callable, Collection
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
        several = _several(form)
        if several is not None:
            return Page([found for item in items for found in several(item)], [])
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
        else:
            page.resources.extend(found)
    return page


def _item_of(body: bytes, place: Place) -> tuple[Resource, ...] | Malformed:
    """An item of a list. Raises Unavailable for one that does not even say its name."""
    try:
        return objects_of(body, place)
    except (msgspec.DecodeError, ValueError) as error:
        raise _no_api(place, error) from None


def object_of(body: bytes, place: Place, key: Key | None = None) -> Resource | Malformed | None:
    """One object, of several that of `key`; None where it stands for nothing."""
    found = objects_of(body, place)
    if isinstance(found, Malformed):
        return found
    return next((one for one in found if key in (None, one.key)), None)


def objects_of(body: bytes, place: Place) -> tuple[Resource, ...] | Malformed:
    """All that an object stands for."""
    form = place.form
    try:
        item = _decoded(body, form)
        several = _several(form)
        if several is not None:
            return several(item)
        found = form.read(item)
        return () if found is None else (found,)
    except (msgspec.DecodeError, ValueError, RecursionError) as error:  # UnicodeDecodeError too
        key, revision = name_of(body, place)
        return Malformed(key, one_line(str(error)), revision)


def _several(form: Form) -> Callable[[Any], tuple[Resource, ...]] | None:
    """What reads all that an item stands for, where that may be more than one."""
    return getattr(form, "read_all", None)


def _decoded(body: bytes, form: Form) -> Any:
    try:
        return _object_decoder(form.wire, form.strict)(body)
    except msgspec.ValidationError:  # other writers put null where a field is absent
        return msgspec.convert(drop_nulls(msgspec.json.decode(body)), form.wire, strict=form.strict)


def name_of(body: bytes, place: Place) -> tuple[Key, int]:
    """Which object this is, whatever else it says: the server has seen to its name."""
    metadata = _named(body).metadata
    return Key(place.kind, metadata.namespace, metadata.name), int(metadata.resource_version)


def events_of(line: bytes, place: Place) -> tuple[Event | Bookmark, ...]:
    """What one line of a watch tells; nothing where it is of no type that is known.

    Raises Gone, and Unavailable for other errors: the watch has ended.
    """
    try:
        event = _event(line)
        return _told(event.type, bytes(event.object), place)
    except (msgspec.DecodeError, ValueError) as error:  # UnicodeDecodeError too
        raise Unavailable(f"the watch of {place.plural} tells no events: {error}") from None


def _told(type_: str, body: bytes, place: Place) -> tuple[Event | Bookmark, ...]:
    match type_:
        case "ADDED" | "MODIFIED":
            return _put(objects_of(body, place), body, place)
        case "DELETED":
            return _deleted(body, place)
        case "BOOKMARK":
            return (Bookmark(name_of(body, place)[1]),)
        case "ERROR":
            raise _error(status_of(0, body), place)
    return ()


def _put(
    found: tuple[Resource, ...] | Malformed, body: bytes, place: Place
) -> tuple[Event | Bookmark, ...]:
    if isinstance(found, Malformed):
        return (found,)
    put = tuple(Put(one.key, one, int(one.metadata.resource_version)) for one in found)
    if put and _several(place.form) is None:
        return put
    return (*put, *_vanished(body, place, {one.key for one in found}))


def _vanished(
    body: bytes, place: Place, there: Collection[Key] = ()
) -> tuple[Event | Bookmark, ...]:
    """What an object stood for, maybe, and stands for no more."""
    revision = name_of(body, place)[1]
    keys = getattr(place.form, "keys", None)
    gone = [key for key in keys(_decoded(body, place.form)) if key not in there] if keys else []
    told = tuple(Deleted(key, revision) for key in gone)
    return told if told or there else (Bookmark(revision),)


def _deleted(body: bytes, place: Place) -> tuple[Event | Bookmark, ...]:
    key, revision = name_of(body, place)
    if place.kind not in ("WorkloadEndpoint", "Profile"):
        return (Deleted(key, revision),)
    found = object_of(body, place)
    if _several(place.form) is not None or not isinstance(found, Resource):
        return _vanished(body, place)
    return (Deleted(found.key, revision),)


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
