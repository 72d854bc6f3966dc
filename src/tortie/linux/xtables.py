"""Looking at the kernel's own (legacy) tables of iptables, without a process: by getsockopt.

From linux/netfilter_ipv4/ip_tables.h and linux/netfilter_ipv6/ip6_tables.h: IPT_SO_GET_INFO and
IPT_SO_GET_ENTRIES, which the IPv6 tables share. The kernel gives no notification of their changes;
how many entries a table has, and how long they are, costs two microseconds to ask.
"""

import ctypes
import errno
import os
import socket
import struct
from typing import NamedTuple

_GET_INFO, _GET_ENTRIES = 64, 65
_LEVELS = {4: (socket.AF_INET, socket.IPPROTO_IP), 6: (socket.AF_INET6, socket.IPPROTO_IPV6)}
_INFO = struct.Struct("=32s I 5I 5I I I")
_HEAD = 40  # of the entries' answer: the table's name, their length, padding
_RAW = 255  # IPPROTO_RAW
_COUNTERS = 16
# Of an entry: where its length (next_offset) and its counters are.
_PLACES = {4: (90, 96), 6: (142, 152)}
_LENGTH = struct.Struct("=H")
_ATTEMPTS = 10


class Extent(NamedTuple):
    """How much a table holds, and where its chains begin: other numbers are other rules.

    A chain of rules counts as two entries more than it has rules.
    """

    entries: int
    size: int
    places: tuple[int, ...]


class LegacyTables:
    """The tables of one IP version in the calling thread's namespace. Raises OSError (root).

    To ask of a table that is not there makes it: ask only of those that have rules of ours.
    """

    def __init__(self, version: int) -> None:
        family, self._level = _LEVELS[version]
        self._length_at, self._counters_at = _PLACES[version]
        self._socket = socket.socket(family, socket.SOCK_RAW | socket.SOCK_CLOEXEC, _RAW)
        self._library = ctypes.CDLL(None, use_errno=True)

    def close(self) -> None:
        """Close the socket; closing it twice is harmless."""
        self._socket.close()

    def extent(self, table: str) -> Extent:
        """How much the table holds. Raises OSError where there is no such table."""
        buffer = ctypes.create_string_buffer(table.encode(), _INFO.size)
        self._ask(_GET_INFO, buffer)
        _, _, *places, entries, size = _INFO.unpack(buffer.raw)
        return Extent(entries, size, tuple(places))

    def rules(self, table: str) -> memoryview:
        """What the table holds, one entry behind the other, as the kernel keeps them.

        Its cost grows with the table: 10 ms for 10,000 rules.
        """
        for _ in range(_ATTEMPTS):
            size = self.extent(table).size
            buffer = ctypes.create_string_buffer(_HEAD + size)
            struct.pack_into("=32sI", buffer, 0, table.encode(), size)
            try:
                self._ask(_GET_ENTRIES, buffer)
            except OSError as error:
                if error.errno != errno.EAGAIN:  # it changed since it was measured
                    raise
                continue
            return memoryview(buffer)[_HEAD:]
        raise BlockingIOError(errno.EAGAIN, f"table {table} kept changing while it was read")

    def _ask(self, question: int, buffer: ctypes.Array[ctypes.c_char]) -> None:
        length = ctypes.c_uint32(len(buffer))
        handle = self._socket.fileno()
        if self._library.getsockopt(handle, self._level, question, buffer, ctypes.byref(length)):
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))

    def without_counters(self, rules: memoryview) -> int:
        """A mask, for the rules as a big-endian number, that leaves out what counts packets.

        Where another table is equal under the mask, its entries are as long as these, so the mask
        is its own, too.
        """
        mask, place = bytearray(b"\xff") * len(rules), 0
        while place < len(rules):
            counters = place + self._counters_at
            mask[counters : counters + _COUNTERS] = bytes(_COUNTERS)
            place += _LENGTH.unpack_from(rules, place + self._length_at)[0]
        return int.from_bytes(mask, "big")


def existing_tables(version: int) -> list[str]:
    """The tables that the calling thread's namespace has."""
    name = "ip_tables_names" if version == 4 else "ip6_tables_names"
    try:
        with open(f"/proc/thread-self/net/{name}") as file:
            return file.read().split()
    except FileNotFoundError:  # a kernel without them, or that was never asked for them
        return []
