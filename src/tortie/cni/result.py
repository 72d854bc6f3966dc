"""The result of ADD, in the form of each version of the specification."""

from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import Struct

from tortie.net import Prefix, parse_address

GATEWAYS = {4: "169.254.1.1", 6: "fe80::ecee:eeff:feee:eeee"}
HOST_MAC = "ee:ee:ee:ee:ee:ee"  # gives the host's end the IPv6 gateway address above
EVERYTHING = {4: Prefix(4, 0, 0), 6: Prefix(6, 0, 0)}
_OLD = ("0.1.0", "0.2.0")  # without interfaces, one address a family


class Attached(Struct, frozen=True):
    """What ADD made. `addresses` are single addresses; `mac` is of the container's end.

    `routes` are those of the container's main table that go through it.
    """

    host_interface: str
    container_interface: str
    netns: str
    mac: str
    mtu: int
    addresses: Sequence[Prefix]
    routes: Sequence[Prefix] = ()
    dns: Mapping[str, Any] = {}


def gateway(version: int) -> Prefix:
    """The address that a workload's default route of this family goes to."""
    return Prefix.single(*parse_address(GATEWAYS[version]))


def render(attached: Attached, version: str) -> dict[str, object]:
    """The JSON object of a success."""
    if version in _OLD:
        return _render_old(attached, version)
    return {
        "cniVersion": version,
        "interfaces": [
            _interface(attached.host_interface, HOST_MAC, "", attached.mtu, version),
            _interface(
                attached.container_interface, attached.mac, attached.netns, attached.mtu, version
            ),
        ],
        "ips": [_ip(address, version) for address in attached.addresses],
        "routes": [_route(route) for route in attached.routes],
        "dns": attached.dns,
    }


def _render_old(attached: Attached, version: str) -> dict[str, object]:
    found: dict[str, object] = {"cniVersion": version, "dns": attached.dns}
    for address in attached.addresses:
        family = address.version
        found[f"ip{family}"] = {
            "ip": str(address),
            "gateway": GATEWAYS[family],
            "routes": [_route(one) for one in attached.routes if one.version == family],
        }
    return found


def _route(destination: Prefix) -> dict[str, str]:
    return {"dst": str(destination), "gw": GATEWAYS[destination.version]}


def _interface(name: str, mac: str, sandbox: str, mtu: int, version: str) -> dict[str, object]:
    found: dict[str, object] = {"name": name, "mac": mac}
    if sandbox:
        found["sandbox"] = sandbox
    if version == "1.1.0":
        found["mtu"] = mtu
    return found


def _ip(address: Prefix, version: str) -> dict[str, object]:
    found: dict[str, object] = {
        "interface": 1,
        "address": str(address),
        "gateway": GATEWAYS[address.version],
    }
    if version.startswith("0."):
        found["version"] = str(address.version)
    return found


def announced(result: Mapping[str, Any] | None, ifname: str) -> frozenset[str]:
    """The addresses that an earlier result gives the container's interface; none where it tells
    of none, as results of other plugins may.
    """
    found = result or {}
    interfaces, ips = found.get("interfaces"), found.get("ips")
    if not (isinstance(interfaces, list) and isinstance(ips, list)):
        return frozenset()
    ours = [
        number
        for number, one in enumerate(interfaces)
        if isinstance(one, dict) and one.get("name") == ifname and one.get("sandbox")
    ]
    return frozenset(
        str(one.get("address"))
        for one in ips
        if isinstance(one, dict) and one.get("interface") in ours
    )
