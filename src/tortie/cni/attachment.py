"""Attaching and detaching containers: addresses, interface, record and policy, in safe order.

ADD: address and veth pair are made at once, then the record and the container's routes at once;
then the agent is waited for. A workload that is not recorded has no policy, and an interface
without policy gets no traffic, so no order of these lets a packet through early. What fails is
taken back before the error is told. DEL: the interface is shut and the record withdrawn first, the
address is given back last, so that nobody else gets one that still leads here. The shut interface
is deleted after the answer (`departing`).
"""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol, TypeVar

import structlog
from msgspec.structs import replace

from tortie.api import Pod
from tortie.cni import annotations, departing, interfaces
from tortie.cni.addresses import Addresses, configured_routes
from tortie.cni.departing import Reaper
from tortie.cni.errors import NOT_AS_ADDED, CniError
from tortie.cni.fitting import check_fits
from tortie.cni.gates import check_gates
from tortie.cni.interfaces import Wire
from tortie.cni.lease import Lease, wanted_routes
from tortie.cni.locks import NamedLocks
from tortie.cni.profiles import ensure_profile
from tortie.cni.records import Record, Records
from tortie.cni.request import CniRequest, naming_pod
from tortie.cni.result import Attached, announced
from tortie.cni.workload import Workload, check_name, check_pod, told_of, workload_of
from tortie.ipam.holders import About
from tortie.kubernetes.names import INTERFACE_PREFIX
from tortie.net import Prefix
from tortie.policy.program import EndpointId

_THREADS = 4  # the kernel serialises most of it anyway
_CHECK_LIMIT = 5.0  # seconds

T = TypeVar("T")
U = TypeVar("U")
_log = structlog.get_logger(__name__)


class AgentView(Protocol):
    """`tortie.agent.agent.Agent`, as far as it is used here."""

    async def wait_ready(self, endpoint_id: EndpointId, revision: int, within: float) -> None:
        """Return once the endpoint is in the kernel as of `revision`. Raises NotReady."""
        ...


class Attacher:
    """Attaches containers to one node.

    `mtu` gives the MTU of the next interface, `prefix` is what its name begins with, `uplinks`
    names the node's interfaces whose packet sizes it takes over.
    """

    def __init__(
        self,
        node: str,
        agent: AgentView,
        addresses: Addresses,
        records: Records,
        mtu: Callable[[], int],
        prefix: str = INTERFACE_PREFIX,
        uplinks: Callable[[], tuple[str, ...]] = tuple,
    ) -> None:
        self.node = node
        self.prefix = prefix
        self.records = records
        self.reaper = Reaper()
        self._agent = agent
        self._addresses = addresses
        self._mtu = mtu
        self._uplinks = uplinks
        self._locks = NamedLocks()
        self._spaces = NamedLocks()
        self._kernel = ThreadPoolExecutor(_THREADS, thread_name_prefix="cni")

    async def add(self, request: CniRequest) -> Attached:
        """Attach a container; returns once its policy and routes are in the kernel.

        Raises CniError, NotReady, IpamError or DatastoreError, and has then left nothing behind.
        """
        await check_fits(request.config, self.node)
        workload = workload_of(request, self.node, self.prefix)
        check_name(workload)
        await check_gates(request.config.readiness_gates)
        async with self._locks.hold(workload.interface):
            record = await self.records.find(workload)
            if record.pod is not None:
                check_pod(record.pod, workload)
            try:
                return await self._attach(request, workload, record)
            except BaseException as problem:
                await self._roll_back(request, workload, problem)
                raise

    async def delete(self, request: CniRequest) -> None:
        """Detach a container; one that is not attached is no error."""
        for call in (*await self._named(request), request):
            workload = workload_of(call, self.node, self.prefix)
            async with self._locks.hold(workload.interface):
                await self._detach(call, workload, told_of(call, self.node))

    async def _named(self, request: CniRequest) -> list[CniRequest]:
        """A call that names no pod, for each pod whose container it ends. Without their names
        nothing would lead to the interface and the record, and the address would be given back
        while both have it.
        """
        workload = workload_of(request, self.node, self.prefix)
        if workload.is_pod or (await self.records.find(workload)).container_id:
            return []
        pods = await self._addresses.pods_of(request, self.node)
        return [naming_pod(request, namespace, name) for namespace, name in pods]

    async def check(self, request: CniRequest) -> None:
        """Raises CniError or NotReady where the attachment is not as ADD left it."""
        workload = workload_of(request, self.node, self.prefix)
        async with self._locks.hold(workload.interface):
            record = await self.records.find(workload)
            pod = _annotated(record, workload)
            by = told_of(request, self.node)
            held = await self._addresses.held(request, pod, record.addresses, by)
            found = _recorded_faults(record, held, request)
            if not found:
                wire, routes = self._wire(request, workload), _expected_routes(request, held)
                found = (await self._run(interfaces.inspect, wire, held, routes)).faults
            if found:
                raise CniError(NOT_AS_ADDED, "; ".join(found))
            await self._addresses.check(request)
            await self._agent.wait_ready(workload.endpoint, 0, _CHECK_LIMIT)

    async def is_of_network(self, request: CniRequest) -> bool:
        """Whether an interface of which no network is recorded is of this one.

        IPAM knows; of addresses that another plugin gave nobody can tell.
        """
        return request.config.ipam.is_own and await self._addresses.knows(
            request, told_of(request, self.node)
        )

    async def _attach(self, request: CniRequest, workload: Workload, record: Record) -> Attached:
        pod = _annotated(record, workload)
        annotations.check_used_later(pod, request.config.feature_control)
        wire = self._wire(request, workload)
        wire = replace(wire, mac=_wanted_mac(request, pod) or wire.mac)
        recorded = record.addresses_of(request.container_id)
        assign = self._addresses.assign(request, workload, pod, recorded)
        if record.container_id == request.container_id:
            lease = await assign
            wire = await self._adopt(wire, lease, _routes(request, lease))
        else:
            _, lease = await _both(self._make(wire, workload, record), assign)
        await ensure_profile(self.records.store, request, workload)
        network, texts = request.config.name, tuple(map(str, lease.addresses))
        routes, revision = await _both(
            self._configure(wire, lease, _routes(request, lease)),
            self.records.write(workload, record, network, texts, wire.mac),
        )
        await self._agent.wait_ready(workload.endpoint, revision, request.config.add_limit)
        return _attached(wire, lease, routes, request)

    async def _make(self, wire: Wire, workload: Workload, record: Record) -> None:
        """The pair, in the place of an earlier container's. That one's record goes before: if this
        ADD fails, what was made would else be taken for the earlier one's, and stay under its
        policy.
        """
        if record.container_id:
            earlier = replace(workload, container_id=record.container_id)
            await self.records.clear(earlier, record.pod)
        await self._run(interfaces.create, wire)

    async def _configure(
        self, wire: Wire, lease: Lease, wanted: tuple[Prefix, ...]
    ) -> tuple[Prefix, ...]:
        """One interface of a container after another: only one can have the default route."""
        async with self._spaces.hold(wire.netns):
            return await self._run(interfaces.configure, wire, lease.addresses, wanted)

    async def _adopt(self, wire: Wire, lease: Lease, routes: tuple[Prefix, ...]) -> Wire:
        """An ADD that was done before: keep the interface if it is right, else make it anew."""
        inspection = await self._run(interfaces.inspect, wire, lease.addresses, routes)
        if inspection.link is not None and not inspection.faults:
            return replace(wire, mac=inspection.link.mac, mtu=inspection.link.mtu)
        await self._run(interfaces.create, wire)
        return wire

    async def _roll_back(
        self, request: CniRequest, workload: Workload, cause: BaseException
    ) -> None:
        """Take back a half-done ADD. What can't be is left to the runtime's DEL, and said."""
        try:
            await self._detach(request, workload, workload.attributes)
        except Exception as problem:
            _log.warning("a failed ADD is not wholly taken back", reason=str(problem))
            cause.add_note(f"and it could not be taken back: {problem}")

    async def _detach(self, request: CniRequest, workload: Workload, by: About) -> None:
        """`by` is whose the addresses are: another's under the same container id stay."""
        record = await self.records.find(workload)
        if _is_of_another(record, workload):
            await self._addresses.release_of_earlier(request, by)
            return
        shut = self._run(departing.shut, workload.interface, workload.prefix)
        await _both(shut, self.records.clear(workload, record.pod))
        self.reaper.wake()
        if not request.netns:  # it is gone, with all that is in it
            await self._addresses.release(request, by)
            return
        forget = self._run(interfaces.forget, request.netns, request.ifname)
        await _both(forget, self._addresses.release(request, by))

    def _wire(self, request: CniRequest, workload: Workload) -> Wire:
        return Wire(
            host=workload.interface,
            container=request.ifname,
            netns=request.netns,
            mac=interfaces.random_mac(),
            mtu=request.config.mtu or self._mtu(),
            queues=request.config.num_queues,
            uplinks=self._uplinks(),
            prefix=workload.prefix,
            forwarding=request.config.container_settings.allow_ip_forwarding,
        )

    async def _run(self, work: Callable[..., T], *arguments: object) -> T:
        """Do blocking kernel work in a thread of our own: it enters namespaces."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._kernel, work, *arguments)


async def _both(
    first: Coroutine[object, object, T], second: Coroutine[object, object, U]
) -> tuple[T, U]:
    """Both results. When one fails the other still comes to its end, then the failure is raised."""
    a, b = await asyncio.gather(first, second, return_exceptions=True)
    if isinstance(a, BaseException):
        raise a
    if isinstance(b, BaseException):
        raise b
    return a, b


def _is_of_another(record: Record, workload: Workload) -> bool:
    """Whether a later container of the same pod has this node's interface by now."""
    elsewhere = record.pod is not None and record.pod.spec.node_name != workload.node
    return record.container_id not in ("", workload.container_id) and not elsewhere


def _recorded_faults(record: Record, held: Sequence[Prefix], request: CniRequest) -> list[str]:
    if record.container_id != request.container_id:
        found = record.container_id or "no container"
        return [f"the datastore has {found} attached in its place"]
    if not held:
        return ["it has no address"]
    told = announced(request.config.prev_result, request.ifname)
    if told and told != frozenset(map(str, held)):
        return [f"ADD told of {', '.join(sorted(told))}; it has {', '.join(map(str, held))}"]
    return []


def _annotated(record: Record, workload: Workload) -> Pod | None:
    """The Pod whose annotations count: they speak of the first interface."""
    return record.pod if workload.is_first else None


def _wanted_mac(request: CniRequest, pod: Pod | None) -> str:
    asked = request.arguments.get("MAC", "") or request.config.runtime.mac
    return annotations.mac(pod) or annotations.mac_address(asked, "the MAC address asked for")


def _routes(request: CniRequest, lease: Lease) -> tuple[Prefix, ...]:
    return wanted_routes(lease, request.config.include_default_routes)


def _expected_routes(request: CniRequest, held: Sequence[Prefix]) -> tuple[Prefix, ...]:
    """What CHECK looks for; of another IPAM plugin's routes only the plugin would know."""
    if not request.config.ipam.is_own:
        return ()
    return _routes(request, Lease(tuple(held), configured_routes(request)))


def _attached(wire: Wire, lease: Lease, routes: Sequence[Prefix], request: CniRequest) -> Attached:
    return Attached(
        host_interface=wire.host,
        container_interface=wire.container,
        netns=wire.netns,
        mac=wire.mac,
        mtu=wire.mtu,
        addresses=lease.addresses,
        routes=routes,
        dns=lease.dns or request.config.dns,
    )
