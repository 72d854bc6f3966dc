"""`usePodCidr` in host-local's configuration: the CIDRs that Kubernetes gave the node. Pure."""

from collections.abc import Mapping, Sequence
from typing import Any

from tortie.cni.errors import TRY_AGAIN, CniError
from tortie.net import parse_network

_WANTED = {"usepodcidr": 4, "usepodcidripv6": 6}
RELEASING = ("0.0.0.0/0", "::/0")
"""For DEL, which needs no subnet: it must work when the node has none any more."""


def uses_pod_cidrs(ipam: Mapping[str, Any]) -> bool:
    """Whether any subnet is to be the node's own."""
    return any(str(one.get("subnet", "")).lower() in _WANTED for one in _places(ipam))


def with_pod_cidrs(ipam: Mapping[str, Any], cidrs: Sequence[str]) -> dict[str, Any]:
    """The configuration with each `usePodCidr` and `usePodCidrIPv6` replaced. Raises CniError."""
    found = dict(ipam)
    if uses_pod_cidrs({"subnet": found.get("subnet")}):
        found["subnet"] = _chosen(str(found["subnet"]), cidrs)
    if isinstance(ranges := found.get("ranges"), list):
        found["ranges"] = [
            [_replaced(one, cidrs) for one in group] if isinstance(group, list) else group
            for group in ranges
        ]
    return found


def _places(ipam: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    ranges = ipam.get("ranges")
    groups = [one for one in ranges if isinstance(one, list)] if isinstance(ranges, list) else []
    return [ipam, *(one for group in groups for one in group if isinstance(one, dict))]


def _replaced(one: Any, cidrs: Sequence[str]) -> Any:
    if not (isinstance(one, dict) and uses_pod_cidrs(one)):
        return one
    return {**one, "subnet": _chosen(str(one["subnet"]), cidrs)}


def _chosen(word: str, cidrs: Sequence[str]) -> str:
    version = _WANTED[word.lower()]
    for cidr in cidrs:
        if parse_network(cidr).version == version:
            return cidr
    held = ", ".join(cidrs) or "none"
    raise CniError(
        TRY_AGAIN, f"ipam: {word}: this node has no IPv{version} podCIDR yet (it has: {held})"
    )
