"""A node, its workloads and the world beyond it, each a namespace with a stack of its own.

Other than in `dataplane.packets` both ends are real: sockets connect and answer. A socket stays in
the namespace where it was made.
"""

import itertools
import os
import socket
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from types import TracebackType
from typing import Self

from dataplane.packets import UPLINK
from strategies.programs import ENDPOINTS, HOSTS4, OUTSIDE
from tortie.linux.namespaces import create_named, delete_named, in_namespace
from tortie.net import PortRange, Prefix, format_address, parse_network
from tortie.policy import Program
from tortie.policy.program import (
    Action,
    DefaultAction,
    Endpoint,
    PeerMatch,
    Policy,
    PolicyId,
    Profile,
    Rule,
    TierPolicies,
)
from vm.features import patience

NODE = parse_network("192.0.2.10")
FAR = "far"
PODS = HOSTS4[:3]
ELSEWHERE = HOSTS4[4]  # a workload of another node: `far` has its address
OPEN = "open"
_GATEWAY = "169.254.1.1"
_NUMBERS = itertools.count(1)
_IPV4 = 4


def text(address: Prefix) -> str:
    """The address as sockets want it."""
    return format_address(_IPV4, address.address)


class PodLab:
    """Namespaces "node", "pod-0" to "pod-2" and FAR, which has OUTSIDE[0] and ELSEWHERE."""

    def __init__(self) -> None:
        unique = f"{os.getpid()}-{next(_NUMBERS)}"
        places = ("node", *(f"pod-{n}" for n in range(len(PODS))), FAR)
        self._names = {place: f"vm{unique}-{place}" for place in places}
        self._open = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as undo:
            for name in self._names.values():
                create_named(name)
                undo.callback(delete_named, name)
            self._build()
            self._open = undo.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._open.close()

    @contextmanager
    def inside(self, place: str = "node") -> Iterator[None]:
        """This thread is in the place's namespace."""
        with in_namespace(f"/run/netns/{self._names[place]}"):
            yield

    def run(self, *command: str, place: str = "node", text: str | None = None) -> str:
        """A command in the place's namespace."""
        with self.inside(place):
            done = subprocess.run(command, input=text, capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(f"{' '.join(command)}: {done.stderr}")
        return done.stdout

    def socket(
        self,
        place: str,
        protocol: int,
        address: Prefix,
        port: int = 0,
        seconds: float = patience(20),
    ) -> socket.socket:
        """A socket of the place, bound there; a stream socket listens where a port is given."""
        kind = socket.SOCK_DGRAM if protocol == socket.IPPROTO_UDP else socket.SOCK_STREAM
        with self.inside(place):
            made = socket.socket(socket.AF_INET, kind, protocol)
        self._open.callback(made.close)
        made.settimeout(seconds)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind((text(address), port))
        if port and kind == socket.SOCK_STREAM:
            made.listen()
        return made

    def _build(self) -> None:
        places = [f"pod-{n}" for n in range(len(PODS))]
        links = {**{f"cali{n}": place for n, place in enumerate(places)}, UPLINK: FAR}
        self._ip("node", (self._link(name, place) for name, place in links.items()))
        self._ip("node", ["link set lo up", *(f"link set {name} up" for name in links)])
        for place in (*places, FAR):
            self._ip(place, ["link set lo up", "link set eth0 up"])
        self._ip("node", [f"address add {text(NODE)}/24 dev {UPLINK}"])
        for n, own in enumerate(PODS):
            self._ip("node", [f"route add {own} dev cali{n}"])
            self._ip(f"pod-{n}", self._of_a_pod(own, n))
        self._ip(FAR, ["address add 192.0.2.1/24 dev eth0"])
        for far in (OUTSIDE[0], ELSEWHERE):
            self._ip(FAR, [f"address add {far} dev lo"])
            self._ip("node", [f"route add {far} via 192.0.2.1"])
        self._ip(FAR, [f"route add default via {text(NODE)}"])
        with self.inside(), open("/proc/sys/net/ipv4/ip_forward", "w") as file:
            file.write("1")

    def _link(self, name: str, place: str) -> str:
        number = f"{sum(name.encode()) % 256:02x}"
        return (
            f"link add {name} address 02:00:00:00:01:{number} type veth "
            f"peer name eth0 netns {self._names[place]} address 02:00:00:00:02:{number}"
        )

    def _of_a_pod(self, own: Prefix, number: int) -> Sequence[str]:
        mac = self._link(f"cali{number}", "node").split()[4]
        return (
            f"address add {own} dev eth0",
            f"route add {_GATEWAY} dev eth0 scope link",
            f"route add default via {_GATEWAY}",
            f"neighbour replace {_GATEWAY} lladdr {mac} dev eth0",
        )

    def _ip(self, place: str, commands: Sequence[str] | Iterator[str]) -> None:
        self.run("ip", "-batch", "-", place=place, text="\n".join(commands))


def guarded(**ingress: Rule) -> Program:
    """All pods may begin what they want, and get what they want: but of the named ones ("pod_1")
    only what this rule allows."""
    policies, endpoints = {}, {}
    for n, own in enumerate(PODS):
        asked: tuple[TierPolicies, ...] = ()
        if rule := ingress.get(f"pod_{n}"):
            name = PolicyId("GlobalNetworkPolicy", "", f"pod-{n}")
            policies[name] = Policy(name, "default", (rule,), ())
            asked = (TierPolicies("default", DefaultAction.DENY, (name,)),)
        one = Endpoint(ENDPOINTS[n], f"cali{n}", (own,), ingress=asked, profiles=(OPEN,))
        endpoints[one.id] = one
    allow = (Rule(Action.ALLOW),)
    return Program(endpoints, policies, {OPEN: Profile(OPEN, allow, allow)}, {})


def to_port(action: Action, protocol: int, port: int) -> Rule:
    """A rule about one port."""
    return Rule(action, protocol=protocol, destination=PeerMatch(ports=(PortRange(port, port),)))


def gets_nothing(attempt: Callable[[], object]) -> bool:
    """Whether it waits in vain until its own limit of time."""
    try:
        attempt()
    except TimeoutError:
        return True
    return False
