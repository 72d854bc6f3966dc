"""The interface that tunnels run over, and the MTU that it leaves them."""

from tortie.dataplane.tunnels.settings import LEAST_MTU
from tortie.linux.links import Links
from tortie.linux.netlink.rtnetlink import Link
from tortie.net import Prefix


class Refused(Exception):
    """A device can't be made as it should be; the message says why and what to do."""


def underlay_of(address: Prefix, links: Links) -> Link:
    """The interface that has this node's address. Raises Refused where none has."""
    for found in links.addresses():
        if (found.prefix.version, found.prefix.address) == address[:2]:
            return next(link for link in links.list() if link.index == found.index)
    alone = Prefix.single(address.version, address.address)
    raise Refused(
        f"no interface of this node has its address {alone}, so that the tunnel has nothing to "
        "run over; give an interface that address or correct the Node resource"
    )


def inner_mtu(parent: Link, overhead: int, version: int, wanted: int) -> int:
    """What a tunnel carries: `wanted`, or (0) what the interface leaves it.

    Raises Refused where that is too little for packets of this IP version.
    """
    mtu = wanted or parent.mtu - overhead
    least = LEAST_MTU[version]
    if mtu >= least:
        return mtu
    if wanted:
        raise Refused(
            f"the tunnel's MTU is set to {wanted}, and IPv{version} needs {least}; "
            f"set a greater one, or 0 for what {parent.name} leaves it"
        )
    raise Refused(
        f"{parent.name} has an MTU of {parent.mtu}: the tunnel is left {mtu}, and IPv{version} "
        f"needs {least}; give {parent.name} a greater one"
    )
