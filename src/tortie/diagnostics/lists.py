"""Lists of secrets, in JSON and YAML: each element goes, objects among them stay as they are. Pure.

What is in objects has names of its own, by which others judge it. Elements are counted still.
"""

import re
from collections.abc import Iterator

from tortie.diagnostics.names import GONE, INNER, LISTED, STRING

_WORD = "redacted"  # without brackets of its own, so that the list stays one
_BEGIN = re.compile(rf"(?i)(?<![\w.-]){LISTED}(?:\\?[\"'])?[ \t]*[:=]\s*\[")
_ELEMENT = re.compile(
    rf"(?P<inner>{INNER})|(?P<string>{STRING})|'[^'\n]*'|(?P<mark>\\[nrt]|[\[\]{{}},\s\"'\\])"
    r"|[^\[\]{},\s\"'\\]+"
)
_HEAD = re.compile(rf"(?i)[ \t]*(?:-[ \t]+)?[\"']?{LISTED}[\"']?:[ \t]*$")
_ITEM = re.compile(r"([ \t]*)-[ \t]+(.*)")
_MAPPING = re.compile(r"""(?:[\w./-]+|"[^"]*"|'[^']*')[ \t]*:(?:\s|$)|\{""")


def without_lists(text: str) -> str:
    """The text without elements of lists that have a secret's name."""
    return _without_blocks(_without_brackets(text))


def _without_brackets(text: str) -> str:
    """`tokens: [a, b]`, over lines too. One that nobody closes counts to the end of its line."""
    found, at = [], 0
    while begin := _BEGIN.search(text, at):
        found.append(text[at : begin.end()])
        end = _closed(text, begin.end())
        part = text[begin.end() : end]
        found.append(_elements(part))
        at = end
    return "".join((*found, text[at:]))


def _closed(text: str, start: int) -> int:
    """Where the list ends that begins before `start`."""
    open_lists = 1
    for element in _ELEMENT.finditer(text, start):
        open_lists += (element["mark"] == "[") - (element["mark"] == "]")
        if not open_lists:
            return element.start()
    line = text.find("\n", start)
    return len(text) if line < 0 else line


def _elements(text: str) -> str:
    depth, found = 0, []
    for element in _ELEMENT.finditer(text):
        mark = element["mark"]
        depth = max(0, depth + (mark == "{") - (mark == "}"))
        if mark or depth:
            found.append(element[0])
        elif element["inner"]:
            found.append(f'\\"{GONE}\\"')
        else:
            found.append(f'"{GONE}"' if element["string"] else _WORD)
    return "".join(found)


def _without_blocks(text: str) -> str:
    """YAML's lists, an element a line: without scalars, and what they go on with in other lines."""
    found: list[str] = []
    lines = iter(text.split("\n"))
    line = next(lines, None)
    while line is not None:
        found.append(line)
        line = _items(lines, found) if _HEAD.match(line) else next(lines, None)
    return "\n".join(found)


def _items(lines: Iterator[str], found: list[str]) -> str | None:
    """The items that come now go to `found`; the first line that is none of theirs."""
    line, dash, is_secret = next(lines, None), -1, False
    while line is not None:
        item = _ITEM.match(line)
        depth = len(line) - len(line.lstrip(" \t"))
        if item and dash in (-1, depth):
            dash, is_secret = depth, not _MAPPING.match(item[2])
            found.append(f"{item[1]}- {GONE}" if is_secret else line)
        elif dash < 0 or depth <= dash:
            return line
        elif not is_secret:
            found.append(line)
        line = next(lines, None)
    return None
