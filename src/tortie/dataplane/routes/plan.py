"""One destination's change, as a request to the kernel."""

import errno
from collections.abc import Iterable
from typing import NamedTuple

from msgspec.structs import replace

from tortie.linux.netlink.rtnetlink import KernelRoute
from tortie.linux.netlink.sockets import NetlinkError, Request
from tortie.linux.routes import adding, deleting, replacing
from tortie.net import Prefix

_GONE = frozenset({errno.ESRCH, errno.ENODEV, errno.ENOENT})


class Change(NamedTuple):
    """From the route that the kernel has to the one that it should have; None for none."""

    destination: Prefix
    known: KernelRoute | None
    wanted: KernelRoute | None

    @property
    def request(self) -> Request:
        """What to ask. A new route never takes the place of a foreign one."""
        if self.wanted is None:
            assert self.known is not None
            return deleting(self.known)
        return replacing(self.wanted) if self.known else adding(self.wanted)

    @property
    def in_two_steps(self) -> tuple[Request, Request]:
        """First the device alone, then the gateway: no packet falls through to a shorter prefix."""
        assert self.wanted is not None
        bare = replace(self.wanted, gateway=None, onlink=False)
        return self._replace(wanted=bare).request, replacing(self.wanted)

    def means_misled(self, error: NetlinkError) -> bool:
        """Whether the kernel refuses an IPv6 gateway on our device since another route leads to it.

        Often it is the very one that is to be replaced: a tunnel's end is in its node's block.
        """
        wanted = self.wanted
        is_asked = wanted is not None and wanted.onlink and wanted.destination.version == 6
        return is_asked and error.errno == errno.EINVAL

    def means_gone(self, error: NetlinkError) -> bool:
        """Whether the kernel says that what should be deleted is not there."""
        return self.wanted is None and error.errno in _GONE

    def means_taken(self, error: NetlinkError) -> bool:
        """Whether another route with this destination and metric stands in the way."""
        return self.wanted is not None and self.known is None and error.errno == errno.EEXIST


def in_safe_order(changes: Iterable[Change]) -> list[Change]:
    """New routes first, shortest prefixes of them first, and deletions last.

    A block's blackhole is there before its addresses and after them: a packet to one that is not
    (any more) is dropped, and never follows the default route to somewhere else.
    """
    changes = list(changes)
    written = [change for change in changes if change.wanted]
    deleted = [change for change in changes if not change.wanted]
    written.sort(key=lambda change: change.destination.length)
    deleted.sort(key=lambda change: -change.destination.length)
    return written + deleted
