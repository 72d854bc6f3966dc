"""What ipset's sets hold: members as the text of elements, and back. Pure.

Sets of addresses are hash:net, sets of ports hash:ip,port. hash:net takes every prefix but the one
of length 0, which becomes its two halves.
"""

from collections.abc import Iterable, Set
from enum import Enum

from tortie.dataplane.policy.desired import ElementChange
from tortie.dataplane.policy.families import Family
from tortie.dataplane.policy.nets import net_text
from tortie.net import Prefix, format_address
from tortie.net.addresses import WIDTH
from tortie.policy.program import IPPort, Member, SetKind

Element = str
_AT_ONCE = 512  # elements: a set that changes more, and by more than half, is made anew
_LEAST_BUCKETS = 1024  # ipset's own
_INET = {4: "inet", 6: "inet6"}
_PROTOCOL_NAMES = {"tcp": 6, "udp": 17, "sctp": 132, "udplite": 136}


class SetType(Enum):
    """ipset's names of the two kinds of sets."""

    NETS = "hash:net"
    IP_PORTS = "hash:ip,port"

    @classmethod
    def of(cls, kind: SetKind) -> "SetType":
        """How a set of the program is kept."""
        return cls.IP_PORTS if kind is SetKind.IP_PORT else cls.NETS


class FamilySet:
    """The members of one IP version of a program's set."""

    def __init__(self, family: Family, kind: SetKind, members: Iterable[Member] = ()) -> None:
        self.type = SetType.of(kind)
        self.members = {one for one in members if one.version == family.version}

    def is_of(self, kind: SetKind) -> bool:
        """Whether it can hold what a set of this kind holds."""
        return self.type is SetType.of(kind)

    def elements(self) -> set[Element]:
        """What the kernel's set should hold."""
        return elements_of(self.members)

    def change(self, added: Set[Member], removed: Set[Member]) -> ElementChange[Element] | None:
        """Take a change of members; None when a whole new set is the better way."""
        coming, going = added - self.members, (removed & self.members) - added
        self.members -= going
        self.members |= coming
        lost = elements_of(going)
        if any(_is_half_or_all(one) for one in going | coming):
            lost -= elements_of(filter(_is_half_or_all, self.members))
        change = ElementChange(elements_of(coming), lost)
        return None if is_large(change, len(self.members)) else change


def is_large(change: ElementChange[Element], size: int) -> bool:
    """Whether a whole new set is the better way: at once, and with less to say."""
    count = len(change.added) + len(change.removed)
    return count > _AT_ONCE and count * 2 > size


def _is_half_or_all(member: Member) -> bool:
    return isinstance(member, Prefix) and member.length <= 1


def elements_of(members: Iterable[Member]) -> set[Element]:
    """Members as ipset writes them."""
    found: set[Element] = set()
    for one in members:
        if isinstance(one, IPPort):
            address = format_address(one.version, one.address)
            found.add(f"{address},{int(one.protocol)}:{int(one.port)}")
        elif one.length:
            found.add(net_text(one.network))
        else:
            half = 1 << WIDTH[one.version] - 1
            found.update(net_text(Prefix(one.version, first, 1)) for first in (0, half))
    return found


def found_element(kind: SetType, text: str) -> Element:
    """An element as `ipset save` prints it, in the form of the wanted ones."""
    if kind is SetType.NETS:
        return text
    address, _, rest = text.partition(",")
    protocol, _, port = rest.partition(":")
    return f"{address},{_PROTOCOL_NAMES.get(protocol, protocol)}:{port}"


def creation(name: str, kind: SetType, version: int, room: int, count: int) -> str:
    """The command that makes the set with place for `count` members, and for `room` if need be.

    A set that has to grow while it is filled takes twice as long.
    """
    buckets = max(_LEAST_BUCKETS, 1 << (count // 2).bit_length())
    size = f"hashsize {buckets} maxelem {int(room)}"
    return f"create {name} {kind.value} family {_INET[version]} {size}"


def type_of(fields: Iterable[str], version: int) -> SetType | None:
    """The type in a "create" line; None for a set that this driver does not make."""
    words = list(fields)
    for kind in SetType:
        if words[:3] == [kind.value, "family", _INET[version]]:
            return kind
    return None
