"""The MTU for workloads: what the node's uplinks carry, less what a tunnel puts around it."""

import re

from tortie.linux.netlink.rtlink import Link

# MTUIfacePattern's default.
_UPLINK = re.compile(r"((en|wl|ww|sl|ib)[Pcopsvx].*|(eth|wlan|wwan).*)")
_WITHOUT_UPLINK = 1500
VXLAN_OVERHEAD = 50  # bytes: outer Ethernet, IPv4, UDP and VXLAN headers


class PodMtu:
    """Follows the node's links. Pure: told of links, asked for a number."""

    def __init__(self) -> None:
        self._uplinks: dict[str, int] = {}

    def link_changed(self, link: Link) -> None:
        """This link is there, as it is now."""
        if link.mtu and _UPLINK.fullmatch(link.name):
            self._uplinks[link.name] = link.mtu

    def link_gone(self, name: str) -> None:
        """There is no link of this name any more."""
        self._uplinks.pop(name, None)

    def uplink(self) -> int:
        """What every uplink carries, in bytes."""
        return min(self._uplinks.values(), default=_WITHOUT_UPLINK)

    def without_tunnel(self) -> int:
        """For workloads whose packets travel as they are."""
        return self.uplink()

    def through_vxlan(self) -> int:
        """For workloads whose packets may travel inside VXLAN, and for its device."""
        return self.uplink() - VXLAN_OVERHEAD
