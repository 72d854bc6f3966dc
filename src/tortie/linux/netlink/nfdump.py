"""Dumps of nf_tables' hash tables that are whole, though the kernel rebuilds them meanwhile."""

from collections.abc import Callable

from tortie.linux.netlink.nfnetlink import Element, SetRef
from tortie.linux.netlink.sockets import DumpInterrupted

_ATTEMPTS = 10
_INTERRUPTED = 4  # EINTR


def settled(
    dump: Callable[[], frozenset[Element]], count: int | None, target: SetRef
) -> frozenset[Element]:
    """The elements of a hash table, which may be rebuilt by the kernel while it is dumped.

    A dump goes on in the next message after as many elements as it has told, so that one may be
    passed over when their order changes in between. It is whole when it has as many as the kernel
    counts, or, from a kernel that does not count, when it says twice the same.

    Raises DumpInterrupted when that never came.
    """
    before: frozenset[Element] | None = None
    for _ in range(_ATTEMPTS):
        elements = dump()
        if elements == before if count is None else len(elements) == count:
            return elements
        before = elements
    raise DumpInterrupted(_INTERRUPTED, "its elements never came whole", str(target))
