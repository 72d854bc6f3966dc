"""Limits of traffic as they can be programmed, whoever wrote them.

A Pod's annotations are read by `tortie.kubernetes.qos`; other orchestrators write the fields
themselves, and a host endpoint has its DSCP as an annotation. What can't be used is named and left
out, or set to the end of its range; the rest holds.
"""

from msgspec.structs import asdict

from tortie.api import Key, checks
from tortie.api.calico.host_endpoint import HostEndpoint
from tortie.api.calico.workload_endpoint import QosControls
from tortie.engine.items import Warn
from tortie.kubernetes.qos import DIRECTIONS, DSCP, LIMITS

_CLASSES = {"DF": 0, "EF": 46}


def dscp_number(value: int | str) -> int:
    """AF11 → 10, "cs5" → 40, "46" → 46. Raises ValueError for what is no DSCP."""
    checks.dscp(value)
    name = str(value).upper()
    if name.isdecimal():
        return int(name)
    if name.startswith("AF"):
        return 8 * int(name[2]) + 2 * int(name[3])
    return 8 * int(name[2]) if name.startswith("CS") else _CLASSES[name]


def programmable(key: Key, controls: QosControls, warn: Warn) -> QosControls:
    """The limits of an endpoint, with `dscp` as a number."""
    found: dict[str, int | str | None] = {}
    for direction in DIRECTIONS:
        found |= _direction(key, direction, asdict(controls), warn)
    if controls.dscp is not None:
        found["dscp"] = _dscp(key, "spec.qosControls.dscp", controls.dscp, warn)
    return QosControls(**found)  # type: ignore[arg-type]  # names and types are the table's


def _direction(
    key: Key, direction: str, given: dict[str, int | str | None], warn: Warn
) -> dict[str, int | str | None]:
    found: dict[str, int | str | None] = {}
    for limit in LIMITS:
        name, value = f"{direction}_{limit.field}", given[f"{direction}_{limit.field}"]
        if not isinstance(value, int) or not value:
            continue
        field = f"{key}: spec.qosControls.{direction}{limit.annotation}"
        needed = found.get(f"{direction}_{limit.needs}")
        if limit.needs and not needed:
            warn(f"{field}: means nothing without {limit.needs.replace('_', ' ')}; it is left out")
            continue
        found[name] = capped = min(max(value, limit.least), limit.most)
        if capped != value:
            warn(f"{field}: {value} is out of range; {capped} is used")
        if limit.field == "peakrate" and isinstance(needed, int) and capped <= needed:
            warn(f"{field}: {capped} is not above the bandwidth, {needed}; it is left out")
            del found[name]
    return found


def host_dscp(key: Key, endpoint: HostEndpoint, warn: Warn) -> int | None:
    """The DSCP of what a host's interface sends out of the cluster; None if it has none."""
    text = endpoint.metadata.annotations.get(DSCP)
    return _dscp(key, f"annotation {DSCP}", text, warn) if text else None


def _dscp(key: Key, field: str, value: int | str, warn: Warn) -> int | None:
    try:
        return dscp_number(value)
    except ValueError as error:
        warn(f"{key}: {field}: {error}; it is left out")
        return None
