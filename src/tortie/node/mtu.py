"""The MTU for workloads: what the node's uplinks carry, less what tunnels put around packets."""

import re
from collections.abc import Collection, Mapping
from pathlib import Path

from tortie.linux.netlink.rtlink import Link

DEFAULT_PATTERN = "^((en|wl|ww|sl|ib)[Pcopsvx].*|(eth|wlan|wwan).*)"  # MTUIfacePattern's
_WITHOUT_UPLINK = 1500
OVERHEAD: Mapping[str, int] = {
    # Bytes of headers, by the tunnel: outer Ethernet, IP and UDP where it has them, and its own.
    "ipip": 20,
    "vxlan": 50,
    "vxlan-v6": 70,
    "wireguard": 60,
    "wireguard-v6": 80,
}


class PodMtu:
    """Follows the node's links. Pure: told of links, asked for a number.

    `pattern` (MTUIfacePattern) says by their names which of them are uplinks.
    """

    def __init__(self, pattern: str = DEFAULT_PATTERN) -> None:
        self._pattern = re.compile(pattern)
        self._links: dict[int, tuple[str, int]] = {}  # names and MTUs by index: names may change

    def configure(self, pattern: str) -> None:
        """Other links may be uplinks now."""
        self._pattern = re.compile(pattern)

    def link_changed(self, link: Link) -> None:
        """This link is there, as it is now."""
        if link.mtu:
            self._links[link.index] = link.name, link.mtu

    def link_gone(self, link: Link) -> None:
        """This link is not there any more."""
        self._links.pop(link.index, None)

    def uplinks(self) -> tuple[str, ...]:
        """Their names, as far as the node has some."""
        return tuple(name for name, _ in self._links.values() if self._pattern.search(name))

    def uplink(self) -> int:
        """What every uplink carries, in bytes."""
        found = (mtu for name, mtu in self._links.values() if self._pattern.search(name))
        return min(found, default=_WITHOUT_UPLINK)

    def through(self, tunnels: Collection[str], given: Mapping[str, int]) -> int:
        """For workloads whose packets may travel inside these tunnels.

        `given` are MTUs of tunnels that somebody has set; 0 or absent: what the uplinks leave it.
        """
        uplink = self.uplink()
        return min((given.get(name) or uplink - OVERHEAD[name] for name in tunnels), default=uplink)


class MtuFile:
    """Tells other programs of the node (reference plugins, charts) the MTU of new workloads.

    A file of one line, as Calico's /var/lib/calico/mtu, replaced as a whole when the number
    changes. Raises OSError.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._written = 0

    def tell(self, mtu: int) -> bool:
        """Write it, unless it is what was written last; whether it was another one."""
        if mtu == self._written:
            return False
        staging = self._path.with_name(f".{self._path.name}.new")
        staging.write_text(f"{mtu}\n")
        staging.chmod(0o644)
        staging.replace(self._path)
        self._written = mtu
        return True
