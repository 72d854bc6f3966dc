"""What ipset's sets hold: members as the text of elements, and back. Pure.

Sets of addresses are hash:net, sets of ports hash:ip,port. hash:net takes every prefix but the one
of length 0, which becomes its two halves.
"""

from collections.abc import Iterable, Set
from enum import Enum
from typing import NamedTuple

from tortie.dataplane.policy.nets import net_text
from tortie.net import Prefix, format_address
from tortie.net.addresses import WIDTH
from tortie.policy.program import IPPort, Member, SetKind

Element = str
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


class ElementChange(NamedTuple):
    """Elements that a set gains and loses."""

    added: frozenset[Element]
    removed: frozenset[Element]

    def __bool__(self) -> bool:
        return bool(self.added or self.removed)


class FamilySet:
    """The members of one IP version of a program's set."""

    def __init__(self, version: int, kind: SetKind, members: Iterable[Member] = ()) -> None:
        self.version, self.type = version, SetType.of(kind)
        self.members = {one for one in members if one.version == version}

    def elements(self) -> frozenset[Element]:
        """What the kernel's set should hold."""
        return elements_of(self.members)

    def change(self, added: Set[Member], removed: Set[Member]) -> ElementChange:
        """Take a change of members, those of the other version too; what it means for elements."""
        coming = {one for one in added if one.version == self.version} - self.members
        going = (removed & self.members) - added
        self.members -= going
        self.members |= coming
        lost = elements_of(going)
        if any(isinstance(one, Prefix) and one.length <= 1 for one in going | coming):
            lost -= elements_of(one for one in self.members if _is_half_or_all(one))
        return ElementChange(elements_of(coming), lost)


def _is_half_or_all(member: Member) -> bool:
    return isinstance(member, Prefix) and member.length <= 1


def elements_of(members: Iterable[Member]) -> frozenset[Element]:
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
    return frozenset(found)


def found_element(kind: SetType, text: str) -> Element:
    """An element as `ipset save` prints it, in the form of the wanted ones."""
    if kind is SetType.NETS:
        return text
    address, _, rest = text.partition(",")
    protocol, _, port = rest.partition(":")
    return f"{address},{_PROTOCOL_NAMES.get(protocol, protocol)}:{port}"


def creation(name: str, kind: SetType, version: int, room: int) -> str:
    """The command that makes the set."""
    return f"create {name} {kind.value} family {_INET[version]} maxelem {int(room)}"


def type_of(fields: Iterable[str], version: int) -> SetType | None:
    """The type in a "create" line; None for a set that this driver does not make."""
    words = list(fields)
    for kind in SetType:
        if words[:3] == [kind.value, "family", _INET[version]]:
            return kind
    return None
