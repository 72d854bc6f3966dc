"""conntrack and IPVS, over netlink."""

import errno
import socket
import struct
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from tortie.linux.libnftables import Nftables
from tortie.linux.netlink.ctnetlink import get_flow_count
from tortie.linux.netlink.genetlink import NETLINK_GENERIC, build, find_family
from tortie.linux.netlink.sockets import NETLINK_NETFILTER, NetlinkError, NetlinkSocket, Request
from tortie.linux.netlink.wire import attribute, be16, nested, string, u16, u32
from tortie.requirements.trials.outcomes import attempt
from tortie.requirements.tried import Tried

_SCTP_TIMEOUT = Path("/proc/sys/net/netfilter/nf_conntrack_sctp_timeout_established")
_FORWARDING = Path("/proc/sys/net/ipv4/ip_forward")
_NEW_SERVICE = 1  # IPVS_CMD_NEW_SERVICE
# Of a service (linux/ip_vs.h).
_AF, _PROTOCOL, _ADDRESS, _PORT, _SCHEDULER, _FLAGS, _TIMEOUT, _NETMASK = 1, 2, 3, 4, 6, 7, 8, 9


def _conntrack() -> None:
    with NetlinkSocket(NETLINK_NETFILTER) as sock:
        sock.request(get_flow_count())


def _sctp() -> None:
    """The kernel tracks SCTP where it has settings for it, once it tracks at all."""
    with Nftables() as nft:
        nft.run(
            "add table ip tortie-trial\nadd chain ip tortie-trial c {"
            " type filter hook forward priority 0; }\n"
            "add rule ip tortie-trial c ct state new drop\n"
        )
        found = _SCTP_TIMEOUT.exists()
        nft.run("delete table ip tortie-trial\n")
    if not found:
        raise OSError(errno.EPROTONOSUPPORT, "this kernel does not track SCTP")


def _ipvs() -> None:
    """A virtual service of this namespace; it goes with it."""
    with NetlinkSocket(NETLINK_GENERIC) as sock:
        family = find_family(sock, "IPVS")
        if family is None:
            raise NetlinkError(errno.EOPNOTSUPP, "this kernel has no IPVS")
        service = nested(
            1,
            attribute(_AF, u16(socket.AF_INET)),
            attribute(_PROTOCOL, u16(socket.IPPROTO_TCP)),
            attribute(_ADDRESS, socket.inet_aton("192.0.2.1").ljust(16, b"\0")),
            attribute(_PORT, be16(80)),
            attribute(_SCHEDULER, string("rr")),
            attribute(_FLAGS, struct.pack("=II", 0, 0xFFFFFFFF)),
            attribute(_TIMEOUT, u32(0)),
            attribute(_NETMASK, b"\xff" * 4),
        )
        payload = build(_NEW_SERVICE, 1, service)
        sock.request(Request(family, payload, about="a service of IPVS"))


def _sysctls() -> None:
    """Written as it is already; it is our own namespace's all the same."""
    _FORWARDING.write_text(_FORWARDING.read_text())


_TRIALS: Mapping[str, Callable[[], None]] = {
    "tracking:conntrack": _conntrack,
    "tracking:sctp": _sctp,
    "tracking:ipvs": _ipvs,
    "tracking:sysctls": _sysctls,
}


def try_tracking(names: Sequence[str]) -> Iterator[tuple[str, Tried]]:
    """ "tracking:conntrack" and its like."""
    return ((name, attempt(_TRIALS[name], "CAP_NET_ADMIN")) for name in names)
