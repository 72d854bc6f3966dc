"""Devices of every kind that nodes have: made, and removed."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial

from tortie.linux.links import Links
from tortie.linux.netlink.rtlink import NewLink, Vxlan
from tortie.linux.netlink.sockets import NetlinkSocket
from tortie.net import parse_prefix
from tortie.requirements.trials.outcomes import attempt
from tortie.requirements.tried import Tried

TRIAL = "trial0"
_VNI, _PORT = 1, 4789

_MAKERS: Mapping[str, Callable[[Links], None]] = {
    "veth": lambda links: links.create_veth(TRIAL, "trial1"),
    "bridge": lambda links: links.create_bridge(TRIAL),
    "vxlan": lambda links: links.create_vxlan(TRIAL, Vxlan(vni=_VNI, port=_PORT)),
    "vxlan-v6": lambda links: links.create_vxlan(
        TRIAL, Vxlan(vni=_VNI, port=_PORT, local=parse_prefix("fd00::1/128"))
    ),
    "ipip": lambda links: links.create_ipip("tunl0"),  # the kernel's own: there can be no other
    "wireguard": lambda links: links.create(NewLink(TRIAL, "wireguard")),
}
KINDS = tuple(_MAKERS)
SIDE_EFFECTS: Mapping[str, tuple[str, ...]] = {"ipip": ("tunl0",)}
"""Kernel modules that, once loaded, make devices in every namespace, and those devices."""


def make_device(links: Links, kind: str) -> None:
    """Make a device of one of KINDS in the socket's namespace, and remove it.

    Raises NetlinkError; EOPNOTSUPP where the kernel has no such kind.
    """
    links.delete(TRIAL)  # of a run that was killed right here
    _MAKERS[kind](links)
    links.delete(TRIAL)


def try_devices(names: Sequence[str]) -> Iterator[tuple[str, Tried]]:
    """ "link:veth" and its like."""
    with NetlinkSocket() as sock:
        links = Links(sock)
        for name in names:
            trial = partial(make_device, links, name.partition(":")[2])
            yield name, attempt(trial, "CAP_NET_ADMIN")
