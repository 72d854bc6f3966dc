"""Programs for Linux as bytes: what they need, and where they look for it. Pure.

A program names the loader that starts it by an absolute path, and looks for its libraries where the
machine has them. To run on a machine that has neither, a copy is made to name its own loader and to
look beside itself. Both texts go into a new segment at the end, which takes the place of a note's
in the table of segments, as patchelf does it too (ELF-64 Object File Format, 1.5).
"""

import struct
from typing import NamedTuple

from tortie.cni.installer.errors import InstallError

_HEADER = struct.Struct("<16sHHIQQQIHHHHHH")
_SEGMENT = struct.Struct("<IIQQQQQQ")
_ENTRY = struct.Struct("<qQ")
_LOAD, _DYNAMIC, _INTERPRETER, _NOTE = 1, 2, 3, 4
_NULL, _NEEDED, _STRINGS, _STRINGS_SIZE, _RPATH, _RUNPATH = 0, 1, 5, 10, 15, 29
_READABLE = 4


class _Segment(NamedTuple):
    kind: int
    flags: int
    offset: int
    address: int
    physical: int
    file_size: int
    memory_size: int
    alignment: int

    def holds(self, address: int) -> bool:
        return self.kind == _LOAD and 0 <= address - self.address < self.file_size


class _Program(NamedTuple):
    data: bytes
    table: int  # offset of the segments' table
    segments: list[_Segment]
    entries: list[tuple[int, int]]  # of the dynamic section, in their order

    def value(self, tag: int) -> int | None:
        return next((value for found, value in self.entries if found == tag), None)

    @property
    def strings(self) -> bytes:
        address, size = self.value(_STRINGS), self.value(_STRINGS_SIZE)
        holder = next((one for one in self.segments if one.holds(address or -1)), None)
        if address is None or size is None or holder is None:
            raise InstallError("the interpreter is no program that libraries are linked to")
        start = holder.offset + address - holder.address
        return self.data[start : start + size]

    def text(self, offset: int) -> str:
        return self.strings[offset:].partition(b"\0")[0].decode("utf-8", "replace")


def needed(data: bytes) -> tuple[str, ...]:
    """The names of the libraries that a program or a library is linked to. Raises InstallError."""
    program = _read(data)
    return tuple(program.text(value) for tag, value in program.entries if tag == _NEEDED)


def loader(data: bytes) -> str:
    """The path of the loader that starts a program. Raises InstallError."""
    found = _first(_read(data), _INTERPRETER)
    return data[found.offset : found.offset + found.file_size].rstrip(b"\0").decode()


def relocated(data: bytes, loader: str, libraries: str) -> bytes:
    """The program, started by the loader at that path, its libraries looked for in that folder.

    Raises InstallError.
    """
    program = _read(data)
    strings = program.strings + b"\0"
    texts = strings + libraries.encode() + b"\0"
    path = loader.encode() + b"\0"
    segment = _appended(program, len(texts + path))
    found = bytearray(data.ljust(segment.offset, b"\0") + texts + path)
    _put_entries(found, program, segment.address, len(texts), len(strings))
    place = segment.address + len(texts)
    interpreter = _first(program, _INTERPRETER)._replace(
        offset=segment.offset + len(texts),
        address=place,
        physical=place,
        file_size=len(path),
        memory_size=len(path),
    )
    _put_segment(found, program, _INTERPRETER, interpreter)
    _put_segment(found, program, _NOTE, segment)
    return bytes(found)


def without_folders(data: bytes) -> bytes:
    """The library, looking for others where the program says and nowhere else."""
    program = _read(data)
    kept = [entry for entry in program.entries if entry[0] not in (_RPATH, _RUNPATH)]
    found = bytearray(data)
    _put_dynamic(found, program, kept)
    return bytes(found)


def _read(data: bytes) -> _Program:
    try:
        header = _HEADER.unpack_from(data)
        if header[0][:6] != b"\x7fELF\x02\x01":
            raise InstallError("the interpreter is no 64-bit little-endian ELF program")
        table, count = header[5], header[10]
        segments = [
            _Segment(*_SEGMENT.unpack_from(data, table + number * _SEGMENT.size))
            for number in range(count)
        ]
        found = _Program(data, table, segments, [])
        dynamic = _first(found, _DYNAMIC)
        found.entries.extend(
            _ENTRY.unpack_from(data, dynamic.offset + at)
            for at in range(0, dynamic.file_size, _ENTRY.size)
        )
    except struct.error:
        raise InstallError("the interpreter's program ends too early") from None
    return found


def _first(program: _Program, kind: int) -> _Segment:
    for segment in program.segments:
        if segment.kind == kind:
            return segment
    raise InstallError(f"the interpreter's program has no segment of kind {kind}")


def _appended(program: _Program, size: int) -> _Segment:
    """A segment behind all others, in the file and in memory."""
    loads = [segment for segment in program.segments if segment.kind == _LOAD]
    page = max(segment.alignment for segment in loads)
    end = max(segment.address + segment.memory_size for segment in loads)
    offset, address = -(-len(program.data) // page) * page, -(-end // page) * page
    return _Segment(_LOAD, _READABLE, offset, address, address, size, size, page)


def _put_entries(
    found: bytearray, program: _Program, strings: int, size: int, libraries: int
) -> None:
    """The table of strings is the appended one, and names where libraries are."""
    kept = [
        (tag, {_STRINGS: strings, _STRINGS_SIZE: size}.get(tag, value))
        for tag, value in program.entries
        if tag not in (_NULL, _RPATH, _RUNPATH)
    ]
    _put_dynamic(found, program, [*kept, (_RPATH, libraries), (_NULL, 0)])


def _put_dynamic(found: bytearray, program: _Program, entries: list[tuple[int, int]]) -> None:
    missing = len(program.entries) - len(entries)
    if missing < 0:
        raise InstallError("the interpreter's program has no room to say where libraries are")
    offset = _first(program, _DYNAMIC).offset
    for number, entry in enumerate([*entries, *[(_NULL, 0)] * missing]):
        _ENTRY.pack_into(found, offset + number * _ENTRY.size, *entry)


def _put_segment(found: bytearray, program: _Program, kind: int, segment: _Segment) -> None:
    place = program.segments.index(_first(program, kind))
    _SEGMENT.pack_into(found, program.table + place * _SEGMENT.size, *segment)
