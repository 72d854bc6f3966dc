"""What the fields of all kinds are made of: the names' rule and the constrained types.

A constraint stands in the type, once. msgspec enforces it when bytes are decoded,
`tortie.api.structure` when a person's manifest is read, and the CRDs are generated from it.
"""

from typing import Annotated, Any, Literal

from msgspec import Meta, Struct

_ACRONYMS = {
    word.casefold(): word
    for word in (
        *("AS", "BGP", "CIDR", "CIDRs", "DNAT", "DNS", "FQDN", "GUID", "ICMP", "ID", "IP", "IPC"),
        *("IPIP", "IPs", "IPv4", "IPv6", "MAC", "NAT", "NATs", "PID", "VM", "VXLAN"),
    )
}


def api_name(name: str) -> str:
    """The API's spelling of a field: "not_icmp" is notICMP, "host_ip" is hostIP."""
    first, *rest = name.rstrip("_").split("_")
    return first + "".join(_ACRONYMS.get(word) or word[:1].upper() + word[1:] for word in rest)


class Fields(Struct, frozen=True, kw_only=True, rename=api_name, omit_defaults=True):
    """The base of every object inside a resource."""


Unused = Any
"""A field of Kubernetes' that is accepted and kept as it came, but never looked at."""

Unset = Literal[""]
"""Beside an enumeration: the field is absent, or present and empty."""

SELECTOR_LENGTH = 1024  # characters

Cidr = Annotated[str, Meta(extra_json_schema={"format": "cidr"})]
Timestamp = Annotated[str, Meta(extra_json_schema={"format": "date-time"})]
SelectorText = Annotated[str, Meta(max_length=SELECTOR_LENGTH)]
NameText = Annotated[str, Meta(max_length=253)]
InterfaceText = Annotated[str, Meta(max_length=15)]
Int32 = Annotated[int, Meta(ge=-(2**31), le=2**31 - 1, extra_json_schema={"format": "int32"})]
Int64 = Annotated[int, Meta(ge=-(2**63), le=2**63 - 1, extra_json_schema={"format": "int64"})]
Port = Annotated[int, Meta(ge=1, le=65535)]
IntOrText = int | str

UNIQUE = Meta(extra_json_schema={"x-kubernetes-list-type": "set"})
"""On a list: no value twice."""

TextSet = Annotated[tuple[str, ...], UNIQUE]
CidrSet = Annotated[tuple[Cidr, ...], UNIQUE]
