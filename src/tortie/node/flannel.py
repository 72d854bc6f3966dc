"""flannel beside us: what its daemon says of this node's part of the network.

flanneld writes /run/flannel/subnet.env once it has this node's subnet. Where it carries packets
between nodes, they have room for FLANNEL_MTU, which nothing on an uplink tells.
"""

from pathlib import Path
from typing import NamedTuple

from tortie.net import Prefix, parse_prefix

DEFAULT_FILE = "/run/flannel/subnet.env"
VARIABLE = "TORTIE_FLANNEL_SUBNET_FILE"
_LARGEST = 65535
_MOST = 65536  # bytes of the file


class Flannel(NamedTuple):
    """A node's subnet is given as the address that a bridge would have. `mtu` 0: not said."""

    networks: tuple[Prefix, ...]
    subnets: tuple[Prefix, ...]
    mtu: int
    masquerades: bool


def parse_subnet_file(text: str) -> Flannel:
    """Its lines NAME=VALUE; what can't be read counts as not said. Pure."""
    said = dict(line.strip().split("=", 1) for line in text.splitlines() if "=" in line)
    mtu = said.get("FLANNEL_MTU", "")
    number = int(mtu) if mtu.isascii() and mtu.isdigit() and len(mtu) < 6 else 0
    networks = [said.get(name, "") for name in ("FLANNEL_NETWORK", "FLANNEL_IPV6_NETWORK")]
    subnets = [said.get(name, "") for name in ("FLANNEL_SUBNET", "FLANNEL_IPV6_SUBNET")]
    return Flannel(
        tuple(one.network for text in networks for one in _prefixes(text)),
        tuple(one for text in subnets for one in _prefixes(text)),
        number if number <= _LARGEST else 0,
        said.get("FLANNEL_IPMASQ", "") == "true",
    )


def _prefixes(texts: str) -> list[Prefix]:
    """With commas between, as flannel writes several networks."""
    found = []
    for text in texts.split(","):
        try:
            found.append(parse_prefix(text.strip()))
        except ValueError:
            continue
    return found


def read_subnet_file(path: Path) -> Flannel | None:
    """What flannel says; None where it is not there, or can't be read."""
    try:
        with path.open("rb") as file:
            return parse_subnet_file(file.read(_MOST).decode("utf-8", "replace"))
    except OSError:
        return None


def mtu_beside(path: Path, mtu: int) -> int:
    """The MTU of new workloads: `mtu`, or flannel's where that is less."""
    found = read_subnet_file(path)
    return min(mtu, found.mtu) if found is not None and found.mtu else mtu
