"""A TCP proxy that breaks connections in the ways that networks do."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class Proxy:
    """Passes on what comes, until told otherwise. `endpoint` is where clients go."""

    def __init__(self, target: int) -> None:
        self._target = target
        self._held: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._frozen: set[asyncio.Task[None]] = set()
        self.accepted = 0
        self.port = 0

    @property
    def endpoint(self) -> str:
        """The address that clients use in place of the server's."""
        return f"https://127.0.0.1:{self.port}"

    def cut(self) -> None:
        """Reset all connections; new ones work."""
        for writer in tuple(self._held):
            writer.transport.abort()

    def freeze(self) -> None:
        """Pass nothing on in the connections that are open, which stay open; new ones work."""
        self._frozen |= self._tasks

    async def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One client."""
        self.accepted += 1
        there_reader, there_writer = await asyncio.open_connection("127.0.0.1", self._target)
        for source, sink in ((reader, there_writer), (there_reader, writer)):
            task = asyncio.ensure_future(self._pass(source, sink))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _pass(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        self._held.add(sink)
        try:
            while data := await source.read(1 << 16):
                if asyncio.current_task() in self._frozen:
                    await asyncio.Event().wait()
                sink.write(data)
                await sink.drain()
        except OSError:
            pass
        finally:
            self._held.discard(sink)
            sink.close()

    async def close(self) -> None:
        """End everything."""
        tasks = tuple(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@asynccontextmanager
async def proxy_of(target: int) -> AsyncIterator[Proxy]:
    """A proxy before a port of this machine."""
    proxy = Proxy(target)
    server = await asyncio.start_server(proxy.accept, "127.0.0.1", 0)
    proxy.port = server.sockets[0].getsockname()[1]
    try:
        yield proxy
    finally:
        server.close()
        await proxy.close()
