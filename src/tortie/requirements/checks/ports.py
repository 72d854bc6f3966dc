"""P1 to P9: what has to pass between hosts, and who has the ports here."""

from collections.abc import Callable
from functools import partial

from tortie.requirements.listening import Holder, holders
from tortie.requirements.machine import Machine
from tortie.requirements.model import Check, Finding, missing, ok, warning
from tortie.requirements.modes import Encap, Modes, Purpose
from tortie.requirements.peer.answers import WAYS, Passed, PeerReport, Way

_OPEN = "let it pass between all nodes, in both directions (firewall, security group)"


def _judge(machine: Machine, row: str, owners: frozenset[str], must: bool) -> Finding:
    tests = [test for test in WAYS if test.row == row]
    held = {test: holders(machine, test) for test in tests}
    local = judge_local(held, owners) if must else tell_local(held)
    if machine.peer is None:
        return local
    return judge_peer(machine.peer, tests, must, local)


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


def judge_peer(peer: PeerReport, tests: list[Way], must: bool, local: Finding) -> Finding:
    """What passed to the peer, and back. `must`: nodes of these modes can't do without."""
    if peer.problem:
        return warning(peer.problem, "start `tortie node check --listen` there")
    blocked = [
        words
        for test in tests
        for words in (
            _blocked(test, peer.there.get(test), f"to {peer.host}"),
            _blocked(test, peer.back.get(test), f"from {peer.host}"),
        )
        if words
    ]
    if blocked:
        return (missing if must else warning)("; ".join(blocked), _OPEN)
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


def _check(
    row: str,
    what: str,
    needed: str,
    owners: tuple[str, ...],
    applies: Callable[[Modes], bool],
    must: bool = True,
) -> Check:
    tests = ", ".join(test.in_words for test in WAYS if test.row == row)
    side = "both ways" if must else "where its hosts are"
    return Check(
        row,
        what,
        needed,
        f"{tests}, {side}. Here: whether a stranger has it. With `--peer HOST`: whether it passes"
        " to that node and from it.",
        partial(_judge, row=row, owners=frozenset(owners), must=must),
        applies=applies,
    )


_KERNEL = ("kernel",)
CHECKS = (
    _check(
        "P1",
        "BGP",
        "--encap bgp, ipip",
        ("bird", "bgpd", "gobgp", "calico-node"),
        lambda modes: modes.uses(Encap.BGP, Encap.IPIP),
    ),
    _check("P2", "IP-in-IP", "--encap ipip", _KERNEL, lambda modes: modes.uses(Encap.IPIP)),
    _check(
        "P3",
        "VXLAN",
        "--encap vxlan",
        _KERNEL,
        lambda modes: modes.uses(Encap.VXLAN, Encap.FLANNEL),
    ),
    _check(
        "P4",
        "fan-out (Typha)",
        "clusters that use it",
        ("tortie", "python", "calico-typha"),
        lambda modes: modes.datastore == "kubernetes",
        must=False,
    ),
    _check(
        "P5",
        "WireGuard, IPv4",
        "--encap wireguard",
        ("wireguard-go", *_KERNEL),
        lambda modes: modes.uses(Encap.WIREGUARD),
    ),
    _check(
        "P6",
        "WireGuard, IPv6",
        "--encap wireguard",
        ("wireguard-go", *_KERNEL),
        lambda modes: modes.uses(Encap.WIREGUARD),
        must=False,
    ),
    _check(
        "P8",
        "kube-apiserver",
        "--for kubernetes",
        ("kube-apiserver", "haproxy", "nginx"),
        lambda modes: modes.purpose is Purpose.KUBERNETES,
        must=False,
    ),
    _check(
        "P9",
        "etcd",
        "an etcd datastore",
        ("etcd",),
        lambda modes: modes.datastore == "etcd",
        must=False,
    ),
)
