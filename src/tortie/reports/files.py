"""Reports of one machine's nodes: a file each, in a folder beside the SQLite file."""

import asyncio
import os
from pathlib import Path
from urllib.parse import quote

from tortie.datastore.contract import Unavailable
from tortie.reports.report import Report, decode, encode


class FileShelf:
    """`folder` is made when something is put there; only its owner may look into it."""

    def __init__(self, folder: str) -> None:
        self._folder = Path(folder)

    async def put(self, report: Report) -> None:
        """See `Shelf.put`."""
        try:
            await asyncio.to_thread(self._write, report)
        except OSError as error:
            raise Unavailable(f"{self._folder} can't be written: {error.strerror}") from None

    async def all(self) -> list[Report]:
        """See `Shelf.all`. A command reads it without an event loop: it waits for nothing."""
        return self._read()

    def _write(self, report: Report) -> None:
        self._folder.mkdir(mode=0o700, exist_ok=True)
        path = self._folder / f"{_safe(report.node)},{_safe(report.component)}.json"
        written = path.with_suffix(f".{os.getpid()}")
        descriptor = os.open(written, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with open(descriptor, "wb") as file:
            file.write(encode(report))
        written.replace(path)

    def _read(self) -> list[Report]:
        found = []
        try:
            for path in sorted(self._folder.glob("*.json")):
                report = decode(path.read_bytes())
                found += [report] if report else []
        except OSError as error:
            raise Unavailable(f"{self._folder} can't be read: {error.strerror}") from None
        return found


def _safe(name: str) -> str:
    """One segment of a path, whatever the name."""
    return quote(name, safe="").replace(".", "%2E")
