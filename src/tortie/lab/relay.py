"""Carry connections out of namespaces: `relay.py ADDRESS/PORT,… NAMESPACE…`.

It listens at each address inside of each namespace and connects to the same address from where it
runs itself. A socket belongs to the namespace that it was opened in, so that one process can stand
in all of them. It looks at nothing it carries: TLS goes through unchanged.
"""

import asyncio
import socket
import sys
from contextlib import suppress
from functools import partial

from tortie.linux.namespaces import in_namespace

_CHUNK = 1 << 16


async def relay(address: str, port: int, namespaces: list[str]) -> list[asyncio.Server]:
    """Listen in each namespace. Raises OSError."""
    carry = partial(_carry, address, port)
    return [
        await asyncio.start_server(carry, sock=_listener(address, port, namespace))
        for namespace in namespaces
    ]


def _listener(address: str, port: int, namespace: str) -> socket.socket:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with in_namespace(namespace):
        listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((address, port))
    return listener


async def _carry(
    address: str, port: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    try:
        there = await asyncio.open_connection(address, port)
    except OSError:  # as if nobody listened there: the client says so to people
        writer.transport.abort()
        return
    try:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(_pump(reader, there[1]))
            tasks.create_task(_pump(there[0], writer))
    finally:
        there[1].close()
        writer.close()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Carry one direction to its end, and tell the other side of the end."""
    with suppress(OSError):
        while part := await reader.read(_CHUNK):
            writer.write(part)
            await writer.drain()
        writer.write_eof()


async def _run(words: list[str], namespaces: list[str]) -> None:
    for word in words:
        address, _, port = word.partition("/")
        await relay(address, int(port), namespaces)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(_run(sys.argv[1].split(","), sys.argv[2:]))
