"""One thing of a bundle: its name, and how to get it in bounded time and size."""

import json
import os
import shutil
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

SECONDS = 20.0  # for one command
LARGEST = 8 << 20  # bytes of one item; a full table of routes is less


class Item(NamedTuple):
    """`get` returns text; what it raises (OSError, ValueError, a daemon's refusal) is noted."""

    name: str
    get: Callable[[], str]


def command(name: str, *words: str) -> Item:
    """The output of a command, with what it complained of."""
    return Item(name, lambda: _output(words))


def file(name: str, path: str | os.PathLike[str]) -> Item:
    """A file's end: the last LARGEST bytes of it."""
    return Item(name, lambda: _tail(Path(path)))


def answer(name: str, ask: Callable[[], Any]) -> Item:
    """What a daemon answers, as JSON."""
    return Item(name, lambda: json.dumps(ask(), indent=2, sort_keys=True, default=str))


def _output(words: Sequence[str]) -> str:
    program = shutil.which(words[0])
    if program is None:
        raise OSError(f"there is no {words[0]} on this machine")
    try:
        ran = subprocess.run(
            [program, *words[1:]],
            capture_output=True,
            timeout=SECONDS,
            stdin=subprocess.DEVNULL,
            env={"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C.UTF-8"},
        )
    except subprocess.TimeoutExpired:
        raise OSError(f"{words[0]} had not ended after {SECONDS:.0f} s") from None
    text = ran.stdout[-LARGEST:].decode(errors="replace")
    if ran.returncode:
        text += f"\n[exit status {ran.returncode}]"
    if ran.stderr:
        text += f"\n[standard error]\n{ran.stderr[-LARGEST:].decode(errors='replace')}"
    return text


def _tail(path: Path) -> str:
    with path.open("rb") as opened:
        length = opened.seek(0, os.SEEK_END)
        opened.seek(max(0, length - LARGEST))
        return opened.read(LARGEST).decode(errors="replace")
