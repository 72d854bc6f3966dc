"""Who changes a table, told as it happens, to an asyncio program.

The kernel tells a transaction object by object and ends with the new generation, which names the
process. Transactions of other tables are read past without being taken apart.
"""

from collections.abc import Callable, Iterable
from typing import NamedTuple

from tortie.linux.netlink.listener import Listener
from tortie.linux.netlink.nfnetlink import FAMILY_IP, FAMILY_IP6, GENERIC
from tortie.linux.netlink.socketfilter import without_senders
from tortie.linux.netlink.sockets import NETLINK_NETFILTER
from tortie.linux.netlink.wire import (
    Message,
    attribute_map,
    parse_messages,
    read_be,
    read_string,
    string,
)

_GROUP = 7  # NFNLGRP_NFTABLES
_SUBSYSTEM = 10
_NEW_GENERATION = 15
_TABLE_NAME = 1  # the attribute of every object's message that names its table
_BUFFER = 1024 * 1024  # so that another manager's thousands of rules cost no look at ours


class Transaction(NamedTuple):
    """One transaction that touched the table. `process` is 0 and `program` "" if not told."""

    generation: int
    process: int
    program: str

    def __str__(self) -> str:
        if not self.program:
            return "an unnamed process"
        return f"{self.program} (process {self.process})"


class TransactionReader:
    """Datagrams in, transactions that touched the table in `ip` or `ip6` out; without I/O."""

    def __init__(self, table: str) -> None:
        self._mark = string(table)
        self._table = table
        self._touched = False

    def read(self, data: bytes) -> list[Transaction]:
        """What ended in this datagram. Raises MalformedMessage."""
        if not (self._touched or self._mark in data):
            return []
        return [one for message in parse_messages(data) if (one := self._ended(message))]

    def _ended(self, message: Message) -> Transaction | None:
        if message.type >> 8 != _SUBSYSTEM:
            return None
        if message.type & 0xFF != _NEW_GENERATION:
            self._touched = self._touched or self._is_ours(message)
            return None
        touched, self._touched = self._touched, False
        if not touched:
            return None
        found = attribute_map(message.payload, GENERIC.size)
        generation, process = read_be(found.get(1, b"")), read_be(found.get(2, b""))
        return Transaction(generation, process, read_string(found.get(3, b"")))

    def _is_ours(self, message: Message) -> bool:
        if message.payload[:1] not in (bytes((FAMILY_IP,)), bytes((FAMILY_IP6,))):
            return False
        found = attribute_map(message.payload, GENERIC.size)
        return read_string(found.get(_TABLE_NAME, b"")) == self._table


class TransactionMonitor:
    """Calls `handler` with each transaction of others that touched the table, `lost` if some may
    have been missed. What `own_ports` send is not told: the kernel leaves it out.
    """

    def __init__(
        self,
        table: str,
        own_ports: Iterable[int],
        handler: Callable[[Transaction], None],
        lost: Callable[[], None],
    ) -> None:
        self._handler = handler
        self._reader = TransactionReader(table)
        self._listener = Listener(NETLINK_NETFILTER, [_GROUP], self._deliver, lost)
        self._listener.set_buffer(_BUFFER)
        self._listener.set_filter(without_senders(frozenset(own_ports)))

    def start(self) -> None:
        """Deliver from the running loop from now on, those since the opening first."""
        self._listener.start()

    def close(self) -> None:
        """Stop; closing it twice is harmless."""
        self._listener.close()

    def _deliver(self, data: bytes) -> None:
        for one in self._reader.read(data):
            if self._listener.is_open:
                self._handler(one)
