"""Programs that outlive our daemons: BIRD, and wireguard-go where the kernel has no WireGuard."""

import asyncio
from collections.abc import Sequence

from tortie.bgp.bird import Bird, Unusable
from tortie.bgp.control import BirdAway
from tortie.bgp.places import FOLDER
from tortie.dataplane.wireguard.process import end, record_of
from tortie.install.reset.places import Places
from tortie.linux.processes import start_of

_BIRD = "bird"


class BirdProcess:
    """BIRD, if it runs: it would write its routes again."""

    title = "BIRD"

    def __init__(self, places: Places) -> None:
        self._folder = places.run_dir / FOLDER / _BIRD

    @property
    def was_here(self) -> bool:
        """Whether a BIRD of ours ran since the machine started: then its routes are ours."""
        return self._folder.is_dir()

    def find(self) -> Sequence[str]:
        """Its process."""
        process = asyncio.run(self._process()) if self.was_here else 0
        return [f"process {process}"] if process else []

    def remove(self) -> None:
        """End it."""
        if self.was_here:
            asyncio.run(self._end())

    async def _process(self) -> int:
        try:
            async with await Bird(str(self._folder)).connect() as control:
                return control.process
        except (BirdAway, Unusable):
            return 0

    async def _end(self) -> None:
        process = await self._process()
        if process:
            bird = Bird(str(self._folder))
            bird.process = process
            await bird.stop()


class WireguardProcesses:
    """A wireguard-go for each device."""

    title = "wireguard-go"

    def __init__(self, places: Places) -> None:
        self._ends = places.wireguard

    def find(self) -> Sequence[str]:
        """Their devices and processes."""
        found = []
        for each in self._ends:
            record = record_of(each.sockets, each.device)
            try:
                process, started = map(int, record.read_text().split())
            except (FileNotFoundError, ValueError):
                continue
            if start_of(process) == started:
                found.append(f"{each.device}: process {process}")
        return found

    def remove(self) -> None:
        """End them; their devices go with them."""
        for each in self._ends:
            end(each.sockets, each.device)
