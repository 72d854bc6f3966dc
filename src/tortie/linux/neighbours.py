"""Neighbours and forwarding entries: what `ip neighbour` and `bridge fdb` do."""

from collections.abc import Sequence

from tortie.linux.netlink.rtnetlink import (
    RTM_DELNEIGH,
    RTM_GETNEIGH,
    RTM_NEWNEIGH,
    Forwarding,
    Neighbour,
    build_forwarding,
    build_forwarding_query,
    build_neighbour,
    build_neighbour_query,
    parse_forwarding,
    parse_neighbour,
)
from tortie.linux.netlink.sockets import NetlinkError, NetlinkSocket, Request
from tortie.linux.netlink.wire import NLM_F_CREATE, NLM_F_REPLACE

_SET = NLM_F_CREATE | NLM_F_REPLACE
Entry = Neighbour | Forwarding


def setting(entry: Entry) -> Request:
    """A request that makes an entry, or puts it in the place of the one for the same address."""
    return Request(RTM_NEWNEIGH, _build(entry), _SET, _words("setting", entry))


def deleting(entry: Entry) -> Request:
    """A request that deletes an entry; ENOENT when it is not there."""
    return Request(RTM_DELNEIGH, _build(entry), 0, _words("deleting", entry))


def _build(entry: Entry) -> bytes:
    return build_neighbour(entry) if isinstance(entry, Neighbour) else build_forwarding(entry)


def _words(verb: str, entry: Entry) -> str:
    if isinstance(entry, Neighbour):
        return f"{verb} neighbour {entry.address} at {entry.mac}"
    return f"{verb} forwarding entry {entry.mac} to {entry.remote}"


class Neighbours:
    """The neighbour and forwarding tables of the socket's namespace. Raises NetlinkError."""

    def __init__(self, sock: NetlinkSocket) -> None:
        self._sock = sock

    def list(self, index: int, version: int | None = None) -> list[Neighbour]:
        """The neighbours on the interface with this index."""
        query = build_neighbour_query(index, version)
        answers = self._sock.dump(Request(RTM_GETNEIGH, query, about="listing the neighbours"))
        found = [parse_neighbour(message.payload) for message in answers]
        return [entry for entry in found if entry.index == index]

    def forwarding(self, index: int) -> Sequence[Forwarding]:
        """The forwarding entries of the device with this index."""
        query = build_forwarding_query(index)
        answers = self._sock.dump(Request(RTM_GETNEIGH, query, about="listing forwarding entries"))
        found = [parse_forwarding(message.payload) for message in answers]
        return [entry for entry in found if entry.index == index]

    def set(self, entry: Entry) -> None:
        """Make or change one entry."""
        self._sock.request(setting(entry))

    def delete(self, entry: Entry) -> None:
        """Delete one entry."""
        self._sock.request(deleting(entry))

    def batch(self, requests: Sequence[Request]) -> dict[int, NetlinkError]:
        """Carry out many of `setting` and `deleting`; errors by index."""
        return self._sock.batch(requests)
