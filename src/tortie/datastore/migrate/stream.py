"""The file of an export: lines of JSON. Pure, but for the file object that it is handed.

    {"kind":"DatastoreExport","format":1,"release":"0.1.0","identity":"…"}
    {"apiVersion":"projectcalico.org/v3","kind":"Tier","metadata":{…},"spec":{…}}
    …
    {"kind":"DatastoreExportEnd","objects":2,"counts":{"Tier":2},"digest":"sha256:…"}

Lines, since a wrong one has a number, each is read by itself, and 100,000 objects never stand in
memory at once; JSON, since it says one thing only and is read twenty times as fast as YAML.
The last line is the proof that the file is whole and as it was written.
"""

from collections import Counter
from collections.abc import Iterator
from hashlib import sha256
from typing import IO, Literal, NamedTuple

import msgspec
from msgspec import Struct

from tortie.api import DecodeError, Key, Resource, UnknownKind, decode, encode, kind_of_manifest
from tortie.datastore.contract import DatastoreError

FORMAT = 1
_NO_JSON = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
_END = "DatastoreExportEnd"
LONGEST = 16 << 20  # bytes of one line: ten times what any store takes


class BadExport(DatastoreError):
    """The file is no whole export. The message names the line and what is wrong."""


class Header(Struct, frozen=True, kw_only=True):
    """The first line. `identity` is the store that was exported."""

    kind: Literal["DatastoreExport"] = "DatastoreExport"
    format: int
    release: str
    identity: str


class End(Struct, frozen=True, kw_only=True):
    """The last line: how many objects of each kind, and the sha256 of all bytes before."""

    kind: Literal["DatastoreExportEnd"] = "DatastoreExportEnd"
    objects: int
    counts: dict[str, int]
    digest: str


class _Head(Struct, frozen=True, rename="camel"):
    kind: str = ""
    api_version: str = ""


class Line(NamedTuple):
    """One object: its line's number (from 1) and where it begins in the file."""

    number: int
    offset: int
    resource: Resource


class Writer:
    """Writes an export to a binary file; `end` makes it whole."""

    def __init__(self, file: IO[bytes], release: str, identity: str) -> None:
        self._file = file
        self._hash = sha256()
        self._counts: Counter[str] = Counter()
        self._line(encode_line(Header(format=FORMAT, release=release, identity=identity)))

    def add(self, resource: Resource) -> None:
        """One object. Raises OSError."""
        self._line(encode(resource) + b"\n")
        self._counts[resource.kind] += 1

    def end(self) -> End:
        """The last line."""
        counts = dict(sorted(self._counts.items()))
        digest = f"sha256:{self._hash.hexdigest()}"
        end = End(objects=self._counts.total(), counts=counts, digest=digest)
        self._file.write(encode_line(end))
        self._file.flush()
        return end

    def _line(self, line: bytes) -> None:
        self._hash.update(line)
        self._file.write(line)


def encode_line(value: Struct) -> bytes:
    """A line of the file."""
    return msgspec.json.encode(value) + b"\n"


class Reader:
    """Reads a whole export; `header` is there at once, `end` once `lines` has come to its end."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._hash = sha256()
        self._offset = 0
        self._number = 0
        self.header = self._header()
        self.end: End | None = None

    def lines(self) -> Iterator[Line]:
        """Every object, in the file's order. Raises BadExport, also where the end is wrong."""
        counts: Counter[str] = Counter()
        seen: dict[Key, int] = {}
        while True:
            offset, before = self._offset, self._hash.hexdigest()
            line = self._read()
            if not line:
                raise BadExport(
                    f"the file ends after line {self._number} without its end mark: it is cut off;"
                    " export again"
                )
            head = self._head(line)
            if head.kind == _END:
                self.end = self._checked(line, counts, before)
                return
            resource = self._object(line, head)
            if resource.key in seen:
                raise self._bad(
                    f"{resource.key} is there twice, first in line {seen[resource.key]}"
                )
            seen[resource.key] = self._number
            counts[resource.kind] += 1
            yield Line(self._number, offset, resource)

    def _header(self) -> Header:
        line = self._read()
        if not line:
            raise BadExport("the file is empty: it is no export")
        try:
            header = msgspec.json.decode(line, type=Header)
        except _NO_JSON:
            raise BadExport(
                "line 1: this is no export of a datastore (those are made by `tortie datastore "
                "migrate export`); manifests are put in by `tortie apply`"
            ) from None
        if header.format != FORMAT:
            raise self._bad(f"format {header.format}, and this release reads {FORMAT} only")
        return header

    def _read(self) -> bytes:
        line = self._file.readline(LONGEST + 1)
        if line and not line.endswith(b"\n"):
            self._number += 1
            if len(line) > LONGEST:
                raise self._bad(f"longer than {LONGEST} bytes: no object is")
            raise self._bad("it ends in the middle: the file is cut off; export again")
        if line:
            self._number += 1
            self._offset += len(line)
            self._hash.update(line)
        return line

    def _head(self, line: bytes) -> _Head:
        try:
            return msgspec.json.decode(line, type=_Head)
        except _NO_JSON as error:
            raise self._bad(f"no JSON object: {error}") from None

    def _object(self, line: bytes, head: _Head) -> Resource:
        try:
            resource = decode(kind_of_manifest(head.api_version, head.kind).name, line)
        except (DecodeError, UnknownKind) as error:
            raise self._bad(str(error)) from None
        if not resource.metadata.name:
            raise self._bad(f"a {head.kind} without metadata.name")
        if encode(resource) + b"\n" != line:
            raise self._bad(
                f"{resource.key} has fields that this release does not know, or was changed by "
                f"hand: import with the release that exported ({self.header.release}), or export "
                "again"
            )
        return resource

    def _checked(self, line: bytes, counts: Counter[str], digest: str) -> End:
        try:
            end = msgspec.json.decode(line, type=End)
        except _NO_JSON as error:
            raise self._bad(f"the end mark can't be read: {error}") from None
        if end.counts != dict(counts) or end.objects != counts.total():
            raise self._bad(
                f"the end mark says {end.objects} objects, and there are {counts.total()}: lines "
                "are missing; export again"
            )
        if end.digest != f"sha256:{digest}":
            raise self._bad("the file is not as it was written (another digest): export again")
        if self._file.read(1):
            raise BadExport(f"there is more after the end mark in line {self._number}")
        return end

    def _bad(self, what: str) -> BadExport:
        return BadExport(f"line {self._number}: {what}")


def read_at(file: IO[bytes], offset: int, kind: str) -> Resource:
    """The object that begins there, of a file that was read wholly before."""
    file.seek(offset)
    return decode(kind, file.readline(LONGEST))
