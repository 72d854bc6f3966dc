"""S3: the MTU against the path."""

from tortie.requirements.machine import Machine
from tortie.requirements.model import Check, Finding, Verdict, ok, warning
from tortie.requirements.peer.answers import PeerReport


def judge(machine: Machine) -> Finding:
    """What reached the peer, not to be fragmented."""
    if machine.peer is None:
        return Finding(Verdict.UNNEEDED, "needs --peer HOST")
    return judge_path(machine.peer)


def judge_path(peer: PeerReport) -> Finding:
    """The largest packet that arrived, against the interface's MTU."""
    if peer.problem or not peer.path_mtu:
        return warning(
            peer.problem or f"no packet of any size reached {peer.host}", "see rows P1 to P6"
        )
    if peer.path_mtu < peer.link_mtu:
        return warning(
            f"the path to {peer.host} carries {peer.path_mtu} bytes, the interface {peer.link_mtu}",
            f"set the interface's MTU to {peer.path_mtu}, or the tunnels' by it",
        )
    return ok(f"the path to {peer.host} carries {peer.path_mtu} bytes, as the interface does")


CHECK = Check(
    "S3",
    "path's MTU",
    "with --peer",
    "Packets of growing size, not to be fragmented, are sent to the peer, which tells which of them"
    " arrived. A path that carries less than the interface swallows large packets silently.",
    judge,
)
