"""kubectl's JSONPath: `-o jsonpath=…`, and the paths of `-o custom-columns=…`. Pure.

{.metadata.name}  {.items[*].spec.nets[0]}  {.items[-1:].kind}  {..name}
{.metadata.labels['a/b']}  {.metadata.labels.a\\.b}  {.spec['cidr','vxlanMode']}
{.status.conditions[?(@.type=="Ready")].status}
{range .items[*]}{.metadata.name}{"\\n"}{end}
"""

import json
import operator
import re
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from typing import Any, NamedTuple

Step = Callable[[Any], Iterator[Any]]

_NAME = re.compile(r"(\.\.?)?((?:[^.\[\]\\{}\s]|\\.)+)")
_BRACKET = re.compile(r"\.?\[((?:'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\"|[^\]'\"])*)\]")
_SLICE = re.compile(r"(-?\d+)?:(-?\d+)?(?::(-?\d+))?")
_QUOTED = re.compile(r"'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\"")
_FILTER = re.compile(r"\?\(\s*(@[^=!<>]*?)\s*(?:(==|!=|<=|>=|<|>)\s*(.+?)\s*)?\)")
_ACTION = re.compile(r"\{((?:'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\"|[^}'\"])*)\}")
_COMPARED: dict[str, Callable[[Any, Any], bool]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


class JsonPathError(ValueError):
    """What is wrong, and at which column (from 1) of the text."""

    def __init__(self, message: str, text: str, position: int) -> None:
        super().__init__(f"jsonpath:{position + 1}: {message} in {text!r}")


class Path(NamedTuple):
    """Steps from a value to the values in it."""

    steps: tuple[Step, ...]

    def find(self, value: Any) -> list[Any]:
        """All values there; none where the path leads nowhere."""
        found = [value]
        for step in self.steps:
            found = [item for each in found for item in step(each)]
        return found


class Loop(NamedTuple):
    """`{range PATH}…{end}`."""

    path: Path
    body: tuple["Part", ...]


Part = str | Path | Loop


class Template(NamedTuple):
    """Text with paths in it."""

    parts: tuple[Part, ...]

    def render(self, value: Any) -> str:
        """The text for a value; several values of one path stand a blank apart."""
        return "".join(_rendered(self.parts, value))


@lru_cache
def parse_path(text: str) -> Path:
    """The path in ".spec.cidr", "{.spec.cidr}" or "spec.cidr". Raises JsonPathError."""
    inner = text[1:-1] if text.startswith("{") and text.endswith("}") else text
    return _path(inner.strip(), text, text.find(inner.strip()))


@lru_cache
def parse_template(text: str) -> Template:
    """A template; without any braces it is a path. Raises JsonPathError."""
    if "{" not in text:
        return Template((parse_path(text),))
    reading, position = _Reading(text), 0
    while position < len(text):
        opening = text.find("{", position)
        if opening == position:
            match = _ACTION.match(text, position)
            if match is None:
                raise JsonPathError("the { is never closed", text, position)
            reading.action(match.group(1).strip(), position)
            position = match.end()
        else:
            end = opening if opening >= 0 else len(text)
            reading.parts.append(text[position:end])
            position = end
    return reading.whole()


class _Reading:
    """A template as far as it was read: parts of what is innermost, and loops around it."""

    def __init__(self, text: str) -> None:
        self.parts: list[Part] = []
        self._text = text
        self._outer: list[tuple[Path, list[Part]]] = []

    def action(self, inner: str, position: int) -> None:
        """What stands between braces."""
        if inner.split(maxsplit=1)[:1] == ["range"]:
            self._outer.append((_path(inner[5:].strip(), self._text, position), self.parts))
            self.parts = []
        elif inner == "end":
            self._end(position)
        elif _QUOTED.fullmatch(inner):
            self.parts.append(_unquoted(inner))
        else:
            self.parts.append(_path(inner, self._text, position + 1))

    def whole(self) -> Template:
        """The template. Raises JsonPathError for a loop that is not ended."""
        if self._outer:
            raise JsonPathError("{range} has no {end}", self._text, len(self._text))
        return Template(tuple(self.parts))

    def _end(self, position: int) -> None:
        if not self._outer:
            raise JsonPathError("{end} without {range}", self._text, position)
        path, before = self._outer.pop()
        before.append(Loop(path, tuple(self.parts)))
        self.parts = before


def shown(value: Any) -> str:
    """Text as it is, anything else as JSON."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _rendered(parts: tuple[Part, ...], value: Any) -> Iterator[str]:
    for part in parts:
        if isinstance(part, str):
            yield part
        elif isinstance(part, Path):
            yield " ".join(map(shown, part.find(value)))
        else:
            for item in part.path.find(value):
                yield from _rendered(part.body, item)


def _path(inner: str, text: str, begin: int) -> Path:
    steps: list[Step] = []
    position = 1 if inner[:1] in ("$", "@") else 0
    if inner[position:] == ".":
        return Path(())
    while position < len(inner):
        if match := _BRACKET.match(inner, position):
            steps.append(_bracket(match.group(1).strip(), text, begin + position))
        elif match := _NAME.match(inner, position):
            steps.append(_name(match))
        else:
            raise JsonPathError(f"unexpected {inner[position]!r}", text, begin + position)
        position = match.end()
    return Path(tuple(steps))


def _name(match: re.Match[str]) -> Step:
    name = re.sub(r"\\(.)", r"\1", match.group(2))
    step = _all if match.group(2) == "*" else _keyed(name)
    return _below(step) if match.group(1) == ".." else step


def _bracket(inner: str, text: str, position: int) -> Step:
    if inner == "*":
        return _all
    if match := _FILTER.fullmatch(inner):
        return _filtered(match, text, position)
    if match := _SLICE.fullmatch(inner):
        return _sliced(match, text, position)
    keys = [key.strip() for key in re.findall(rf"{_QUOTED.pattern}|[^,]+", inner)]
    if not keys or not all(re.fullmatch(r"-?\d+", k) or _QUOTED.fullmatch(k) for k in keys):
        raise JsonPathError(f"[{inner}] is no index, name or filter", text, position)
    steps = [_keyed(_unquoted(key)) if key[0] in "'\"" else _indexed(int(key)) for key in keys]
    return lambda value: (item for step in steps for item in step(value))


def _sliced(match: re.Match[str], text: str, position: int) -> Step:
    begin, end, stride = (int(part) if part else None for part in match.groups())
    if stride == 0:
        raise JsonPathError("a slice can't have the step 0", text, position)
    return lambda value: iter(value[begin:end:stride] if isinstance(value, list) else ())


def _all(value: Any) -> Iterator[Any]:
    if isinstance(value, Mapping):
        yield from value.values()
    elif isinstance(value, list | tuple):
        yield from value


def _keyed(name: str) -> Step:
    def step(value: Any) -> Iterator[Any]:
        if isinstance(value, Mapping) and name in value:
            yield value[name]

    return step


def _indexed(index: int) -> Step:
    def step(value: Any) -> Iterator[Any]:
        if isinstance(value, list | tuple) and -len(value) <= index < len(value):
            yield value[index]

    return step


def _below(step: Step) -> Step:
    def everywhere(value: Any) -> Iterator[Any]:
        yield from step(value)
        for item in _all(value):
            yield from everywhere(item)

    return everywhere


def _filtered(match: re.Match[str], text: str, position: int) -> Step:
    inner, sign, wanted = match.groups()
    path = _path(inner, text, position)
    if sign is None:
        return lambda value: (item for item in _all(value) if path.find(item))
    try:
        right = _unquoted(wanted) if _QUOTED.fullmatch(wanted) else json.loads(wanted)
    except ValueError:
        raise JsonPathError(f"{wanted} is no number or text in quotes", text, position) from None

    def holds(item: Any) -> bool:
        try:
            return any(_COMPARED[sign](left, right) for left in path.find(item))
        except TypeError:  # text with a number: neither is less
            return False

    return lambda value: (item for item in _all(value) if holds(item))


def _unquoted(text: str) -> str:
    """The text in quotes of either kind, with the escapes of JSON."""
    inner = text[1:-1]
    if text.startswith("'"):
        inner = re.sub(r'\\(\')|(")', lambda m: m.group(1) or '\\"', inner)
    try:
        return str(json.loads(f'"{inner}"', strict=False))
    except ValueError:
        return inner
