"""What the API server answers, as errors of the contract: one line each, for people. Pure."""

from typing import NamedTuple

import msgspec
from msgspec import Struct

from tortie.datastore.contract import (
    AlreadyExists,
    Conflict,
    DatastoreError,
    Forbidden,
    Gone,
    Invalid,
    NotFound,
    Unavailable,
)

_LONGEST = 1_000  # characters of what a server says


class Details(Struct, frozen=True, kw_only=True, rename="camel"):
    """What a refusal is about."""

    name: str = ""
    group: str = ""
    kind: str = ""
    retry_after_seconds: int = 0


class Status(Struct, frozen=True, kw_only=True):
    """The `Status` object that every refusal comes with."""

    code: int = 0
    reason: str = ""
    message: str = ""
    details: Details | None = None


class Asked(NamedTuple):
    """What was asked for, so that errors can name it. `about` is a key or a kind."""

    about: str
    server: str
    identity: str
    write: bool = False


def status_of(code: int, body: bytes) -> Status:
    """The Status in a body; one made of the text where it is none."""
    try:
        found = msgspec.json.decode(body, type=Status)
    except (msgspec.DecodeError, UnicodeDecodeError):
        found = Status(message=body[:_LONGEST].decode(errors="replace"))
    return msgspec.structs.replace(found, code=found.code or code)


def refusal(status: Status, asked: Asked) -> DatastoreError:
    """The error that a refusal is."""
    said = one_line(status.message) or f"HTTP status {status.code}"
    match status.code:
        case 401 | 403:
            return Forbidden(_forbidden(status.code, said, asked))
        case 404:
            return _missing(status, asked)
        case 409 if status.reason == "AlreadyExists":
            return AlreadyExists(f"{asked.about} is there already: update it instead")
        case 409:
            return Conflict(f"{asked.about} has changed since it was read ({said}): read it again")
        case 410:
            return Gone(f"{asked.about}: the history since then is gone ({said}): list again")
    return _other(status, said, asked)


def _other(status: Status, said: str, asked: Asked) -> DatastoreError:
    if status.code in (400, 413, 415, 422) or "request is too large" in said:
        return Invalid(f"the API server refuses {asked.about}: {said}")
    busy = "is overloaded" if status.code == 429 else "can't answer"
    doubt = "; the write may have been done" if asked.write and status.code != 429 else ""
    return Unavailable(f"the API server {asked.server} {busy} ({status.code}): {said}{doubt}")


def _forbidden(code: int, said: str, asked: Asked) -> str:
    if code == 401:
        return (
            f"the API server {asked.server} does not accept {asked.identity}: it is wrong, "
            "expired or of another cluster"
        )
    if "cannot" in said:  # RBAC names the user, the verb and the resource
        return f"no right: {said} (we are {asked.identity}): grant it by RBAC"
    return f"the API server does not allow to write {asked.about}: {said}"


def _missing(status: Status, asked: Asked) -> DatastoreError:
    kind = status.details.kind if status.details else ""
    if kind == "namespaces" and asked.write:
        name = status.details.name if status.details else ""
        return Invalid(f"{asked.about}: there is no namespace {name}: create it first")
    return NotFound(f"there is no {asked.about}")


def is_unknown_resource(status: Status) -> bool:
    """Whether the server has no such kind at all, rather than no such object."""
    return status.code == 404 and not (status.details and status.details.name)


def not_installed(kind: str, definition: str, server: str) -> DatastoreError:
    """A kind that the server does not have."""
    group = definition.partition(".")[2]
    return DatastoreError(
        f"the API server {server} has no {kind}: install the CustomResourceDefinition "
        f"{definition} (tortie crds --group {group} | kubectl apply --server-side -f -)"
    )


def one_line(text: str) -> str:
    """Text of others, short and without line breaks or control characters."""
    words = " ".join(text.split())
    return "".join(c for c in words if c.isprintable())[:_LONGEST]
