"""The pages of the documentation as data: their settings, and their blocks of code.

<!-- setting: lab -->            where a page's commands run (folder where it says nothing)
<!-- not run: the reason -->     before a block of commands: they are only parsed
<!-- no resource: what it is --> before a block of YAML that is no resource of ours
"""

import re
from pathlib import Path
from typing import NamedTuple

CHECKOUT = Path(__file__).parents[2]
_SETTING = re.compile(r"^<!-- setting: (\w+) -->$")
_NOTE = re.compile(r"^<!-- (not run|no resource): (.+) -->$")
_FENCE = re.compile(r"^(\s*)```(\w*)\s*$")
_NAMED = re.compile(r"^# ([\w.-]+\.ya?ml)$")


class Block(NamedTuple):
    """A fenced block. `excuse` is why it is not run, or is no resource."""

    line: int
    language: str
    text: str
    excuse: str = ""

    @property
    def file(self) -> str:
        """The name of the file that a block of YAML is to be; "" for an unnamed one."""
        found = _NAMED.match(self.text.split("\n", 1)[0])
        return found.group(1) if found else ""


class Page(NamedTuple):
    """One page."""

    path: Path
    setting: str
    blocks: tuple[Block, ...]
    indented: tuple[str, ...]
    """Lines outside of fences that look like blocks of code of the older kind."""

    @property
    def name(self) -> str:
        """Below the checkout."""
        return str(self.path.relative_to(CHECKOUT))


def read_page(path: Path) -> Page:
    """A page. Raises ValueError where a fence is not closed."""
    lines = path.read_text(encoding="utf-8").splitlines()
    setting, blocks, indented = "folder", list[Block](), list[str]()
    at = 0
    while at < len(lines):
        if found := _SETTING.match(lines[at]):
            setting = found.group(1)
        elif fence := _FENCE.match(lines[at]):
            end = _closing(lines, at, path)
            inside = [line.removeprefix(fence.group(1)) for line in lines[at + 1 : end]]
            excuse = _NOTE.match(lines[at - 1].strip()) if at else None
            text = "\n".join(inside) + "\n"
            blocks.append(Block(at + 1, fence.group(2), text, excuse.group(2) if excuse else ""))
            at = end
        elif lines[at].startswith("    "):
            indented.append(lines[at].strip())
        at += 1
    return Page(path, setting, tuple(blocks), tuple(indented))


def _closing(lines: list[str], at: int, path: Path) -> int:
    for end in range(at + 1, len(lines)):
        if lines[end].strip() == "```":
            return end
    raise ValueError(f"{path}:{at + 1}: this block never ends")


def pages() -> list[Page]:
    """All of them: the documentation's, the README, how to contribute."""
    found = [CHECKOUT / "README.md", CHECKOUT / "CONTRIBUTING.md"]
    found += sorted((CHECKOUT / "docs").rglob("*.md"))
    return [read_page(path) for path in found]
