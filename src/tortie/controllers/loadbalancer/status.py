"""What a Service's status says of its load balancer's addresses. Pure."""

from collections.abc import Collection, Iterable
from typing import Any

from msgspec.structs import replace

from tortie.api.kube.service import Service
from tortie.net import Prefix, format_address, parse_address

CONDITION = "projectcalico.org/LoadBalancerAddress"
"""Stands there, with status False, while an address that is asked for can't be had."""


def shown(service: Service) -> tuple[Prefix, ...]:
    """The addresses in its status. What is no address is passed over."""
    found = []
    for entry in _ingress(service):
        try:
            found.append(Prefix.single(*parse_address(entry.get("ip", ""))))
        except (ValueError, TypeError):
            continue
    return tuple(found)


def showing(
    service: Service, addresses: Iterable[Prefix], problem: tuple[str, str] | None, now: str
) -> Service:
    """With these addresses, and a (reason, text) where some could not be had."""
    known = {entry.get("ip"): entry for entry in _ingress(service)}
    texts = [format_address(one.version, one.address) for one in addresses]
    ingress = [known.get(text) or {"ip": text} for text in texts]
    return _with(service, ingress, _conditions(service, problem, now))


def without(service: Service, addresses: Collection[Prefix]) -> Service:
    """Without these addresses, which were ours; another's stay, and so do other conditions."""
    texts = {format_address(one.version, one.address) for one in addresses}
    ingress = [entry for entry in _ingress(service) if entry.get("ip") not in texts]
    return _with(service, ingress, _conditions(service, None, ""))


def _with(service: Service, ingress: list[Any], conditions: list[Any]) -> Service:
    status = dict(service.status) if isinstance(service.status, dict) else {}
    rest = {name: value for name, value in status.items() if name not in _PARTS}
    if ingress:
        rest["loadBalancer"] = {**_dict(status.get("loadBalancer")), "ingress": ingress}
    else:
        rest["loadBalancer"] = {}
    if conditions:
        rest["conditions"] = conditions
    return replace(service, status=rest) if rest != status else service


_PARTS = ("loadBalancer", "conditions")


def _conditions(service: Service, problem: tuple[str, str] | None, now: str) -> list[Any]:
    status = _dict(service.status)
    entries = [one for one in status.get("conditions") or () if isinstance(one, dict)]
    others = [one for one in entries if one.get("type") != CONDITION]
    if problem is None:
        return others
    before = next((one for one in entries if one.get("type") == CONDITION), {})
    reason, text = problem
    since = before.get("lastTransitionTime") if before.get("status") == "False" else None
    said = {
        "type": CONDITION,
        "status": "False",
        "reason": reason,
        "message": text[:32768],
        "lastTransitionTime": since or now,
    }
    return [*others, said]


def _ingress(service: Service) -> list[dict[str, Any]]:
    found = _dict(_dict(service.status).get("loadBalancer")).get("ingress")
    entries = found if isinstance(found, list) else []
    return [entry for entry in entries if isinstance(entry, dict)]


def _dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
