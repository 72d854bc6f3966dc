"""IPReservation: addresses of pools that are never given out by themselves."""

from msgspec import field

from tortie.api import checks
from tortie.api.calico import API_VERSION
from tortie.api.fields import CidrSet, Fields
from tortie.api.meta import Resource
from tortie.api.rules import each, inside, unique


class IPReservationSpec(Fields, frozen=True, kw_only=True):
    """The addresses."""

    reserved_cidrs: CidrSet = field(default=(), name="reservedCIDRs")
    """CIDRs whose addresses are given out only where a workload asks for them."""


class IPReservation(Resource, frozen=True, kw_only=True):
    """Addresses of pools that are never given out by themselves."""

    api_version = API_VERSION
    kind = "IPReservation"

    spec: IPReservationSpec


RULES = (inside("spec", (each("reserved_cidrs", checks.network), unique("reserved_cidrs"))),)
