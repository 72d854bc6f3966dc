"""A bundle: items gathered, redacted, and packed into one file that only its owner may read."""

import io
import os
import tarfile
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from tortie.diagnostics.items import LARGEST, Item
from tortie.diagnostics.redact import redact

_AT_ONCE = 4


class Gathered(NamedTuple):
    """An item's text, redacted; `problem` is why there is none."""

    name: str
    text: str
    problem: str = ""


class Written(NamedTuple):
    """Where the bundle is, and which items could not be had."""

    path: Path
    items: int
    problems: tuple[Gathered, ...]


def write_bundle(
    folder: Path, title: str, items: Iterable[Item], told: Callable[[str], None]
) -> Written:
    """Gather all, pack them as `folder`/`title`-<time>.tar.gz. Raises OSError.

    `told` hears of each item when it is there.
    """
    name = f"{title}-{datetime.now(UTC):%Y%m%d-%H%M%S}"
    path = folder / f"{name}.tar.gz"
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        found = [_heard(one, told) for one in pool.map(gather, items)]
    problems = tuple(one for one in found if one.problem)
    contents = [*found, Gathered("README", _summary(name, found))]
    _pack(path, name, contents)
    return Written(path, len(found), problems)


def gather(item: Item) -> Gathered:
    """One item. Nothing that goes wrong with it spoils the others."""
    try:
        text = item.get()
    except Exception as problem:  # whatever it is, it belongs into the bundle, not to its end
        why = redact(str(problem) or type(problem).__name__)
        return Gathered(item.name, f"[could not be had: {why}]\n", why)
    return Gathered(item.name, redact(text[-LARGEST:]))


def _heard(one: Gathered, told: Callable[[str], None]) -> Gathered:
    told(one.name)
    return one


def _summary(name: str, found: Iterable[Gathered]) -> str:
    lines = [
        name,
        "",
        "Keys, tokens and passwords were taken out; names and addresses were not.",
        "",
        *(f"{one.name:<40} {one.problem or 'ok'}" for one in found),
    ]
    return "\n".join(lines) + "\n"


def _pack(path: Path, folder: str, contents: Iterable[Gathered]) -> None:
    now = datetime.now(UTC).timestamp()
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with open(descriptor, "wb") as out, tarfile.open(fileobj=out, mode="w:gz") as archive:
        for one in contents:
            data = one.text.encode()
            member = tarfile.TarInfo(f"{folder}/{one.name}")
            member.size, member.mode, member.mtime = len(data), 0o600, int(now)
            archive.addfile(member, io.BytesIO(data))
