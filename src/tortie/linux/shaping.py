"""Queues and redirections of interfaces: what `tc` does, over one netlink socket."""

from collections.abc import Iterable

from tortie.linux.netlink.rttc import (
    CLSACT,
    RTM_DELQDISC,
    RTM_DELTFILTER,
    RTM_GETQDISC,
    RTM_GETTFILTER,
    RTM_NEWQDISC,
    RTM_NEWTFILTER,
    Bucket,
    Filter,
    Qdisc,
    build_bucket,
    build_filter,
    build_filter_query,
    build_hooks,
    build_qdisc_query,
    build_redirect,
    build_root,
    parse_filter,
    parse_qdisc,
)
from tortie.linux.netlink.sockets import NetlinkSocket, Request
from tortie.linux.netlink.wire import NLM_F_CREATE, NLM_F_EXCL, NLM_F_REPLACE

_NEW = NLM_F_CREATE | NLM_F_EXCL
_PUT = NLM_F_CREATE | NLM_F_REPLACE
_OUTGOING = 0xFFFFFFF3


class Shaping:
    """Token buckets and redirections in the socket's namespace. All raise NetlinkError."""

    def __init__(self, sock: NetlinkSocket) -> None:
        self._sock = sock

    def qdiscs(self, link: int = 0) -> list[Qdisc]:
        """The queueing disciplines of one interface by its index, or of all."""
        request = Request(RTM_GETQDISC, build_qdisc_query(link), about="listing the queues")
        found = (parse_qdisc(m.payload) for m in self._sock.dump(request) if m.type == RTM_NEWQDISC)
        return [one for one in found if link in (0, one.link)]

    def put_bucket(self, link: int, handle: int, bucket: Bucket) -> None:
        """Have a token bucket at the root of an interface, whatever was there."""
        about = f"token bucket of {bucket.rate} bytes/s on interface {link}"
        self._sock.request(Request(RTM_NEWQDISC, build_bucket(link, handle, bucket), _PUT, about))

    def delete_root(self, link: int, handle: int) -> None:
        """Remove what is at the root of an interface; the kernel puts its default there."""
        about = f"removing the queue of interface {link}"
        self._sock.request(Request(RTM_DELQDISC, build_root(link, handle), about=about))

    def add_hooks(self, link: int) -> None:
        """Let an interface have filters; it must not have "clsact" or "ingress" yet."""
        about = f"hooks of interface {link}"
        self._sock.request(Request(RTM_NEWQDISC, build_hooks(link), _NEW, about))

    def delete_hooks(self, link: int) -> None:
        """Take away the hooks of an interface with all of its filters."""
        about = f"removing the hooks of interface {link}"
        self._sock.request(Request(RTM_DELQDISC, build_hooks(link), about=about))

    def filters(self, link: int, *, outgoing: bool = False) -> list[Filter]:
        """The filters for what comes in by an interface, or for what goes out. It has hooks."""
        hook = (_OUTGOING,) if outgoing else ()
        request = Request(
            RTM_GETTFILTER, build_filter_query(link, *hook), about=f"filters of interface {link}"
        )
        answers = self._sock.dump(request)
        return [parse_filter(m.payload) for m in answers if m.type == RTM_NEWTFILTER]

    def add_redirect(self, link: int, priority: int, to: int) -> None:
        """Send all that comes in by an interface to another, whose queue it then waits in."""
        about = f"sending what comes in by interface {link} through interface {to}"
        self._sock.request(Request(RTM_NEWTFILTER, build_redirect(link, priority, to), _NEW, about))

    def delete_filter(self, link: int, priority: int) -> None:
        """Remove the filters of a priority from what comes in by an interface."""
        about = f"removing filter {priority} of interface {link}"
        self._sock.request(Request(RTM_DELTFILTER, build_filter(link, priority), about=about))


def has_hooks(qdiscs: Iterable[Qdisc]) -> str:
    """Which kind of hooks an interface with these disciplines has: "clsact", "ingress" or ""."""
    return next((one.kind for one in qdiscs if one.parent == CLSACT), "")
