"""The result of ADD, in the form of each version of the specification."""

from collections.abc import Sequence

from msgspec import Struct

from tortie.net import Prefix, parse_address

GATEWAYS = {4: "169.254.1.1", 6: "fe80::ecee:eeff:feee:eeee"}
HOST_MAC = "ee:ee:ee:ee:ee:ee"  # gives the host's end the IPv6 gateway address above
DEFAULT_ROUTES = {4: "0.0.0.0/0", 6: "::/0"}


class Attached(Struct, frozen=True):
    """What ADD made. `addresses` are single addresses; `mac` is of the container's end."""

    host_interface: str
    container_interface: str
    netns: str
    mac: str
    mtu: int
    addresses: Sequence[Prefix]


def gateway(version: int) -> Prefix:
    """The address that a workload's default route of this family goes to."""
    return Prefix.single(*parse_address(GATEWAYS[version]))


def render(attached: Attached, version: str) -> dict[str, object]:
    """The JSON object of a success."""
    return {
        "cniVersion": version,
        "interfaces": [
            _interface(attached.host_interface, HOST_MAC, "", attached.mtu, version),
            _interface(
                attached.container_interface, attached.mac, attached.netns, attached.mtu, version
            ),
        ],
        "ips": [_ip(address, version) for address in attached.addresses],
        "routes": [
            {"dst": DEFAULT_ROUTES[family], "gw": GATEWAYS[family]}
            for family in sorted({address.version for address in attached.addresses})
        ],
        "dns": {},
    }


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
