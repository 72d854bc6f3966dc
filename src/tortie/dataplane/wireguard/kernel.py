"""Two switches of the kernel that a WireGuard device may need."""

from contextlib import suppress
from pathlib import Path

from tortie.linux import sysctl

_CLASS = Path("/sys/class/net")
_STRICT, _LOOSE = "1", "2"


def loosen(underlay: str) -> None:
    """Have the kernel take packets of other nodes from the underlay, where nodes are encrypted.

    To its strict check of where a packet came from, what WireGuard sends outside (and ARP) has the
    wrong interface then: nodes are behind the device. Raises OSError.
    """
    own = sysctl.interface(4, underlay, "rp_filter")
    if _STRICT in (sysctl.read(own), sysctl.read(sysctl.interface(4, "all", "rp_filter"))):
        sysctl.write(own, _LOOSE)


def set_threaded(device: str, index: int, wanted: bool) -> bool:
    """WireguardThreadingEnabled: a kernel thread for the device's packets (threaded NAPI).

    Whether it is as wanted now. /sys may show another namespace's interfaces: one of this name
    with another index is not ours.
    """
    place = _CLASS / device
    with suppress(OSError, ValueError):
        if int((place / "ifindex").read_text()) != index:
            return not wanted
        switch = place / "threaded"
        if (switch.read_text().strip() == "1") != wanted:
            switch.write_text("1" if wanted else "0")
        return True
    return not wanted
