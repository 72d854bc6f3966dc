"""What this machine says of its addresses: interfaces, and the kernel's way to a destination."""

import socket
from collections.abc import Sequence

from tortie.linux.links import Links
from tortie.linux.netlink.sockets import NetlinkSocket
from tortie.net import Prefix, format_address, parse_address
from tortie.node.autodetect import Held, Method, Surroundings

_DISCARD = 9  # a port; nothing is sent to it


def surroundings(methods: Sequence[Method], internal: Sequence[str] = ()) -> Surroundings:
    """Of the current network namespace. Raises OSError."""
    sock = NetlinkSocket()
    try:
        links = {link.index: link for link in Links(sock).list()}
        held = [
            Held(links[one.index].name, one.prefix, links[one.index].up)
            for one in Links(sock).addresses()
            if one.index in links
        ]
        wanted = [one.words[0] for one in methods if one.name == "can-reach"]
        sources = {(word, version): _source(word, version) for word in wanted for version in (4, 6)}
    finally:
        sock.close()
    known = {asked: found for asked, found in sources.items() if found is not None}
    return Surroundings(held, known, internal)


def _source(destination: str, version: int) -> Prefix | None:
    """The address that packets of that version to it would leave with; None: none would, or nobody
    knows it.

    Connecting a datagram socket asks the kernel just that, and sends nothing.
    """
    family = socket.AF_INET if version == 4 else socket.AF_INET6
    for address in _resolved(destination):
        if address.version != version:
            continue
        with socket.socket(family, socket.SOCK_DGRAM) as asking:
            try:
                asking.connect((format_address(address.version, address.address), _DISCARD))
            except OSError:
                continue
            return Prefix.single(*parse_address(str(asking.getsockname()[0]).partition("%")[0]))
    return None


def _resolved(destination: str) -> list[Prefix]:
    """Of an address itself, of a name what its servers say."""
    try:
        return [Prefix.single(*parse_address(destination))]
    except ValueError:
        pass
    try:
        found = socket.getaddrinfo(destination, None, type=socket.SOCK_DGRAM)
    except OSError:
        return []
    return [Prefix.single(*parse_address(str(one[4][0]).partition("%")[0])) for one in found]
