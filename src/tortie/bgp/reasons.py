"""Why a session is not up, for a person, and what to do. Pure.

BIRD's words are few and some say little: a wrong password looks like silence, since the kernel
drops the packets. The kernel's own counts of such packets tell the two apart.
"""

import re
from typing import NamedTuple

from tortie.bgp.picture import Session
from tortie.bgp.status import SessionState

_MD5 = ("TCPMD5NotFound", "TCPMD5Unexpected", "TCPMD5Failure")


class Md5Drops(NamedTuple):
    """Packets that this network namespace dropped for their passwords, since some time ago.

    `missing`: we have a password for the peer and it sent none. `unexpected`: the other way round.
    `wrong`: both have one, and they differ.
    """

    missing: int = 0
    unexpected: int = 0
    wrong: int = 0

    def since(self, before: "Md5Drops") -> "Md5Drops":
        """What came in between."""
        return Md5Drops(*(now - then for now, then in zip(self, before, strict=True)))


def md5_drops(netstat: str) -> Md5Drops:
    """The counts in the text of /proc/net/netstat."""
    lines = [line.split() for line in netstat.splitlines() if line.startswith("TcpExt:")]
    if len(lines) < 2:
        return Md5Drops()
    counts = dict(zip(lines[0], lines[1], strict=False))
    return Md5Drops(*(int(counts.get(name, 0)) for name in _MD5))


# What BIRD's "Last error" says → what it means. The first that is found counts.
_MEANINGS = (
    (r"Received: Bad peer AS", "wrong AS number: the peer expects another one of us than {local}"),
    (r"Bad peer AS", "wrong AS number: the peer has another one than {remote}"),
    (r"Connection refused", "the peer's machine answers, but nothing listens on its port {port}"),
    (r"No route to host|Host is unreachable", "unreachable: the peer's machine does not answer"),
    (r"Network is unreachable", "unreachable: there is no route to the peer"),
    (r"timed out", "unreachable: the peer does not answer"),
    (r"Cannot assign requested address", "our own address for this session is on no interface"),
    (r"BFD session down", "BFD lost the peer: the link or the peer is down"),
    (r"Hold timer expired", "the peer fell silent (hold timer expired)"),
    (r"Received: Administrative shutdown", "the peer was shut down there"),
    (r"Received: Peer de-configured", "the peer has no such session any more"),
    (r"Received: Connection rejected", "the peer refuses us: does it have us as its peer?"),
    (r"Received: (.+)", "the peer ended it: {0}"),
    (r"Invalid BGP identifier|Bad BGP identifier", "the peer has our own router id"),
    (r"Neighbor lost", "the peer's link went down"),
    (r"Connection closed|Connection reset", "the peer closed the connection"),
)


def reason(session: Session, state: SessionState | None, drops: Md5Drops) -> str:
    """One line; "" for a session that is up.

    `drops` are recent ones; they can't say of which peer, so they count where a peer is silent.
    """
    if state is None:
        return "BIRD has no such session yet"
    if state.state == "Established":
        return ""
    if (guess := _password(session, drops)) and not _answered(state):
        return guess
    for pattern, meaning in _MEANINGS:
        if (found := re.search(pattern, state.error)) is not None:
            values = {"local": session.local_as, "remote": session.peer_as, "port": session.port}
            return meaning.format(*found.groups(), **values)
    if state.error:
        return state.error
    return _silent(session, state)


def _answered(state: SessionState) -> bool:
    return "Received" in state.error or "Bad peer AS" in state.error


def _password(session: Session, drops: Md5Drops) -> str:
    if session.password is None:
        return "password: the peer has one and we have none" if drops.unexpected else ""
    if drops.wrong:
        return "password: ours and the peer's differ"
    return "password: we have one and the peer has none" if drops.missing else ""


def _silent(session: Session, state: SessionState) -> str:
    if session.passive:
        return "waiting for the peer to connect (passive)"
    if state.info.startswith("Idle") or state.state == "Idle":
        return "about to begin"
    if session.password is not None:
        return "no answer: unreachable, or it has no password or another one"
    return "no answer: unreachable, or a firewall drops TCP"
