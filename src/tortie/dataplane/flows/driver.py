"""Ends the connections that a change of policy denies.

It stands behind the policy driver: what that has in force is what is judged, and the packets that
follow meet it. A connection whose first packet tells who began it (TCP, SCTP) is marked, and the
packet filter drops what is marked: without its entry a packet of the other side would begin it
anew, in the direction that policy may allow. Of others the entry is deleted, so that the next
packet is a new connection and policy is asked. A mark goes when policy allows the connection again.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Set
from typing import NamedTuple, Protocol

import structlog
from msgspec import Struct

from tortie.dataplane.contract import Applied, Failure
from tortie.dataplane.flows.concern import Concern, Concerned, Users
from tortie.dataplane.flows.judging import CONNECTION_ORIENTED, Ends, is_denied
from tortie.dataplane.flows.surroundings import KernelSurroundings
from tortie.dataplane.policy.interfaces import Addresses, owners
from tortie.dataplane.policy.settings import PolicySettings
from tortie.engine.delta import Delta
from tortie.linux.flows import Flows
from tortie.linux.netlink.ctnetlink import Flow
from tortie.linux.netlink.sockets import NetlinkSocket
from tortie.net import Prefix
from tortie.policy import Program
from tortie.policy.packet import ToHost
from tortie.policy.program import (
    Endpoint,
    EndpointId,
    HostEndpoint,
    Member,
    Policy,
    PolicyId,
    Profile,
    SetId,
)

_log = structlog.get_logger(__name__)


class HeldSet(Protocol):
    """A set as the policy driver holds it."""

    @property
    def members(self) -> Set[Member]: ...


class Known(Users, Protocol):
    """What the policy driver has in force: `tortie.dataplane.policy.desired.Desired`."""

    @property
    def endpoints(self) -> Mapping[EndpointId, Endpoint]: ...
    @property
    def hosts(self) -> Mapping[EndpointId, HostEndpoint]: ...
    @property
    def policies(self) -> Mapping[PolicyId, Policy]: ...
    @property
    def profiles(self) -> Mapping[str, Profile]: ...
    @property
    def sets(self) -> Mapping[tuple[int, SetId], HeldSet]: ...
    @property
    def addresses(self) -> Addresses: ...


class Judged(Struct):
    """What becomes of connections."""

    denied: list[Flow] = []
    marked: list[Flow] = []
    unmarked: list[Flow] = []


class FlowDriver:
    """Connections of one node, in the network namespace of the thread that first uses it.

    It does nothing unless `settings.ends_flows`. Raises NetlinkError or TimeoutError; what
    was to be judged then is judged by the next resync.
    """

    name = "flows"
    ports: frozenset[int] = frozenset()  # of no notification that anybody listens to

    def __init__(
        self,
        settings: PolicySettings,
        known: Callable[[], Known],
        open_socket: Callable[[], NetlinkSocket] = NetlinkSocket,
    ) -> None:
        self._settings, self._known, self._open_socket = settings, known, open_socket
        self._concerned: Concerned | None = None  # until everything was looked at once
        self._concern = Concern()
        self._sockets: _Sockets | None = None
        self.written = 0

    def close(self) -> None:
        """Close the sockets."""
        if self._sockets is not None:
            self._sockets.flows.close()
            self._sockets.routes.close()
            self._sockets = None

    def configure(self, settings: PolicySettings) -> bool:
        """Take other settings; whether they make a difference here: then all is judged anew."""
        is_other = _decisive(settings) != _decisive(self._settings)
        self._settings = settings
        if is_other:
            self._concerned = None
        return is_other

    def fold(self, delta: Delta) -> None:
        """Note what the delta concerns, once the policy driver has taken it in."""
        if self._concerned is not None:
            self._concerned.fold(delta, self._known(), self._concern)

    def apply(self, delta: Delta) -> Applied:
        """Judge the connections that the delta concerns."""
        self.fold(delta)
        return self._settle()

    def resync(self) -> Applied:
        """Judge all at first, since policy may have changed before; then what was left over."""
        if not self._settings.ends_flows:
            self._concerned = None
            return self._unable()
        if self._concerned is None:
            known = self._known()
            self._concern.everything = True
            self._concerned = Concerned.of(known.endpoints.values(), known.hosts)
        return self._settle()

    def _unable(self) -> Applied:
        if not self._settings.end_denied_flows:
            return Applied()
        reason = f"mark mask {self._settings.mark_mask:#x}: give it four bits or more"
        return Applied((Failure(self.name, "EndDeniedFlows", reason),))

    def _settle(self) -> Applied:
        if self._concern and self._concerned is not None:
            try:
                self._judge(self._concerned)
            except (OSError, ValueError):
                self.close()  # half-read answers go with it
                raise
            self._concern = Concern()
        return Applied()

    def _judge(self, concerned: Concerned) -> None:
        flows, routes = self._opened()
        bit = self._settings.marks.ended
        judge = _Judge(self._known(), self._settings, concerned, KernelSurroundings(routes))
        found = judge.all(self._flows(flows), bit)
        flows.delete(found.denied)
        flows.mark(found.marked, bit, bit)
        flows.mark(found.unmarked, 0, bit)
        ended = len(found.denied) + len(found.marked)
        self.written += ended
        if ended or found.unmarked:
            _log.info("connections", ended=ended, allowed_again=len(found.unmarked))

    def _flows(self, flows: Flows) -> Iterable[Flow]:
        concern = self._concern
        if concern.everything:
            return flows.all()
        return flows.of([Prefix.single(*one) for one in concern.addresses])

    def _opened(self) -> "_Sockets":
        if self._sockets is None:
            flows = Flows()
            try:
                self._sockets = _Sockets(flows, self._open_socket())
            except OSError:
                flows.close()
                raise
        return self._sockets


class _Sockets(NamedTuple):
    flows: Flows
    routes: NetlinkSocket


class _Judge:
    """Judges connections by what is in force now."""

    def __init__(
        self,
        known: Known,
        settings: PolicySettings,
        concerned: Concerned,
        around: KernelSurroundings,
    ) -> None:
        self._programs = {version: _program(known, settings, version) for version in (4, 6)}
        hosts = owners(known.hosts, known.addresses, settings)
        self._ends = Ends(concerned.workloads, hosts, around)

    def all(self, flows: Iterable[Flow], bit: int) -> Judged:
        """What becomes of each; those that are related to another one go with that one."""
        judged = Judged([], [], [])
        related: list[Flow] = []
        for flow in flows:
            if flow.zone:
                continue  # other programs' connections, which policy never sees
            if flow.master is not None:
                related.append(flow)
                continue
            self._sort(flow, bit, judged)
        gone = {one.original for one in (*judged.denied, *judged.marked)}
        judged.denied.extend(one for one in related if one.master in gone)
        return judged

    def _sort(self, flow: Flow, bit: int, judged: Judged) -> None:
        denied = is_denied(flow, self._programs[flow.version], self._ends)
        if denied is None:
            return
        is_marked = bool(flow.mark & bit)
        if not denied and is_marked:
            judged.unmarked.append(flow)
        elif denied and flow.original.protocol not in CONNECTION_ORIENTED:
            judged.denied.append(flow)
        elif denied and not is_marked:
            judged.marked.append(flow)


class _SetsOf(Mapping[SetId, Set[Member]]):
    """The members of one IP version, as the policy driver holds them."""

    def __init__(self, held: Mapping[tuple[int, SetId], HeldSet], version: int) -> None:
        self._held, self._version = held, version

    def __getitem__(self, name: SetId) -> Set[Member]:
        return self._held[self._version, name].members

    def __iter__(self) -> Iterator[SetId]:
        return (name for version, name in self._held if version == self._version)

    def __len__(self) -> int:
        return sum(1 for _ in self)


def _program(known: Known, settings: PolicySettings, version: int) -> Program:
    return Program(
        endpoints=known.endpoints,
        policies=known.policies,
        profiles=known.profiles,
        sets=_SetsOf(known.sets, version),
        host_endpoints=known.hosts,
        failsafes=settings.failsafes,
        to_host=ToHost(settings.endpoint_to_host.upper()),
    )


def _decisive(settings: PolicySettings) -> tuple[object, ...]:
    return (
        settings.ends_flows,
        settings.marks.ended,
        settings.failsafes,
        settings.endpoint_to_host,
    )
