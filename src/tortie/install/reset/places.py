"""Which names, numbers and folders are ours on a node."""

import os
import shutil
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from msgspec import Struct

from tortie.agent.driver_settings import (
    iptables_settings,
    nft_settings,
    route_settings,
    wireguard_settings,
)
from tortie.dataplane.iptables import IptablesSettings
from tortie.dataplane.nftables import NftSettings
from tortie.dataplane.routes import RouteSettings
from tortie.dataplane.wireguard import WireguardSettings
from tortie.engine.configuration import Configuration


class Places(Struct, frozen=True, kw_only=True):
    """`workloads` are beginnings of names of interfaces that are ours to delete; `files` are what
    we write outside of the run directory."""

    run_dir: Path
    workloads: tuple[str, ...]
    files: tuple[Path, ...]
    nftables: NftSettings
    iptables: IptablesSettings
    routes: RouteSettings
    wireguard: tuple[WireguardSettings, ...]

    @property
    def devices(self) -> tuple[str, ...]:
        """Tunnels that are deleted whole."""
        vxlan = (self.routes.vxlan_device4, self.routes.vxlan_device6)
        return (*vxlan, *(each.device for each in self.wireguard))


class Files:
    """What lies on disks and in /run. The datastore's own file is nobody's to remove here."""

    title = "files"

    def __init__(self, places: Places) -> None:
        self._places = places

    def find(self) -> Sequence[str]:
        """Paths."""
        folder = self._places.run_dir
        found = [str(folder)] if folder.is_dir() and any(folder.iterdir()) else []
        return [*found, *(str(each) for each in self._places.files if os.path.lexists(each))]

    def remove(self) -> None:
        """The run directory's contents; each file, and the folder that it leaves empty."""
        folder = self._places.run_dir
        for each in folder.iterdir() if folder.is_dir() else ():
            if each.is_dir() and not each.is_symlink():
                shutil.rmtree(each)
            else:
                each.unlink(missing_ok=True)
        for each in self._places.files:
            each.unlink(missing_ok=True)
            with suppress(OSError):  # it is not empty, or not there
                each.parent.rmdir()


def places_of(
    config: Configuration, run_dir: Path, workloads: tuple[str, ...], files: tuple[Path, ...]
) -> Places:
    """What an agent with these settings would call its own."""
    return Places(
        run_dir=run_dir,
        workloads=workloads,
        files=files,
        nftables=nft_settings(config),
        iptables=iptables_settings(config),
        routes=route_settings(config),
        wireguard=tuple(wireguard_settings(config, run_dir).values()),
    )
