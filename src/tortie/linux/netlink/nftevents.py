"""Who changes a table, told as it happens, to an asyncio program.

The kernel tells a transaction object by object and ends with the new generation, which names the
process. Transactions of other tables are read past without being taken apart.
"""

from collections.abc import Callable, Collection, Iterable, Mapping
from typing import NamedTuple, Protocol

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

LOST = "notifications were lost"
_GROUP = 7  # NFNLGRP_NFTABLES
_SUBSYSTEM = 10
_NEW_GENERATION = 15
_NEW_CHAIN, _DELETE_CHAIN, _NEW_RULE, _DELETE_RULE = 3, 5, 6, 8
_CHAIN_OF = {_NEW_CHAIN: 3, _DELETE_CHAIN: 3, _NEW_RULE: 2, _DELETE_RULE: 2}  # attributes
_TABLE_NAME = 1  # the attribute of every object's message that names its table
_BUFFER = 1024 * 1024  # so that another manager's thousands of rules cost no look at ours


class Transaction(NamedTuple):
    """One transaction that touched the part. `process` is 0 and `program` "" if not told.

    `port`: the netlink port it came from: the process's number, unless it has several sockets.
    """

    generation: int
    process: int
    program: str
    port: int = 0

    def __str__(self) -> str:
        if not self.program:
            return "an unnamed process"
        return f"{self.program} (process {self.process})"


class Part(Protocol):
    """A part of the namespace's nf_tables, in families ip and ip6, whose changes matter."""

    @property
    def marks(self) -> Collection[bytes]:
        """What a datagram must contain one of to be taken apart."""
        ...

    def has(self, kind: int, attributes: Mapping[int, bytes], /) -> bool:
        """Whether an object's message is about it, by its number and its attributes."""
        ...


class WholeTable(NamedTuple):
    """A table and all that is in it."""

    name: str

    @property
    def marks(self) -> Collection[bytes]:
        """The table's name."""
        return (string(self.name),)

    def has(self, _: int, attributes: Mapping[int, bytes]) -> bool:
        """Every object names its table."""
        return read_string(attributes.get(_TABLE_NAME, b"")) == self.name


class ChainsWithin(NamedTuple):
    """Of these tables, rules of the chains of that prefix and of these; and that chains go.

    Who writes rules with iptables names the kernel's chains each time, and changes nothing by that.
    """

    tables: frozenset[str]
    prefix: str
    chains: frozenset[str]

    @property
    def marks(self) -> Collection[bytes]:
        """What the names of these chains are, or begin with."""
        return (self.prefix.encode(), *map(string, self.chains))

    def has(self, kind: int, attributes: Mapping[int, bytes]) -> bool:
        """Rules are told by their chain's name."""
        if read_string(attributes.get(_TABLE_NAME, b"")) not in self.tables:
            return False
        name = read_string(attributes.get(_CHAIN_OF.get(kind, 0), b""))
        if name.startswith(self.prefix):
            return True
        return name in self.chains and kind in (_NEW_RULE, _DELETE_RULE, _DELETE_CHAIN)


class TransactionReader:
    """Datagrams in, transactions that touched the part out; without I/O."""

    def __init__(self, part: Part) -> None:
        self._part = part
        self._touched = False

    def read(self, data: bytes) -> list[Transaction]:
        """What ended in this datagram. Raises MalformedMessage."""
        if not (self._touched or any(mark in data for mark in self._part.marks)):
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
        program = read_string(found.get(3, b""))
        return Transaction(generation, process, program, message.port)

    def _is_ours(self, message: Message) -> bool:
        if message.payload[:1] not in (bytes((FAMILY_IP,)), bytes((FAMILY_IP6,))):
            return False
        return self._part.has(message.type & 0xFF, attribute_map(message.payload, GENERIC.size))


class TransactionMonitor:
    """Calls `handler` with each transaction of others that touched the part, `lost` if some may
    have been missed. What `own_ports` send is not told: the kernel leaves it out.
    """

    def __init__(
        self,
        part: Part,
        own_ports: Iterable[int],
        handler: Callable[[Transaction], None],
        lost: Callable[[], None],
    ) -> None:
        self._handler = handler
        self._reader = TransactionReader(part)
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
