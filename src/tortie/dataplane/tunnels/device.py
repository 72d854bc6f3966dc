"""The VXLAN device: made, adopted, or made anew when it can't be changed."""

from typing import NamedTuple

from tortie.dataplane.tunnels.desired import tunnel_address, underlay_address
from tortie.dataplane.tunnels.settings import VXLAN_OVERHEAD, VxlanSettings
from tortie.dataplane.tunnels.underlay import Refused, inner_mtu, underlay_of
from tortie.engine.delta import Vtep
from tortie.linux.ethtool import set_checksum_offload
from tortie.linux.links import Links
from tortie.linux.netlink.rtaddress import IFA_F_NODAD
from tortie.linux.netlink.rtnetlink import Link, Vxlan
from tortie.net import Prefix

_LINK_LOCAL = Prefix(6, 0xFE80 << 112, 10)


class Wanted(NamedTuple):
    """All there is to the device. `parent` is the interface with the underlay's address."""

    parent: Link
    vxlan: Vxlan
    mac: str
    mtu: int
    address: Prefix
    checksum_offload: bool = True


def wanted_device(vtep: Vtep, links: Links, settings: VxlanSettings) -> Wanted:
    """The device for this node's tunnel end. Raises Refused where the underlay is not there."""
    parent = underlay_of(vtep.underlay, links)
    overhead = VXLAN_OVERHEAD[vtep.underlay.version]
    mtu = inner_mtu(parent, overhead, settings.version, settings.mtu)
    vxlan = Vxlan(settings.vni, settings.port, underlay_address(vtep), parent.index, learning=False)
    offload = settings.checksum_offload
    return Wanted(parent, vxlan, vtep.mac.lower(), mtu, tunnel_address(vtep), offload)


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
    hold_only(name, wanted.address, links)
    if not wanted.checksum_offload:  # else it is as its owner wants it
        set_checksum_offload(name, False)
    if not found.up:
        links.set_up(name)
    return links.get(name)


def hold_only(name: str, address: Prefix | None, links: Links) -> None:
    """Have an interface hold this one address, beside its link-local ones."""
    held = {one.prefix for one in links.addresses(name)}
    if address is not None and address not in held:
        # Nobody else can be asked who has it: without the flag an IPv6 one waits for a second.
        links.add_address(name, address, flags=IFA_F_NODAD if address.version == 6 else 0)
    for prefix in held - {address}:
        if not _LINK_LOCAL.contains(prefix.network):
            links.delete_address(name, prefix)


def remove(name: str, links: Links) -> None:
    """Delete the device, if one of this name is a VXLAN device."""
    found = links.find(name)
    if found and found.kind == "vxlan":
        links.delete(name)
