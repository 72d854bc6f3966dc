"""Limits of a pod's traffic, from its annotations."""

import re
from collections.abc import Mapping
from decimal import ROUND_CEILING, Decimal
from typing import NamedTuple

import msgspec

from tortie.api import checks
from tortie.api.calico.workload_endpoint import QosControls

PREFIX = "qos.projectcalico.org/"
DSCP = PREFIX + "dscp"
DIRECTIONS = ("ingress", "egress")
KUBERNETES_BANDWIDTH = frozenset(f"kubernetes.io/{one}-bandwidth" for one in DIRECTIONS)

_MENTIONED = re.compile(r"qos\.projectcalico\.org/|kubernetes\.io/(in|e)gress-bandwidth").match
_DECIMAL = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
_BINARY = {"Ki": 10, "Mi": 20, "Gi": 30, "Ti": 40, "Pi": 50, "Ei": 60}
_QUANTITY = re.compile(
    r"([0-9]{1,30}(?:\.[0-9]{0,30})?|\.[0-9]{1,30})"
    r"(?:([eE][-+]?[0-9]{1,2})|(Ki|Mi|Gi|Ti|Pi|Ei|[numkMGTPE]))?",
    flags=re.ASCII,
)


class Limit(NamedTuple):
    """One kind of limit and its range; `needs` is another that it means nothing without."""

    annotation: str  # after "ingress" or "egress"
    field: str  # after "ingress_" or "egress_"
    least: int
    most: int
    needs: str = ""
    default: int | None = None  # where `needs` is there


LIMITS = (
    Limit("Bandwidth", "bandwidth", 1_000, 10**15),  # bits/s
    Limit("Burst", "burst", 1_000, 34_359_738_360, "bandwidth", 2**32),  # bits
    Limit("Peakrate", "peakrate", 1_010, 1_010_000_000_000_000, "bandwidth"),  # bits/s
    Limit("Minburst", "minburst", 1_000, 100_000_000, "peakrate"),  # bytes
    Limit("PacketRate", "packet_rate", 1, 10_000),  # packets/s
    Limit("PacketBurst", "packet_burst", 1, 10_000, "packet_rate", 5),  # packets
    Limit("MaxConnections", "max_connections", 1, 2**32 - 1),
)


def quantity(text: str) -> int:
    """A Kubernetes quantity, rounded up: "10M", "1.5Gi", "1e3". Raises ValueError."""
    found = _QUANTITY.fullmatch(text)
    if not found:
        raise ValueError(f"{text!r} is no quantity such as 10M or 1Gi")
    number, exponent, suffix = found.groups()
    value = Decimal(number + (exponent or ""))
    suffix = suffix or ""
    scale = Decimal(2 ** _BINARY[suffix]) if suffix in _BINARY else Decimal(10) ** _DECIMAL[suffix]
    return int((value * scale).to_integral_value(ROUND_CEILING))


def qos_controls(annotations: Mapping[str, str], warnings: list[str]) -> QosControls | None:
    """The limits that the annotations ask for; None where they ask for none.

    A value beyond its range is set to the range's end, one that can't be read is left out; both
    with a warning.
    """
    if not any(map(_MENTIONED, annotations)):  # most pods, and a first picture has them all
        return None
    values: dict[str, int | str] = {}
    for direction in DIRECTIONS:
        values |= _limits(direction, annotations, warnings)
    if dscp := _dscp(annotations, warnings):
        values["dscp"] = dscp
    return msgspec.structs.replace(QosControls(), **values) if values else None


def _limits(
    direction: str, annotations: Mapping[str, str], warnings: list[str]
) -> dict[str, int | str]:
    found: dict[str, int | str] = {}
    for limit in LIMITS:
        value = _value(direction, limit, annotations, warnings)
        needed = f"{direction}_{limit.needs}"
        if limit.needs and needed not in found:
            if value is not None:
                warnings.append(
                    f"annotation {PREFIX}{direction}{limit.annotation}: means nothing "
                    f"without {limit.needs.replace('_', ' ')}; it is left out"
                )
            continue
        value = limit.default if value is None else value
        if value is not None:
            found[f"{direction}_{limit.field}"] = value
    return found


def _value(
    direction: str, limit: Limit, annotations: Mapping[str, str], warnings: list[str]
) -> int | None:
    name = f"{PREFIX}{direction}{limit.annotation}"
    if limit.field == "bandwidth" and name not in annotations:
        name = f"kubernetes.io/{direction}-bandwidth"
    if name not in annotations:
        return None
    try:
        value = quantity(annotations[name])
    except ValueError as error:
        warnings.append(f"annotation {name}: {error}; it is left out")
        return None
    capped = min(max(value, limit.least), limit.most)
    if capped != value:
        warnings.append(f"annotation {name}: {value} is out of range; {capped} is used")
    return capped


def _dscp(annotations: Mapping[str, str], warnings: list[str]) -> int | str | None:
    text = annotations.get(DSCP)
    if not text:
        return None
    try:
        checks.dscp(text)
    except ValueError as error:
        warnings.append(f"annotation {DSCP}: {error}; it is left out")
        return None
    return int(text) if text.isdecimal() else text
