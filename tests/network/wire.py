"""What is on the wire between nodes: frames of a node's uplink, and what carries what in them."""

import socket
from types import TracebackType
from typing import Self

from tortie.linux.namespaces import in_namespace, path_of

_ETHERNET = 14
_IPV4, _IPV6 = 0x0800, 0x86DD
_UDP, _IPIP = 17, 4
_VXLAN, _WIREGUARD = 4789, (51820, 51821)
_BUFFER_FORCED = 33  # SO_RCVBUFFORCE


def carrier(frame: bytes) -> str:
    """What carries a frame's packet: "plain", "vxlan", "wireguard", "ipip"; "" for no IP."""
    kind = int.from_bytes(frame[12:14])
    if kind == _IPV4:
        protocol, transport = frame[23], _ETHERNET + (frame[14] & 15) * 4
    elif kind == _IPV6:
        protocol, transport = frame[20], _ETHERNET + 40
    else:
        return ""
    if protocol == _IPIP:
        return "ipip"
    port = int.from_bytes(frame[transport + 2 : transport + 4]) if protocol == _UDP else 0
    if port == _VXLAN:
        return "vxlan"
    return "wireguard" if port in _WIREGUARD else "plain"


class Wire:
    """The uplinks of nodes, listened to."""

    def __init__(self, namespaces: list[str]) -> None:
        self._taps = []
        for name in namespaces:
            with in_namespace(path_of(name)):
                tap = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
            tap.setsockopt(socket.SOL_SOCKET, _BUFFER_FORCED, 1 << 24)
            tap.bind(("eth0", 3))
            tap.setblocking(False)
            self._taps.append(tap)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for tap in self._taps:
            tap.close()

    def frames(self) -> list[bytes]:
        """All since last asked."""
        found = []
        for tap in self._taps:
            try:
                while True:
                    found.append(tap.recv(65536))
            except BlockingIOError:
                continue
        return found

    def carriers(self, token: bytes) -> set[str]:
        """What carried the token since last asked: in clear, or else WireGuard if it was there."""
        frames = self.frames()
        clear = {carrier(frame) for frame in frames if token in frame}
        return clear or {found for frame in frames if (found := carrier(frame)) == "wireguard"}
