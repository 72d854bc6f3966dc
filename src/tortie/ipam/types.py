"""What is asked of address management, and what it answers."""

from collections.abc import Mapping
from typing import Literal

from msgspec import Struct

from tortie.ipam.holders import ANYBODY, About
from tortie.net import Prefix

Use = Literal["Workload", "Tunnel", "LoadBalancer"]


class Edges(Struct, frozen=True):
    """Addresses at both ends of each new block that go to nobody, as Windows' networks need it."""

    first: int = 3
    last: int = 1


class AssignRequest(Struct, frozen=True, kw_only=True):
    """Any `count4` IPv4 and `count6` IPv6 addresses for `handle` on `node`.

    `pools4` and `pools6` name pools or give their CIDRs; they bypass the pools' selectors.
    `attributes` are kept with each address for people and for collectors of leaks, and tell who it
    is that has the handle's addresses already (`tortie.ipam.holders`). `namespace` is
    the workload's; where it is empty, `attributes["namespace"]` counts. Its labels are read from
    the datastore unless they are given.

    `most` is how many addresses of one IP version the handle may have in all, 0: any number; a
    VM's has one, however often it is asked for. `most_blocks` is how many blocks the node may
    have, 0: as the configuration says.
    """

    node: str
    handle: str
    count4: int = 1
    count6: int = 0
    pools4: tuple[str, ...] = ()
    pools6: tuple[str, ...] = ()
    use: Use = "Workload"
    attributes: Mapping[str, str] = {}
    namespace: str = ""
    namespace_labels: Mapping[str, str] | None = None
    most: int = 0
    most_blocks: int = 0
    edges: Edges | None = None

    def count(self, version: int) -> int:
        """How many addresses of an IP version."""
        return self.count4 if version == 4 else self.count6

    def pools(self, version: int) -> tuple[str, ...]:
        """The pools that are asked for; none: any."""
        return self.pools4 if version == 4 else self.pools6


class FixedRequest(Struct, frozen=True, kw_only=True):
    """This very `address` (a /32 or /128) for `handle` on `node`. `most` as for AssignRequest."""

    address: Prefix
    node: str
    handle: str
    use: Use = "Workload"
    attributes: Mapping[str, str] = {}
    most: int = 0


class Assignment(Struct, frozen=True):
    """Addresses, each a /32 or /128; IPv4 first."""

    ips: tuple[Prefix, ...]


class ReleaseRequest(Struct, frozen=True, kw_only=True):
    """An address to give back, if `handle` still holds it and since `sequence`, where given."""

    address: Prefix
    handle: str | None = None
    sequence: int | None = None


class ReturnRequest(Struct, frozen=True, kw_only=True):
    """All that `handle` holds to be given back, but for what is noted as another's than `by`'s."""

    handle: str
    by: About = ANYBODY


class Owners(Struct, frozen=True, kw_only=True):
    """Who has an address of a handle. `alternate` is a second one, to which it is about to move."""

    handle: str
    active: Mapping[str, str] = {}
    alternate: Mapping[str, str] = {}


class OwnersChange(Struct, frozen=True, kw_only=True):
    """New owners of an address that `handle` holds; None leaves one as it is, {} clears it.

    `expected_active` and `expected_alternate`, where given, must be what is there now.
    """

    address: Prefix
    handle: str
    active: Mapping[str, str] | None = None
    alternate: Mapping[str, str] | None = None
    expected_active: Mapping[str, str] | None = None
    expected_alternate: Mapping[str, str] | None = None
