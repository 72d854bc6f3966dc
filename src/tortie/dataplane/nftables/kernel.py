"""The kernel's side of the driver: commit a transaction, read the tables back.

It belongs to the network namespace in which it was made, and to one thread.
"""

import re
from collections.abc import Sequence
from errno import ERESTART
from typing import NamedTuple

from tortie.dataplane.nftables.anonymous import CONSTANT
from tortie.dataplane.nftables.edits import (
    INTERFACE_SETS,
    InterfaceElements,
    TableMirror,
)
from tortie.dataplane.nftables.names import (
    TABLE,
    ChainName,
    SetName,
    UnsafeName,
    checked_interface,
)
from tortie.dataplane.nftables.sets import (
    Element,
    Layout,
    found_elements,
    interface_of,
    layout_of,
)
from tortie.dataplane.policy.families import FAMILIES, Family
from tortie.linux.links import Links
from tortie.linux.netlink import nfnetlink, nfobjects
from tortie.linux.netlink.nfdump import settled
from tortie.linux.netlink.nfnetlink import SetFlag, SetRef
from tortie.linux.netlink.sockets import DumpInterrupted, NetlinkError, NetlinkSocket, Request
from tortie.linux.netlink.wire import NLM_F_ACK, NLM_F_REQUEST, NLMSG_ERROR, parse_acknowledgement
from tortie.net import Prefix

_NETFILTER = 12
_READ_ATTEMPTS = 10
_DORMANT = 1
_CONSTANTS = re.compile(re.escape(CONSTANT.encode()) + rb"[A-Za-z0-9_-]+")  # in a rule's bytes
_INTERRUPTED = 4  # EINTR


class Snapshot(NamedTuple):
    """What was read: a mirror of each table by IP version, and the elements of its sets."""

    mirrors: dict[int, TableMirror]
    elements: dict[tuple[int, SetName], set[Element]]
    generation: int = 0  # the namespace's count of transactions at that moment


class Overtaken(NetlinkError):
    """Somebody else changed the firewall after it was read: nothing was written."""


class Kernel:
    """Two netlink sockets of the current network namespace."""

    def __init__(self) -> None:
        self._socket = NetlinkSocket(_NETFILTER)
        try:
            # At once: a later moment may find the thread in another namespace.
            self._routing = NetlinkSocket()
        except OSError:
            self._socket.close()
            raise

    def close(self) -> None:
        """Close both; the tables stay in force."""
        self._socket.close()
        self._routing.close()

    @property
    def ports(self) -> frozenset[int]:
        """The netlink ports from which transactions go out."""
        return frozenset((self._socket.port,))

    def generation(self) -> int:
        """How many transactions this namespace has seen; one more for each."""
        return nfnetlink.parse_generation(self._socket.request(nfnetlink.get_generation())[0])

    def commit(self, requests: Sequence[Request], generation: int | None = None) -> None:
        """All requests in one transaction. Raises NetlinkError for the first one that the kernel
        refuses, Overtaken if `generation` is not the namespace's any more; then none is in force.

        The question behind it tells when all is said of the batch: no request of it is answered
        unless it is refused.
        """
        batch = nfobjects.transaction(requests, generation)
        self._socket.expect(len(batch))
        first = self._socket.post(batch, NLM_F_REQUEST)
        last = self._socket.post([nfnetlink.get_generation()], NLM_F_REQUEST | NLM_F_ACK)
        problem: NetlinkError | None = None
        while True:
            for message in self._socket.receive():
                if message.type != NLMSG_ERROR:
                    continue
                place, ack = message.sequence - first, parse_acknowledgement(message)
                if message.sequence == last:
                    if problem is not None:
                        raise problem
                    return
                if ack.errno and problem is None and 0 <= place < len(batch):
                    kind = Overtaken if ack.errno == ERESTART else NetlinkError
                    problem = kind(ack.errno, ack.message, batch[place].about, place)

    def addresses(self) -> dict[str, frozenset[Prefix]]:
        """The addresses of every interface of the namespace that has any."""
        return Links(self._routing).addresses_by_name()

    def has_link(self, name: str) -> bool:
        """Whether the namespace has an interface of this name."""
        return Links(self._routing).find(name) is not None

    def read(self) -> Snapshot:
        """Both tables as they are at one moment.

        Raises DumpInterrupted when transactions never stopped while it was read.
        """
        for _ in range(_READ_ATTEMPTS):
            before = self.generation()
            try:
                snapshot = self._read()
            except NetlinkError as error:
                if self.generation() == before:
                    raise error
                continue  # a table or set went away meanwhile
            if self.generation() == before:
                return snapshot._replace(generation=before)
        raise DumpInterrupted(_INTERRUPTED, "they kept changing while they were read", "nftables")

    def _read(self) -> Snapshot:
        snapshot = Snapshot({one.version: TableMirror() for one in FAMILIES}, {})
        for family in FAMILIES:
            mirror = snapshot.mirrors[family.version]
            tables = self._socket.dump(nfnetlink.get_tables(family.number))
            found = [one for one in map(nfnetlink.parse_table, tables) if one.name == TABLE]
            if found:
                mirror.exists = not found[0].flags & _DORMANT
                self._read_sets(family, mirror, snapshot)
                self._read_chains(family, mirror)
        return snapshot

    def _read_chains(self, family: Family, mirror: TableMirror) -> None:
        for message in self._socket.dump(nfnetlink.get_chains(family.number)):
            chain = nfnetlink.parse_chain(message)
            if chain.table == TABLE:
                mirror.chains[ChainName(chain.name)] = ()
                if chain.hook is not None:
                    mirror.hooks[ChainName(chain.name)] = chain.hook
        comments: dict[str, list[str]] = {}
        used: dict[str, set[SetName]] = {}
        for message in self._socket.dump(nfnetlink.get_rules(family.number, TABLE)):
            rule = nfnetlink.parse_rule(message)
            comments.setdefault(rule.chain, []).append(rule.comment)
            if names := _CONSTANTS.findall(message.payload):
                used.setdefault(rule.chain, set()).update(SetName(one.decode()) for one in names)
        for name, found in comments.items():
            mirror.chains[ChainName(name)] = tuple(found)
        mirror.see_users({ChainName(name): frozenset(found) for name, found in used.items()})

    def _read_sets(self, family: Family, mirror: TableMirror, snapshot: Snapshot) -> None:
        for message in self._socket.dump(nfnetlink.get_sets(family.number, TABLE)):
            found = nfnetlink.parse_set(message)
            if found.flags & SetFlag.ANONYMOUS:
                continue
            name = SetName(found.name)
            if name.startswith(CONSTANT):
                mirror.constants[name] = bool(found.flags & SetFlag.MAP)
                continue
            layout = layout_of(found, family)
            mirror.sets[name] = layout
            if layout is None:
                continue
            elements = found_elements(layout, self._elements(family, found, layout))
            if name in INTERFACE_SETS:
                _by_interface(name, elements, mirror)
            else:
                snapshot.elements[family.version, name] = elements

    def _elements(
        self, family: Family, found: nfnetlink.Set, layout: Layout
    ) -> frozenset[nfnetlink.Element]:
        target = SetRef(family.number, TABLE, found.name)
        if layout.is_interval:  # the kernel counts half of their ends: of 0.0.0.0/0 alone, none
            return self._dumped(target)
        if found.size == 0:
            return frozenset()
        return settled(lambda: self._dumped(target), found.size, target)

    def _dumped(self, target: SetRef) -> frozenset[nfnetlink.Element]:
        messages = self._socket.dump(nfnetlink.get_elements(target))
        return frozenset(one for each in messages for one in nfnetlink.parse_elements(each))


def _by_interface(name: SetName, elements: set[Element], mirror: TableMirror) -> None:
    """Sort elements by interface. One that no driver could have made spoils the whole set."""
    grouped: dict[str, set[tuple[SetName, Element]]] = {}
    for element in elements:
        interface = interface_of(element)
        try:
            checked_interface(interface)
        except UnsafeName:
            mirror.sets[name] = None
            return
        grouped.setdefault(interface, set()).add((name, element))
    for interface, own in grouped.items():
        had: InterfaceElements = mirror.interfaces.get(interface, frozenset())
        mirror.interfaces[interface] = had | own
