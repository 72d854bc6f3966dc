"""WireGuard devices of the kernel, over generic netlink."""

import errno

from tortie.linux.netlink.genetlink import NETLINK_GENERIC, find_family
from tortie.linux.netlink.sockets import NetlinkError, NetlinkSocket, Request
from tortie.linux.netlink.wgnetlink import FAMILY_NAME, build_get, build_set, parse_device
from tortie.linux.wireguard import Device, DeviceChange


class KernelWireguard:
    """A device of the namespace of the thread that makes this. Everything raises NetlinkError."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._socket = NetlinkSocket(NETLINK_GENERIC)
        family = find_family(self._socket, FAMILY_NAME)
        if family is None:
            self._socket.close()
            raise NetlinkError(errno.EOPNOTSUPP, "this kernel has no WireGuard", name)
        self._family = family

    def read(self) -> Device:
        """What it holds."""
        about = f"reading {self._name}"
        return parse_device(
            self._socket.dump(Request(self._family, build_get(self._name), about=about))
        )

    def write(self, change: DeviceChange) -> None:
        """Change it. What is refused half-way leaves what came before it changed."""
        for payload in build_set(self._name, change):
            self._socket.request(Request(self._family, payload, about=f"changing {self._name}"))

    def close(self) -> None:
        """Let go of it; the device stays."""
        self._socket.close()
