"""P1 to P9: what has to pass between hosts, and who has the ports here."""

from collections.abc import Callable
from functools import partial

from tortie.requirements.listening import Holder, holders
from tortie.requirements.machine import Machine
from tortie.requirements.model import Check, Finding, missing, ok, warning
from tortie.requirements.modes import Encap, Modes, Purpose
from tortie.requirements.peer.answers import WAYS, Passed, PeerReport, Way

Blocked = Callable[[str, str], Finding]
_OPEN = "let it pass between all nodes, in both directions (firewall, security group)"


def _judge(machine: Machine, row: str, owners: frozenset[str] | None, blocked: Blocked) -> Finding:
    tests = [test for test in WAYS if test.row == row]
    held = {test: holders(machine, test) for test in tests}
    local = tell_local(held) if owners is None else judge_local(held, owners)
    if machine.peer is None:
        return local
    return judge_peer(machine.peer, tests, blocked, local)


def judge_local(held: dict[Way, list[Holder]], owners: frozenset[str]) -> Finding:
    """Who has the ports on this machine. `owners`: those who should."""
    strangers = [
        f"{test.in_words} is {one.name}'s"
        for test, some in held.items()
        for one in some
        if one.name and not one.name.startswith(tuple(owners))
    ]
    if strangers:
        return warning(
            "; ".join(dict.fromkeys(strangers)), "end that program, or choose another port"
        )
    return tell_local(held)


def tell_local(held: dict[Way, list[Holder]]) -> Finding:
    """Who has the ports, where anybody may: another host's serve these rows."""
    return ok(", ".join(f"{test.in_words} {_state(some)}" for test, some in held.items()))


def _state(some: list[Holder]) -> str:
    names = ", ".join(one.name for one in some if one.name)
    return f"in use ({names})" if names else "in use" if some else "free"


def judge_peer(peer: PeerReport, tests: list[Way], blocked: Blocked, local: Finding) -> Finding:
    """What passed to the peer, and back. `blocked`: what it is to be where something did not."""
    if peer.problem:
        return warning(peer.problem, "start `tortie node check --listen` there")
    stopped = [
        words
        for test in tests
        for words in (
            _blocked(test, peer.there.get(test), f"to {peer.host}"),
            _blocked(test, peer.back.get(test), f"from {peer.host}"),
        )
        if words
    ]
    if stopped:
        return blocked("; ".join(stopped), _OPEN)
    unknown = [
        f"{test.in_words}: {one.words}"
        for test in tests
        for one in (peer.there[test], peer.back[test])
        if not one.known
    ]
    if unknown:
        return warning("; ".join(dict.fromkeys(unknown)), "run both sides as root")
    passed = ", ".join(test.in_words for test in tests)
    if local.fix:
        return local._replace(found=f"{local.found}; passes both ways")
    return ok(f"{passed} passes both ways with {peer.host}")


def _blocked(test: Way, one: Passed | None, direction: str) -> str:
    if one is None:
        return f"{test.in_words} {direction} was not tested"
    if one.arrived or not one.known:
        return ""
    return f"{test.in_words} does not pass {direction}" + (f" ({one.words})" if one.words else "")


def _between(
    row: str,
    what: str,
    needed: str,
    owners: tuple[str, ...],
    ways: tuple[Encap, ...],
    blocked: Blocked = missing,
) -> Check:
    """What every two nodes send each other, in these ways of theirs."""
    return Check(
        row,
        what,
        needed,
        f"{_in_words(row)}, both ways. Here: whether a stranger has it. With `--peer HOST`: whether"
        " it passes to that node and from it.",
        partial(_judge, row=row, owners=frozenset(owners), blocked=blocked),
        applies=lambda modes: modes.uses(*ways),
    )


def _served(row: str, what: str, needed: str, applies: Callable[[Modes], bool]) -> Check:
    """What some hosts serve: of two nodes neither may be one."""
    return Check(
        row,
        what,
        needed,
        f"{_in_words(row)}, incoming, on its hosts. Here: who has it. With `--peer HOST`: whether"
        " it passes to that node and from it; if not, a warning, since neither may be such a host.",
        partial(_judge, row=row, owners=None, blocked=warning),
        applies=applies,
    )


def _in_words(row: str) -> str:
    return ", ".join(way.in_words for way in WAYS if way.row == row)


_KERNEL = ("kernel",)
_WIREGUARD = ("wireguard-go", *_KERNEL)
_SPEAKERS = ("bird", "bgpd", "gobgp", "calico-node")
CHECKS = (
    _between("P1", "BGP", "--encap bgp, ipip", _SPEAKERS, (Encap.BGP, Encap.IPIP)),
    _between("P2", "IP-in-IP", "--encap ipip", _KERNEL, (Encap.IPIP,)),
    _between("P3", "VXLAN", "--encap vxlan, flannel", _KERNEL, (Encap.VXLAN, Encap.FLANNEL)),
    _served(
        "P4",
        "fan-out (Typha)",
        "clusters that use it",
        lambda modes: modes.datastore == "kubernetes",
    ),
    _between("P5", "WireGuard, IPv4", "--encap wireguard", _WIREGUARD, (Encap.WIREGUARD,)),
    _between(
        "P6", "WireGuard, IPv6", "--encap wireguard", _WIREGUARD, (Encap.WIREGUARD,), warning
    ),  # many clusters have no IPv6
    _served(
        "P8",
        "kube-apiserver",
        "--for kubernetes",
        lambda modes: modes.purpose is Purpose.KUBERNETES,
    ),
    _served("P9", "etcd", "an etcd datastore", lambda modes: modes.datastore == "etcd"),
)
