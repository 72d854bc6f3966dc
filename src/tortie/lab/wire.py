"""Ask a process of the lab: one JSON object a line, over its unix socket."""

import asyncio
import os
from pathlib import Path
from typing import Any

import msgspec

from tortie.lab.errors import LabError

_LINE_LIMIT = 4 << 20  # bytes: a matrix of thousands of answers
_RETRY = 0.01  # seconds


async def ask(path: Path, request: dict[str, object], patience: float) -> dict[str, Any]:
    """Send a request, return the reply. Raises LabError when there is none in time."""
    try:
        async with asyncio.timeout(patience):
            reader, writer = await asyncio.open_unix_connection(path, limit=_LINE_LIMIT)
            try:
                writer.write(msgspec.json.encode(request) + b"\n")
                line = await reader.readline()
            finally:
                writer.close()
    except TimeoutError:
        raise LabError(f"{path}: no reply in {patience:g} s") from None
    except OSError as error:
        raise LabError(f"{path}: {(error.strerror or str(error)).lower()}") from None
    if not line:
        raise LabError(f"{path}: closed without a reply")
    reply: dict[str, Any] = msgspec.json.decode(line)
    return reply


async def ask_when_up(path: Path, request: dict[str, object], patience: float) -> dict[str, Any]:
    """As `ask`, of a process that is still starting."""
    clock = asyncio.get_running_loop().time
    deadline = clock() + patience
    while not os.path.exists(path) and clock() < deadline:  # noqa: ASYNC110, ASYNC240 - no event tells of another process's socket
        await asyncio.sleep(_RETRY)
    return await ask(path, request, max(0.1, deadline - clock()))
