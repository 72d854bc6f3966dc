"""The WireGuard device itself: made in the kernel, or by wireguard-go where it has none."""

import errno
from collections.abc import Callable

from tortie.dataplane.tunnels.underlay import Refused
from tortie.dataplane.wireguard import process
from tortie.dataplane.wireguard.keys import Keys
from tortie.dataplane.wireguard.settings import WireguardSettings
from tortie.linux.links import Links
from tortie.linux.netlink.rtlink import NewLink
from tortie.linux.netlink.sockets import NetlinkError
from tortie.linux.wgkernel import KernelWireguard
from tortie.linux.wguapi import PATIENCE, UserspaceWireguard
from tortie.linux.wireguard import PrivateKey, Wireguard

Patience = Callable[[], float]
_KERNEL, _USERSPACE = "wireguard", "tun"  # kinds of interfaces
_MISSING = (
    "this kernel can't make WireGuard interfaces and wireguard-go is not installed: load the "
    "module (modprobe wireguard) or install wireguard-go; until then this node publishes no key, "
    "and other nodes send to it in clear"
)


def found(
    settings: WireguardSettings, links: Links, patience: Patience = lambda: PATIENCE
) -> Wireguard | None:
    """The node's device, if it is there; `patience` in seconds, with wireguard-go's answers.

    Raises Refused where something else has its name, OSError.
    """
    there = links.find(settings.device)
    if there is None:
        return None
    if there.kind == _KERNEL:
        return KernelWireguard(settings.device)
    path = process.socket_of(settings.sockets, settings.device)
    if there.kind == _USERSPACE and path.exists():
        return UserspaceWireguard(path, patience)
    raise Refused(
        f"{settings.device} is there already and no WireGuard device of this node's "
        f"({there.kind or 'an interface of its own kind'}); rename it"
    )


def opened(
    settings: WireguardSettings, links: Links, patience: Patience = lambda: PATIENCE
) -> Wireguard:
    """The node's device, made where it is not there; `patience` as for `found`.

    Raises Refused, OSError.
    """
    there = found(settings, links, patience)
    if there is not None:
        return there
    if _made_in_kernel(settings.device, links):
        return KernelWireguard(settings.device)
    if not process.is_installed():
        raise Refused(_MISSING)
    process.end(settings.sockets, settings.device)  # one that has lost its device
    process.start(
        settings.sockets, settings.device, lambda: links.find(settings.device) is not None
    )
    return UserspaceWireguard(process.socket_of(settings.sockets, settings.device), patience)


def _made_in_kernel(name: str, links: Links) -> bool:
    try:
        links.create(NewLink(name, _KERNEL))
    except NetlinkError as error:
        if error.errno == errno.EOPNOTSUPP:
            return False
        raise
    return True


def remove(settings: WireguardSettings, links: Links) -> bool:
    """Delete the node's device; whether there was one."""
    found = links.find(settings.device)
    ours = found is not None and found.kind in (_KERNEL, _USERSPACE)
    if ours:
        links.delete(settings.device)
    process.end(settings.sockets, settings.device)
    return ours


def remove_former(settings: WireguardSettings, links: Links) -> list[str]:
    """Delete what is the node's under another name, from before a restart; their names.

    Those of wireguard-go are written down; one of the kernel's has a key of ours. Raises OSError.
    """
    wanted, keys = {settings.device, *settings.beside}, Keys(settings.keys_file)
    written = {path.stem for path in settings.sockets.glob("*.pid")}
    former = written | {
        link.name
        for link in links.list()
        if link.kind == _KERNEL and link.name not in wanted and keys.has(_key(link.name))
    }
    for name in sorted(former - wanted):
        links.delete(name)
        process.end(settings.sockets, name)
    return sorted(former - wanted)


def _key(name: str) -> PrivateKey | None:
    device = KernelWireguard(name)
    try:
        return device.read().private_key
    finally:
        device.close()
