"""Links (interfaces) as rtnetlink messages (linux/if_link.h)."""

import struct
from typing import NamedTuple

from msgspec import Struct

from tortie.linux.netlink.rtfamily import (
    address_bytes,
    fields,
    mac_bytes,
    mac_text,
    read_address,
)
from tortie.linux.netlink.wire import (
    attribute,
    attribute_map,
    be16,
    nested,
    read_be,
    read_string,
    read_u8,
    read_u32,
    string,
    u8,
    u32,
)
from tortie.net import Prefix

RTM_NEWLINK, RTM_DELLINK, RTM_GETLINK, RTM_SETLINK = 16, 17, 18, 19
IFF_UP = 0x1
IFF_LOWER_UP = 0x10000
SKIP_STATISTICS = 8  # RTEXT_FILTER_SKIP_STATS: two thirds of a link's message

_HEADER = struct.Struct("=BxHiII")
_ADDRESS, _NAME, _MTU, _PARENT, _MASTER = 1, 3, 4, 5, 10
_OPERSTATE, _INFO, _GROUP, _NETNS_FD, _EXT_MASK = 16, 18, 27, 28, 29
_OPER_UNKNOWN, _OPER_DOWN, _OPER_UP = 0, 2, 6
_TX_QUEUES, _RX_QUEUES = 31, 32
_GSO_V4, _GRO_V4 = 63, 64
_PARENT_SPACE, _SPACE = 37, struct.Struct("=i")
HERE = -1  # the namespace that is asked itself
_KIND, _DATA = 1, 2
_VETH_PEER = 1
_VNI, _VXLAN_PARENT, _LOCAL, _LEARNING, _PORT, _LOCAL6 = 1, 3, 4, 7, 15, 17
MAX_NAME = 15


class Vxlan(Struct, frozen=True):
    """What a VXLAN device is made with. `parent` is an interface index, 0 for none."""

    vni: int
    port: int
    local: Prefix | None = None
    parent: int = 0
    learning: bool = False


class PacketSizes(NamedTuple):
    """The largest IPv4 packets inside the kernel, in bytes; on the wire they are smaller.

    `sent` is what a sender may hand to the interface, which cuts it up; `taken` what is joined of
    packets that come in. What is above 65,536 is called BIG TCP. 0: the kernel does not say (those
    of IPv4 came with Linux 6.3), or may choose.
    """

    sent: int = 0
    taken: int = 0


AS_BORN = PacketSizes()


class Link(Struct, frozen=True):
    """An interface as the kernel tells of it. `carrier` is whether its other side is up, too.

    `running` comes a moment after `carrier`: until then the kernel has no queue for it, and drops
    what it should send (a first ARP answer is lost so, and asked for again after a second).
    `parent` is the index of what it is stacked on, or of its peer; `master` of its bridge. `group`
    is a number by which many are changed or deleted at once. `parent_space` is the namespace that
    `parent` is in, by this one's number for it (`Links.number_of`).
    """

    index: int
    name: str
    kind: str = ""
    mac: str = ""
    mtu: int = 0
    up: bool = False
    carrier: bool = False
    running: bool = False
    parent: int = 0
    master: int = 0
    vxlan: Vxlan | None = None
    group: int = 0
    sizes: PacketSizes = AS_BORN
    parent_space: int = HERE


class NewLink(Struct, frozen=True):
    """An interface to be made. `netns` is an open descriptor of the namespace it is born in.

    None and 0 leave the choice to the kernel. `peer` is the other end of a veth.
    """

    name: str
    kind: str = ""
    mac: str | None = None
    mtu: int = 0
    up: bool = False
    netns: int | None = None
    vxlan: Vxlan | None = None
    peer: "NewLink | None" = None
    queues: int = 0  # of each direction
    sizes: PacketSizes = AS_BORN


def build_new_link(link: NewLink) -> bytes:
    """The payload of RTM_NEWLINK with NLM_F_CREATE. Raises ValueError for an impossible name."""
    return _own_part(link) + (_info(link) if link.kind else b"")


def _own_part(link: NewLink) -> bytes:
    check_name(link.name)
    flags = IFF_UP if link.up else 0
    parts = [_HEADER.pack(0, 0, 0, flags, flags), attribute(_NAME, string(link.name))]
    if link.mac is not None:
        parts.append(attribute(_ADDRESS, mac_bytes(link.mac)))
    if link.mtu:
        parts.append(attribute(_MTU, u32(link.mtu)))
    if link.queues:
        parts += [attribute(kind, u32(link.queues)) for kind in (_TX_QUEUES, _RX_QUEUES)]
    parts += _size_attributes(link.sizes)
    if link.netns is not None:
        parts.append(attribute(_NETNS_FD, u32(link.netns)))
    return b"".join(parts)


def _size_attributes(sizes: PacketSizes) -> list[bytes]:
    of_kinds = zip((_GSO_V4, _GRO_V4), sizes, strict=True)
    return [attribute(kind, u32(size)) for kind, size in of_kinds if size]


def _info(link: NewLink) -> bytes:
    data = b""
    if link.vxlan:
        data = nested(_DATA, *_vxlan_attributes(link.vxlan))
    elif link.peer:
        data = nested(_DATA, attribute(_VETH_PEER, _own_part(link.peer)))
    return nested(_INFO, attribute(_KIND, string(link.kind)), data)


def _vxlan_attributes(vxlan: Vxlan) -> list[bytes]:
    parts = [attribute(_VNI, u32(vxlan.vni)), attribute(_PORT, be16(vxlan.port))]
    parts.append(attribute(_LEARNING, u8(int(vxlan.learning))))
    if vxlan.parent:
        parts.append(attribute(_VXLAN_PARENT, u32(vxlan.parent)))
    if vxlan.local:
        kind = _LOCAL if vxlan.local.version == 4 else _LOCAL6
        parts.append(attribute(kind, address_bytes(vxlan.local)))
    return parts


def build_link_change(
    index: int,
    *,
    up: bool | None = None,
    mtu: int = 0,
    mac: str = "",
    master: int | None = None,
    name: str = "",
    group: int = 0,
    sizes: PacketSizes = AS_BORN,
) -> bytes:
    """The payload of RTM_SETLINK: only what is given changes; master 0 takes it off its bridge."""
    flags = IFF_UP if up else 0
    parts = [_HEADER.pack(0, 0, index, flags, 0 if up is None else IFF_UP)]
    if mtu:
        parts.append(attribute(_MTU, u32(mtu)))
    if mac:
        parts.append(attribute(_ADDRESS, mac_bytes(mac)))
    if master is not None:
        parts.append(attribute(_MASTER, u32(master)))
    if name:
        parts.append(attribute(_NAME, string(check_name(name))))
    if group:
        parts.append(attribute(_GROUP, u32(group)))
    parts += _size_attributes(sizes)
    return b"".join(parts)


def build_group_query(group: int) -> bytes:
    """The payload of RTM_DELLINK for all links of a group at once."""
    return _HEADER.pack(0, 0, 0, 0, 0) + attribute(_GROUP, u32(group))


def build_link_query(index: int = 0, name: str = "") -> bytes:
    """The payload of RTM_GETLINK or RTM_DELLINK: one link, or every one for a dump."""
    parts = [_HEADER.pack(0, 0, index, 0, 0)]
    if name:
        check_name(name)
        parts.append(attribute(_NAME, string(name)))
    parts.append(attribute(_EXT_MASK, u32(SKIP_STATISTICS)))
    return b"".join(parts)


def build_link(link: Link) -> bytes:
    """The payload with which a kernel would tell of this link; for tests of what reads it."""
    flags = (IFF_UP if link.up else 0) | (IFF_LOWER_UP if link.carrier else 0)
    parts = [_HEADER.pack(0, 0, link.index, flags, 0), attribute(_NAME, string(link.name))]
    numbers = {_MTU: link.mtu, _PARENT: link.parent, _MASTER: link.master, _GROUP: link.group}
    for kind, number in numbers.items():
        if number:
            parts.append(attribute(kind, u32(number)))
    parts.append(attribute(_OPERSTATE, u8(_OPER_UP if link.running else _OPER_DOWN)))
    parts += _size_attributes(link.sizes)
    if link.parent_space != HERE:
        parts.append(attribute(_PARENT_SPACE, _SPACE.pack(link.parent_space)))
    if link.mac:
        parts.append(attribute(_ADDRESS, bytes.fromhex(link.mac.replace(":", ""))))
    if link.kind:
        data = nested(_DATA, *_vxlan_attributes(link.vxlan)) if link.vxlan else b""
        parts.append(nested(_INFO, attribute(_KIND, string(link.kind)), data))
    return b"".join(parts)


def parse_link(payload: bytes) -> Link:
    """Read the payload of RTM_NEWLINK or RTM_DELLINK. Raises MalformedMessage."""
    _, _, index, flags, _ = fields(_HEADER, payload, "a link")
    found = attribute_map(payload, _HEADER.size)
    info = attribute_map(found.get(_INFO, b""))
    kind = read_string(info.get(_KIND, b""))
    return Link(
        index=index,
        name=read_string(found.get(_NAME, b"")),
        kind=kind,
        mac=mac_text(found.get(_ADDRESS, b"")),
        mtu=_number(found, _MTU),
        up=bool(flags & IFF_UP),
        carrier=bool(flags & IFF_LOWER_UP),
        running=_is_running(found),
        parent=_number(found, _PARENT),
        master=_number(found, _MASTER),
        vxlan=_parse_vxlan(info.get(_DATA, b"")) if kind == "vxlan" else None,
        group=_number(found, _GROUP),
        sizes=PacketSizes(_number(found, _GSO_V4), _number(found, _GRO_V4)),
        parent_space=_space(found),
    )


def _space(found: dict[int, bytes]) -> int:
    value = found.get(_PARENT_SPACE)
    return HERE if value is None or len(value) != _SPACE.size else int(_SPACE.unpack(value)[0])


def _is_running(found: dict[int, bytes]) -> bool:
    """The loopback and the like have no such state."""
    return _OPERSTATE in found and read_u8(found[_OPERSTATE]) in (_OPER_UP, _OPER_UNKNOWN)


def _parse_vxlan(data: bytes) -> Vxlan:
    found = attribute_map(data)
    local = found.get(_LOCAL) or found.get(_LOCAL6)
    return Vxlan(
        vni=_number(found, _VNI),
        port=read_be(found.get(_PORT, b"")[:2]),
        local=read_address(local) if local else None,
        parent=_number(found, _VXLAN_PARENT),
        learning=_LEARNING in found and bool(read_u8(found[_LEARNING])),
    )


def _number(found: dict[int, bytes], kind: int) -> int:
    value = found.get(kind)
    return 0 if value is None else read_u32(value)


def check_name(name: str) -> str:
    """The name of an interface as the kernel would take it. Raises ValueError otherwise."""
    good = 0 < len(name.encode()) <= MAX_NAME and name not in (".", "..")
    if not good or any(c in "/:\0" or c.isspace() for c in name):
        raise ValueError(
            f"{name!r} cannot name an interface: 1 to {MAX_NAME} bytes without '/', ':' and spaces"
        )
    return name
