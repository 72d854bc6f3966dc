"""What the drivers of tunnels' devices do alike: settings, a device, the interface beneath it."""

from abc import abstractmethod
from collections.abc import Callable
from typing import Generic, Protocol, TypeVar

from tortie.dataplane.contract import Applied, Failure
from tortie.dataplane.follower import Follower, KeyT, OpenSocket
from tortie.dataplane.tunnels.underlay import Refused
from tortie.linux.netlink.rtnetlink import Link
from tortie.linux.netlink.sockets import NetlinkLost


class DeviceSettings(Protocol):
    """What a tunnel's settings have in common."""

    @property
    def device(self) -> str:
        """The device's name."""
        ...


SettingsT = TypeVar("SettingsT", bound=DeviceSettings)


class TunnelDriver(Follower[KeyT | str], Generic[SettingsT, KeyT]):
    """A device of one node that runs over the interface with the node's address."""

    def __init__(self, settings: SettingsT, open_socket: OpenSocket) -> None:
        super().__init__(open_socket)
        self._settings = settings
        self._parent: Link | None = None  # None: not known, or none is needed

    @property
    @abstractmethod
    def _is_wanted(self) -> bool:
        """Whether there should be a device."""

    @abstractmethod
    def _device_changed(self, event: str, /) -> bool:
        """Whether the device may not be as it was, after an event of it."""

    def configure(self, settings: SettingsT) -> bool:
        """Whether these are other settings; the next write is then a resync that takes them."""
        if settings == self._settings:
            return False
        self._settings, self._is_synced = settings, False
        return True

    def link_changed(self, name: str, event: str) -> Applied:
        """An interface is now "up", "down" or "gone", or has other addresses."""
        if self._is_synced and not self._concerns(name, event):
            return self._applied()
        return self.resync()

    def _concerns(self, name: str, event: str) -> bool:
        if name == self._settings.device:
            return self._device_changed(event)
        if not self._is_wanted:
            return False
        if self._parent is None:
            return True  # this may be what was waited for
        return name == self._parent.name and self._is_other(event, self._parent)

    def _is_other(self, event: str, before: Link | None) -> bool:
        return event != "up" or before is None or self._links.find(before.name) != before

    def _bring(self, make: Callable[[], Link]) -> Link | None:
        """Make the device; None where that can't be done, which is then a failure."""
        self._parent = None
        try:
            return make()
        except (NetlinkLost, TimeoutError):
            raise
        except (Refused, OSError, ValueError) as error:
            device = self._settings.device
            self._failures[device] = Failure(self.name, device, self._reason(error))
            return None

    def _reason(self, error: Exception) -> str:
        return str(error)
