"""Changes of a set's members as netlink requests. Pure."""

import socket
from collections.abc import Iterable, Iterator

from tortie.dataplane.iptables.edits import EditSet
from tortie.dataplane.iptables.sets import Element
from tortie.linux.netlink.ipset import SetMember, add_member, delete_member
from tortie.linux.netlink.sockets import Request


def member_requests(edits: Iterable[EditSet]) -> Iterator[Request]:
    """Additions before removals, set by set."""
    for edit in edits:
        yield from (add_member(edit.name, _member(one)) for one in sorted(edit.added))
        yield from (delete_member(edit.name, _member(one)) for one in sorted(edit.removed))


def _member(element: Element) -> SetMember:
    address, _, rest = element.partition(",")
    if rest:
        protocol, _, port = rest.partition(":")
        return SetMember(_packed(address), protocol=int(protocol), port=int(port))
    host, _, length = address.partition("/")
    return SetMember(_packed(host), int(length) if length else None)


def _packed(address: str) -> bytes:
    return socket.inet_pton(socket.AF_INET6 if ":" in address else socket.AF_INET, address)
