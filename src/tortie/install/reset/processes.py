"""Programs that outlive our daemons: BIRD, and wireguard-go where the kernel has no WireGuard."""

import asyncio
from collections.abc import Sequence

from tortie.bgp.places import FOLDER
from tortie.bgp.processes import running_in
from tortie.bgp.running import end_left
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
        return [f"process {each}" for each in running_in(self._folder)]

    def remove(self) -> None:
        """End it."""
        asyncio.run(end_left(str(self._folder)))


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
