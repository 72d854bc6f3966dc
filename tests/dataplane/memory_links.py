"""Links of a machine that exists nowhere, for drivers of devices that this kernel may not have."""

from collections.abc import Sequence
from typing import cast

from msgspec.structs import replace

from tortie.linux.netlink.rtlink import Link
from tortie.linux.netlink.rtnetlink import Address
from tortie.linux.netlink.sockets import NetlinkSocket
from tortie.net import Prefix


class Memory:
    """In the place of `Links`: an uplink eth0 with an address, and what is made beside it."""

    def __init__(self, main: Prefix) -> None:
        self.held = {"eth0": Link(2, "eth0", mtu=1500, up=True)}
        self.given: dict[str, list[Prefix]] = {"eth0": [main]}
        self.looks = 0

    def list(self) -> Sequence[Link]:
        return [*self.held.values()]

    def find(self, name: str) -> Link | None:
        return self.held.get(name)

    def get(self, name: str) -> Link:
        return self.held[name]

    def create_ipip(self, name: str) -> None:
        self.add(Link(7, name, "ipip", mtu=65515))

    def add(self, link: Link, *addresses: Prefix) -> None:
        self.held[link.name], self.given[link.name] = link, [*addresses]

    def set_mtu(self, name: str, mtu: int) -> None:
        self.held[name] = replace(self.held[name], mtu=mtu)

    def set_up(self, name: str) -> None:
        self.held[name] = replace(self.held[name], up=True)

    def set_down(self, name: str) -> None:
        self.held[name] = replace(self.held[name], up=False)

    def addresses(self, name: str | None = None) -> Sequence[Address]:
        self.looks += 1
        return [
            Address(self.held[one].index, prefix)
            for one in ([name] if name else self.given)
            for prefix in self.given[one]
        ]

    def add_address(self, name: str, prefix: Prefix, **_: object) -> None:
        self.given[name].append(prefix)

    def delete_address(self, name: str, prefix: Prefix) -> bool:
        self.given[name].remove(prefix)
        return True


class Socket:
    port = 1

    def close(self) -> None:
        """Nothing is held."""


def opened() -> NetlinkSocket:
    """A driver's socket, which nobody asks."""
    return cast(NetlinkSocket, Socket())
