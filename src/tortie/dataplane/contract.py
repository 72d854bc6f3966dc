"""What every driver promises, and what it reports."""

from typing import NamedTuple, Protocol

from msgspec import Struct

from tortie.engine.delta import Delta


class Failure(NamedTuple):
    """One thing that could not be programmed; its last good state is still in force."""

    driver: str  # "nftables", "routes", "vxlan"
    subject: str  # the object as people name it: "GlobalNetworkPolicy(deny-all)", "10.0.0.0/26"
    message: str  # what went wrong, in one line


class Applied(Struct, frozen=True):
    """What a driver did not manage; empty when the kernel is as desired."""

    failed: tuple[Failure, ...] = ()

    def __add__(self, other: "Applied") -> "Applied":
        return Applied(self.failed + other.failed)


class Watch(Protocol):
    """Tells what others change, in the event loop."""

    def start(self) -> None:
        """Tell from the running loop from now on; what came since the making first."""
        ...

    def close(self) -> None:
        """Stop; closing it twice is harmless."""
        ...


class Driver(Protocol):
    """Desired state into one part of the kernel. Called by one thread at a time; blocks.

    A failure is reported in `Applied`, never raised for one bad object; what failed is tried
    again by the next `resync`. An exception (NetlinkError, NftError, OSError) means that
    nothing of this call is in force, and the caller resyncs later.
    """

    name: str

    @property
    def ports(self) -> frozenset[int]:
        """The netlink ports from which it writes now; in notifications they tell its own doing."""
        ...

    @property
    def written(self) -> int:
        """How many objects it wrote or removed so far: a resync that adds none found all well."""
        ...

    def fold(self, delta: Delta) -> None:
        """Take the delta into the desired state; touch nothing (used until the first resync)."""
        ...

    def apply(self, delta: Delta) -> Applied:
        """Take the delta into the desired state and write the difference."""
        ...

    def resync(self) -> Applied:
        """Read back what is there, adopt what is right, repair the rest, remove what is stray."""
        ...
