"""What the fields of all kinds are made of: the names' rule and the constrained types.

A constraint stands in the type, once. msgspec enforces it when bytes are decoded,
`tortie.api.structure` when a person's manifest is read, and the CRDs are generated from it.

What only a schema can say stands there too, as `extra_json_schema`: it is added to what follows
from the type, and None takes away what the API's own schema leaves out.
"""

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

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

    schema_extra: ClassVar[Mapping[str, object]] = {}
    """What the object's schema says beside what follows from its fields."""


class Atomic(Fields, frozen=True, kw_only=True):
    """The base of objects that have one owner as a whole, when several writers apply parts."""

    schema_extra = {"x-kubernetes-map-type": "atomic"}


Unused = Any
"""A field of Kubernetes' that is accepted and kept as it came, but never looked at."""
UNUSED = "Accepted and kept as it came, but never looked at."
"""What there is to say to people of every such field."""

Unset = Literal[""]
"""Beside an enumeration: the field is absent, or present and empty."""


def matching(
    pattern: str,
    min_length: int | None = None,
    max_length: int | None = None,
    python: str = "",
) -> Meta:
    """A constraint of text: `pattern` as the API has it, in Go's syntax.

    Go's `$` is the end of the text, Python's also stands before a last newline; Go's `\\d` are ten
    digits, Python's those of every script; and Go never backtracks, so a pattern that would take
    for ever here comes with an equivalent in `python`.
    """
    translated = f"(?ai)^{pattern[5:]}" if pattern.startswith("^(?i)") else f"(?a){pattern}"
    if translated.endswith("$"):
        translated = translated[:-1] + r"\Z"
    return Meta(
        pattern=python or translated,
        min_length=min_length,
        max_length=max_length,
        extra_json_schema={"pattern": pattern},
    )


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

NO_LIST_TYPE = Meta(extra_json_schema={"x-kubernetes-list-type": None})
"""On a list: the API's schema does not say that it has one owner as a whole, as all others do."""

NULLABLE = Meta(extra_json_schema={"nullable": True})
"""On a field that an API server keeps as null where null was written."""

ALWAYS_WRITTEN = Meta(extra={"required": True})
"""On a field with a default: the API's schema requires it nevertheless."""


UNLISTED = Meta(extra_json_schema={"enum": None})
"""On a choice: the API's schema does not list what may be chosen, although nothing else works."""


def written_default(value: bool | int | str) -> Meta:
    """On a field that is this when it is absent: the API's schema fills it in."""
    return Meta(extra_json_schema={"default": value})


TextSet = Annotated[tuple[str, ...], UNIQUE]
CidrSet = Annotated[tuple[Cidr, ...], UNIQUE]

Duration = Annotated[str, matching(r"^([0-9]+(\\.[0-9]+)?(ms|s|m|h))*$")]
"""A duration as Go writes it, whole numbers only: "1m30s"."""
LogSeverity = Annotated[str, matching(r"^(?i)(Trace|Debug|Info|Warning|Error|Fatal)?$")]
RoutePriority = Annotated[int, Meta(ge=1, le=2**31 - 2)]
Switch = Literal["Enabled", "Disabled"] | Unset


class SecretKeySelector(Atomic, frozen=True, kw_only=True):
    """One key of a Kubernetes Secret."""

    name: Annotated[str, written_default("")] = ""
    """The Secret's name."""
    key: str
    """The key in it."""
    optional: bool | None = None
    """Whether the key may be missing."""
