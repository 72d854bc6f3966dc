"""YAML (and so JSON) text as plain data that remembers its lines.

The C parser only splits the text into events; data is built here, because that gives the lines,
refuses keys given twice, and sets bounds to nesting and aliases, which libyaml leaves open.
Plain scalars are read as Kubernetes does: no dates, no base-60 numbers.
"""

import re
from collections.abc import Iterator
from typing import Any, NamedTuple

import yaml

MAX_DEPTH = 100  # nested lists and objects
MAX_ALIASED = 200_000  # values of one text that stand there by aliases only

_DOCUMENT = re.compile(r"^---(?=\s|$)", re.MULTILINE)
_BOOL = re.compile(
    r"(true|True|TRUE|yes|Yes|YES|on|On|ON)|(false|False|FALSE|no|No|NO|off|Off|OFF)"
)
_NULL = re.compile(r"~|null|Null|NULL|")
_INT = re.compile(r"[-+]?(?:0x[0-9a-fA-F]+|0o[0-7]+|0b[01]+|0[0-7]+|0|[1-9][0-9_]*)")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9][0-9_]*(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_PAIR = re.compile(  # behind an even number of backslashes, so that the first is no escaped one
    r"(?<!\\)((?:\\\\)*)\\u([dD][89abAB][0-9a-fA-F]{2})\\u([dD][c-fC-F][0-9a-fA-F]{2})"
)
_SPECIAL = re.compile(r"([-+]?)\.(?:(inf|Inf|INF)|nan|NaN|NAN)")
_TAGS = {f"tag:yaml.org,2002:{name}" for name in ("str", "int", "float", "bool", "null")}
_CONTAINER_TAGS = {None, "!", "tag:yaml.org,2002:map", "tag:yaml.org,2002:seq"}


class YamlError(ValueError):
    """Text that is no YAML; `line` counts from 1."""

    def __init__(self, line: int, message: str, suggestion: str = "") -> None:
        super().__init__(message)
        self.line = line
        self.message = message
        self.suggestion = suggestion


class Object(dict[str, Any]):
    """A mapping, with the line of each key and its own."""

    __slots__ = ("line", "lines", "size")

    def __init__(self, line: int) -> None:
        super().__init__()
        self.line = line
        self.lines: dict[str, int] = {}
        self.size = 1


class List(list[Any]):
    """A sequence, with the line of each item and its own."""

    __slots__ = ("line", "lines", "size")

    def __init__(self, line: int) -> None:
        super().__init__()
        self.line = line
        self.lines: list[int] = []
        self.size = 1


class Document(NamedTuple):
    """One document: its data and the line that it begins on."""

    line: int
    data: Any


class Aliased:
    """How many values the aliases of a text stand for, so that few bytes can't mean very many."""

    def __init__(self) -> None:
        self.values = 0

    def add(self, values: int, line: int) -> None:
        """Raises YamlError above the bound."""
        self.values += values
        if self.values > MAX_ALIASED:
            raise YamlError(line, f"more than {MAX_ALIASED} values, with aliases written out")


def read_documents(text: str) -> Iterator[Document | YamlError]:
    """The documents in order, empty ones left out; a broken one does not hide those after it."""
    text = text.removeprefix("\ufeff")
    starts = [match.start() for match in _DOCUMENT.finditer(text)]
    line = 1
    aliased = Aliased()
    for start, end in zip([0, *starts], [*starts, len(text)], strict=True):
        piece = text[start:end]
        if not _only_comments(piece):
            yield from _read_piece(_with_pairs(piece), line, aliased)
        line += piece.count("\n")


def _only_comments(piece: str) -> bool:
    """Also directives, which say nothing that is needed here."""
    lines = piece.removeprefix("---").splitlines()
    return all(not line.strip() or line.lstrip()[0] == "#" or line[0] == "%" for line in lines)


def _with_pairs(piece: str) -> str:
    """JSON writes a character beyond 16 bits as two escapes, which YAML does not know."""
    if "\\u" not in piece or piece.removeprefix("---").lstrip()[:1] not in ("{", "["):
        return piece
    return _PAIR.sub(
        lambda pair: pair[1] + bytes.fromhex(pair[2] + pair[3]).decode("utf-16-be"), piece
    )


def _read_piece(piece: str, first_line: int, aliased: Aliased) -> Iterator[Document | YamlError]:
    try:
        for document in _build(piece, first_line, aliased):
            if document.data is not None:
                yield document
    except YamlError as error:
        yield error
    except yaml.MarkedYAMLError as error:
        yield _marked(error, piece, first_line)
    except yaml.reader.ReaderError as error:
        yield YamlError(first_line, f"broken YAML: {error.reason}")
    except UnicodeEncodeError as error:
        line = first_line + piece.count("\n", 0, error.start)
        yield YamlError(line, "broken YAML: a character that is no text (a lone surrogate)")


def _marked(error: yaml.MarkedYAMLError, piece: str, first_line: int) -> YamlError:
    mark = error.problem_mark or error.context_mark
    number = mark.line if mark else 0
    lines = piece.splitlines()
    found = lines[number] if number < len(lines) else ""
    indent = found[: len(found) - len(found.lstrip())]
    hint = "indent with spaces, not tabs" if "\t" in indent else ""
    context = f" {error.context}" if error.context else ""
    return YamlError(first_line + number, f"broken YAML: {error.problem}{context}", hint)


def _build(piece: str, first_line: int, aliased: Aliased) -> Iterator[Document]:
    builder = _Builder(first_line, aliased)
    for event in yaml.parse(piece, Loader=yaml.CSafeLoader):
        if isinstance(event, yaml.DocumentStartEvent):
            builder = _Builder(first_line, aliased)
        elif isinstance(event, yaml.DocumentEndEvent):
            yield Document(builder.line, builder.result)
        else:
            builder.take(event)


class _Key(NamedTuple):
    """A key whose value is awaited; `merges` makes the value's fields those of the object."""

    name: str
    line: int
    merges: bool


class _Builder:
    """Builds one document's data from events, without recursion."""

    def __init__(self, first_line: int, aliased: Aliased) -> None:
        self.line = first_line
        self.result: Any = None
        self._first_line = first_line
        self._open: list[Object | List] = []
        self._keys: list[_Key | None] = []
        self._anchors: dict[str, Any] = {}
        self._pending: list[str | None] = []
        self._aliased = aliased

    def take(self, event: yaml.Event) -> None:
        """One event of the document. Raises YamlError."""
        match event:
            case yaml.MappingStartEvent():
                self._begin(Object(self._line(event)), event)
            case yaml.SequenceStartEvent():
                self._begin(List(self._line(event)), event)
            case yaml.MappingEndEvent() | yaml.SequenceEndEvent():
                self._end()
            case yaml.AliasEvent():
                self._put(self._alias(event), event)
            case yaml.ScalarEvent():
                self._scalar(event)

    def _line(self, event: yaml.Event) -> int:
        mark = event.start_mark
        return self._first_line + (mark.line if mark else 0)

    def _begin(self, container: Object | List, event: yaml.CollectionStartEvent) -> None:
        if event.tag not in _CONTAINER_TAGS:
            raise YamlError(self._line(event), f"the tag {event.tag} is not supported")
        if len(self._open) >= MAX_DEPTH:
            raise YamlError(self._line(event), f"nested deeper than {MAX_DEPTH} levels")
        self._need_no_key(event)
        if not self._open:
            self.line = container.line
        self._open.append(container)
        self._pending.append(event.anchor)
        self._keys.append(None)

    def _need_no_key(self, event: yaml.Event) -> None:
        if self._open and isinstance(self._open[-1], Object) and self._keys[-1] is None:
            raise YamlError(self._line(event), "a key must be text, not a list or an object")

    def _end(self) -> None:
        container = self._open.pop()
        anchor = self._pending.pop()
        self._keys.pop()
        if anchor is not None:
            self._anchors[anchor] = container
        self._place(container, container.line, container.size)

    def _alias(self, event: yaml.AliasEvent) -> Any:
        if event.anchor not in self._anchors:
            raise YamlError(self._line(event), f"the alias *{event.anchor} stands for nothing")
        return self._anchors[event.anchor]

    def _scalar(self, event: yaml.ScalarEvent) -> None:
        if self._open and isinstance(self._open[-1], Object) and self._keys[-1] is None:
            merges = event.value == "<<" and event.implicit[0]  # in quotes it is a name
            self._keys[-1] = _Key(event.value, self._line(event), merges)
            self._check_twice(self._open[-1], event)
            return
        value = self._value(event)
        if event.anchor is not None:
            self._anchors[event.anchor] = value
        self._put(value, event)

    def _check_twice(self, container: Object, event: yaml.ScalarEvent) -> None:
        if event.value in container.lines:
            before = container.lines[event.value]
            message = f"the key {event.value!r} is there twice, first on line {before}"
            raise YamlError(self._line(event), message)

    def _value(self, event: yaml.ScalarEvent) -> Any:
        if event.tag in (None, "!"):
            return resolve(event.value) if event.implicit[0] else event.value
        if event.tag not in _TAGS:
            raise YamlError(self._line(event), f"the tag {event.tag} is not supported")
        return event.value if event.tag.endswith(":str") else resolve(event.value)

    def _put(self, value: Any, event: yaml.Event) -> None:
        size = value.size if isinstance(value, Object | List) else 1
        if isinstance(event, yaml.AliasEvent):
            self._need_no_key(event)
            self._aliased.add(size, self._line(event))
        self._place(value, self._line(event), size)

    def _place(self, value: Any, line: int, size: int) -> None:
        if not self._open:
            self.result = value
            return
        parent = self._open[-1]
        parent.size += size
        if isinstance(parent, List):
            parent.append(value)
            parent.lines.append(line)
        else:
            self._set(parent, value, line)

    def _set(self, parent: Object, value: Any, line: int) -> None:
        key = self._keys[-1] or _Key("", line, False)
        self._keys[-1] = None
        if key.merges and isinstance(value, Object | List):
            self._merge(parent, value, key.line)
        else:
            parent[key.name] = value
            parent.lines[key.name] = key.line

    def _merge(self, parent: Object, value: Object | List, line: int) -> None:
        """A merge key: fields of other objects where this one has none of that name."""
        for source in [value] if isinstance(value, Object) else value:
            if not isinstance(source, Object):
                raise YamlError(line, "<< merges objects only")
            for key, item in source.items():
                parent.setdefault(key, item)


def resolve(text: str) -> Any:
    """The value of a scalar without quotes: null, a boolean, a number or text."""
    if _NULL.fullmatch(text):
        return None
    if found := _BOOL.fullmatch(text):
        return found[1] is not None
    if _INT.fullmatch(text):
        return _integer(text.replace("_", ""))
    if _FLOAT.fullmatch(text):
        return float(text.replace("_", ""))
    if found := _SPECIAL.fullmatch(text):
        return float(f"{found[1]}{'inf' if found[2] else 'nan'}")
    return text


def _integer(text: str) -> int | float:
    """Beyond 64 bits a float, as in JSON. A leading 0 is octal, as in YAML 1.1."""
    if len(text) > 70:
        return float(text) if text.lstrip("+-").isdigit() else float("inf")
    digits = text.lstrip("+-")
    octal = len(digits) > 1 and digits[0] == "0" and digits.isdigit()
    number = int(digits, 8 if octal else 0)
    number = -number if text[0] == "-" else number
    return number if -(2**63) <= number < 2**64 else float(number)
