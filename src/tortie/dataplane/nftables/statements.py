"""What a rule does, beside verdicts and marks: logs, limits, changes of addresses. Pure."""

from msgspec import Struct

from tortie.dataplane.nftables.fields import ByteOrder
from tortie.dataplane.nftables.terms import Fixed, Statement, Step, Term
from tortie.dataplane.policy.families import Family, family_of
from tortie.linux.netlink import nfexpr
from tortie.linux.netlink.nfexpr import FIRST, Base, NatFlag
from tortie.linux.netlink.rtroute import RTN_LOCAL
from tortie.net import PortRange, Prefix, format_address

_SECONDS = {"second": 1, "minute": 60, "hour": 3600, "day": 86_400}
_LOG_WARNING = 4
_PORT_UNREACHABLE = {4: 3, 6: 4}


class Log(Term, frozen=True):
    """Write a line to the kernel's log. The prefix is checked by the settings."""

    prefix: str

    def text(self) -> str:
        return f'log prefix "{self.prefix}"'

    def steps(self, _: ByteOrder, /) -> tuple[Step, ...]:
        return (nfexpr.log(self.prefix, _LOG_WARNING),)


class Limit(Term, frozen=True):
    """Go on for `rate` packets in a `unit`, and a burst; `over`: for those beyond them."""

    rate: int
    unit: str = "second"
    burst: int = 5
    over: bool = False

    def text(self) -> str:
        over = "over " if self.over else ""
        return f"limit rate {over}{self.rate}/{self.unit} burst {self.burst} packets"

    def steps(self, _: ByteOrder, /) -> tuple[Step, ...]:
        seconds = _SECONDS[self.unit]
        return (nfexpr.limit(self.rate, seconds, self.burst, over=int(self.over)),)


class ConnectionsAbove(Term, frozen=True):
    """Go on if there are more connections than these that came here."""

    count: int

    def text(self) -> str:
        return f"ct count over {self.count}"

    def steps(self, _: ByteOrder, /) -> tuple[Step, ...]:
        return (nfexpr.connections_above(self.count),)


class RouteBack(Term, frozen=True):
    """The source has a route by the interface that the packet came from."""

    def text(self) -> str:
        return "fib saddr . iif oif exists"

    def steps(self, machine: ByteOrder, /) -> tuple[Step, ...]:
        yes = (1).to_bytes(4, machine)
        return (nfexpr.route_back_exists(), nfexpr.compare(nfexpr.Relation.EQUAL, yes))


class ToOwnAddress(Term, frozen=True):
    """The destination is an address of the node's own, whatever for."""

    def text(self) -> str:
        return "fib daddr type local"

    def steps(self, machine: ByteOrder, /) -> tuple[Step, ...]:
        local = RTN_LOCAL.to_bytes(4, machine)
        return (nfexpr.destination_type(), nfexpr.compare(nfexpr.Relation.EQUAL, local))


class Nat(Struct, frozen=True):
    """Where to: an address (of the outgoing interface if absent) and ports (as they are)."""

    address: Prefix | None = None
    ports: PortRange | None = None
    fully_random: bool = False

    @property
    def where(self) -> str:
        """In nft's grammar, with a space before it; empty if there is nothing to say."""
        address = ""
        if self.address is not None:
            address = format_address(self.address.version, self.address.address)
        ports = ""
        if self.ports is not None:
            first, last = map(int, self.ports)
            ports = f":{first}-{last}" if first != last else f":{first}"
            address = f"[{address}]" if ":" in address else address
        told = f" to {address}{ports}" if address or ports else ""
        return told + (" fully-random" if self.fully_random else "")

    @property
    def flags(self) -> NatFlag:
        """What of it is given."""
        flags = NatFlag.FULLY_RANDOM if self.fully_random else NatFlag(0)
        flags |= NatFlag.PORTS if self.ports is not None else NatFlag(0)
        return flags | (NatFlag.ADDRESSES if self.address is not None else NatFlag(0))

    def port_steps(self, register: int) -> tuple[list[bytes], list[int]]:
        """The expressions that load the ports from this register on, and their registers."""
        if self.ports is None:
            return [], []
        numbers = dict.fromkeys(map(int, self.ports))
        loads = [
            nfexpr.load_value(one.to_bytes(2), register + place)
            for place, one in enumerate(numbers)
        ]
        return loads, list(range(register, register + len(loads)))


class Masquerade(Term, frozen=True):
    """Leave with the outgoing interface's address."""

    to: Nat = Nat(fully_random=True)

    def text(self) -> str:
        return f"masquerade{self.to.where}"

    def steps(self, _: ByteOrder, /) -> tuple[Step, ...]:
        loads, ports = self.to.port_steps(FIRST)
        return (*loads, nfexpr.masquerade(ports, self.to.flags))


class ChangeAddress(Term, frozen=True):
    """Leave with (`destination`: go to) another address. Raises ValueError where none is given."""

    to: Nat
    destination: bool = False

    def text(self) -> str:
        return f"{'dnat' if self.destination else 'snat'}{self.to.where}"

    def steps(self, _: ByteOrder, /) -> tuple[Step, ...]:
        address = self.to.address
        if address is None:
            raise ValueError("an address to change to is needed")
        family = family_of(address.version)
        width = 4 if family.version == 4 else 16
        load = nfexpr.load_value(address.address.to_bytes(width))
        loads, ports = self.to.port_steps(FIRST + 1)
        kind = 1 if self.destination else 0
        return (load, *loads, nfexpr.nat(kind, family.number, [FIRST], ports, self.to.flags))


class SetDscp(Term, frozen=True):
    """Mark the packet's class of service: six bits of the second byte, or of the two first."""

    family: Family
    value: int

    def text(self) -> str:
        return f"{self.family.nft} dscp set {self.value}"

    def steps(self, _: ByteOrder, /) -> tuple[Step, ...]:
        """The kernel writes whole words where a checksum covers them: version, length, class."""
        four = self.family.version == 4
        keep, bits = (0xFF03, self.value << 2) if four else (0xF03F, self.value << 6)
        load = nfexpr.load_payload(Base.NETWORK, 0, 2)
        change = nfexpr.masked(keep.to_bytes(2), bits.to_bytes(2))
        return (load, change, nfexpr.write_payload(Base.NETWORK, 0, 2, 10 if four else None))


def reject(family: Family) -> Statement:
    """Refuse with ICMP's "port unreachable"."""
    return Statement(Fixed("reject", nfexpr.reject(_PORT_UNREACHABLE[family.version])))


REJECT_BY_RESET = Statement(Fixed("reject with tcp reset", nfexpr.reject_by_reset()))
