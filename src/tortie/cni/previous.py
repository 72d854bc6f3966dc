"""What plugins before ours in a chain made: kept in the result, as the specification asks. Pure."""

from collections.abc import Mapping
from typing import Any

from tortie.cni.errors import INVALID_CONFIG, CniError
from tortie.cni.request import CniRequest


def check_previous(request: CniRequest) -> Mapping[str, Any]:
    """The result of the plugins before; empty where ours is the first.

    Raises CniError where one of them made the very interface that ours is to make.
    """
    found = request.config.prev_result or {}
    for one in _listed(found, "interfaces"):
        if isinstance(one, dict) and one.get("name") == request.ifname and one.get("sandbox"):
            raise CniError(
                INVALID_CONFIG,
                f"a plugin before this one has made {request.ifname}: put this one first in the"
                " network's list of plugins, or set policy_only to hold that interface to policy",
            )
    return found


def after(previous: Mapping[str, Any], result: dict[str, Any]) -> dict[str, Any]:
    """The result with the other plugins' interfaces, addresses and routes before its own.

    Results of 0.1.0 and 0.2.0 know no interfaces: theirs is the last one's.
    """
    if not previous or "interfaces" not in result:
        return result
    interfaces = _listed(previous, "interfaces")
    own = [{**one, "interface": one["interface"] + len(interfaces)} for one in result["ips"]]
    return {
        **result,
        "interfaces": [*interfaces, *result["interfaces"]],
        "ips": [*_listed(previous, "ips"), *own],
        "routes": [*_listed(previous, "routes"), *result["routes"]],
        "dns": result["dns"] or previous.get("dns") or {},
    }


def _listed(result: Mapping[str, Any], name: str) -> list[Any]:
    found = result.get(name)
    return found if isinstance(found, list) else []
