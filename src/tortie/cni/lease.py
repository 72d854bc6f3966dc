"""What IPAM gives an interface."""

from collections.abc import Mapping
from typing import Any

from msgspec import Struct

from tortie.cni.result import EVERYTHING
from tortie.net import Prefix


class Lease(Struct, frozen=True):
    """Addresses, each a /32 or /128, IPv4 first; with them, where IPAM says so, routes and DNS.

    `routes` are what the container reaches through the interface; none: everything.
    """

    addresses: tuple[Prefix, ...]
    routes: tuple[Prefix, ...] = ()
    dns: Mapping[str, Any] = {}


def wanted_routes(lease: Lease, with_default: bool) -> tuple[Prefix, ...]:
    """The destinations that go through the interface, of the families that it has addresses of.

    Without routes of its own everything does; `with_default` adds that to routes of its own.
    """
    families = sorted({one.version for one in lease.addresses})
    everything = tuple(EVERYTHING[family] for family in families)
    own = tuple(one for one in lease.routes if one.version in families)
    return tuple(dict.fromkeys((*everything, *own))) if with_default or not own else own
