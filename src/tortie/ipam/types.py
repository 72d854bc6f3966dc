"""What is asked of address management, and what it answers."""

from collections.abc import Mapping
from typing import Literal

from msgspec import Struct

from tortie.net import Prefix

Use = Literal["Workload", "Tunnel", "LoadBalancer"]


class AssignRequest(Struct, frozen=True, kw_only=True):
    """Any `count4` IPv4 and `count6` IPv6 addresses for `handle` on `node`.

    `pools4` and `pools6` name pools or give their CIDRs; they bypass the pools' selectors.
    `attributes` are kept with each address for people and for collectors of leaks. `namespace` is
    the workload's; where it is empty, `attributes["namespace"]` counts.
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


class FixedRequest(Struct, frozen=True, kw_only=True):
    """This very `address` (a /32 or /128) for `handle` on `node`."""

    address: Prefix
    node: str
    handle: str
    use: Use = "Workload"
    attributes: Mapping[str, str] = {}


class Assignment(Struct, frozen=True):
    """Addresses, each a /32 or /128; IPv4 first."""

    ips: tuple[Prefix, ...]


class ReleaseRequest(Struct, frozen=True, kw_only=True):
    """An address to give back, if `handle` still holds it and since `sequence`, where given."""

    address: Prefix
    handle: str | None = None
    sequence: int | None = None
