"""The VXLAN device: made, adopted, or made anew when it can't be changed."""

from typing import NamedTuple

from tortie.dataplane.tunnels.desired import tunnel_address, underlay_address
from tortie.dataplane.tunnels.settings import OVERHEAD, VxlanSettings
from tortie.engine.delta import Vtep
from tortie.linux.links import Links
from tortie.linux.netlink.rtnetlink import Link, Vxlan
from tortie.net import Prefix

_LINK_LOCAL = Prefix(6, 0xFE80 << 112, 10)


class Refused(Exception):
    """The device can't be made as it should be; the message says why and what to do."""


class Wanted(NamedTuple):
    """All there is to the device. `parent` is the interface with the underlay's address."""

    parent: Link
    vxlan: Vxlan
    mac: str
    mtu: int
    address: Prefix


def wanted_device(vtep: Vtep, links: Links, settings: VxlanSettings) -> Wanted:
    """The device for this node's tunnel end. Raises Refused where the underlay is not there."""
    parent = _underlay(vtep, links)
    mtu = settings.mtu or parent.mtu - OVERHEAD[vtep.underlay.version]
    vxlan = Vxlan(settings.vni, settings.port, underlay_address(vtep), parent.index, learning=False)
    return Wanted(parent, vxlan, vtep.mac.lower(), mtu, tunnel_address(vtep))


def _underlay(vtep: Vtep, links: Links) -> Link:
    """The interface that has the underlay's address."""
    address = underlay_address(vtep)
    for found in links.addresses():
        if (found.prefix.version, found.prefix.address) == address[:2]:
            return next(link for link in links.list() if link.index == found.index)
    raise Refused(
        f"no interface of this node has its address {address}, so that the tunnel has nothing to "
        "run over; give an interface that address or correct the Node resource"
    )


def ensure(name: str, wanted: Wanted, links: Links) -> Link:
    """Bring the device there; an equal one is adopted untouched, and traffic goes on through it.

    Raises Refused when an interface of this name is something else, NetlinkError otherwise.
    """
    found = links.find(name)
    if found and found.kind != "vxlan":
        raise Refused(f"{name} is there already and no VXLAN device ({found.kind}); rename it")
    if found and found.vxlan != wanted.vxlan:  # the kernel changes none of these on a device
        links.delete(name)
        found = None
    if found is None:
        links.create_vxlan(name, wanted.vxlan, mtu=wanted.mtu, mac=wanted.mac)
        found = links.get(name)
    return _adjust(found, wanted, links)


def _adjust(found: Link, wanted: Wanted, links: Links) -> Link:
    """Change what can be changed in place."""
    name = found.name
    if found.mac != wanted.mac:
        links.set_mac(name, wanted.mac)
    if found.mtu != wanted.mtu:
        links.set_mtu(name, wanted.mtu)
    held = {address.prefix for address in links.addresses(name)}
    if wanted.address not in held:
        links.add_address(name, wanted.address)
    for prefix in held - {wanted.address}:
        if not _LINK_LOCAL.contains(prefix.network):
            links.delete_address(name, prefix)
    if not found.up:
        links.set_up(name)
    return links.get(name)


def remove(name: str, links: Links) -> None:
    """Delete the device, if one of this name is a VXLAN device."""
    found = links.find(name)
    if found and found.kind == "vxlan":
        links.delete(name)
