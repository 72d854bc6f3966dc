"""Addresses for containers: from the datastore's pools, another IPAM plugin, or a pod's word."""

import asyncio
from collections.abc import Sequence
from typing import cast

from tortie.api import Key, Namespace, Node, Pod
from tortie.cni import annotations, delegate
from tortie.cni.convoy import Convoy
from tortie.cni.errors import INVALID_CONFIG, CniError
from tortie.cni.lease import Lease
from tortie.cni.machines import Machines
from tortie.cni.podcidr import RELEASING, uses_pod_cidrs
from tortie.cni.registration import Registration
from tortie.cni.request import CniRequest
from tortie.cni.workload import Workload
from tortie.datastore import Datastore, NotFound
from tortie.ipam import IPAM, TOGETHER, AssignRequest, FixedRequest, ReturnRequest
from tortie.ipam.holders import About
from tortie.net import Prefix, parse_network


class Addresses:
    """Asks IPAM one request at a time: at once, a node's would only lose races against itself. Who
    has to wait goes together with the others that do.
    """

    def __init__(self, ipam: IPAM, store: Datastore, registration: Registration) -> None:
        self._ipam, self._registration = ipam, registration
        self._store = store
        self._machines = Machines(ipam, store)
        self._turn = asyncio.Lock()
        self._leases = Convoy(self._turn, ipam.lease, TOGETHER)
        self._returns = Convoy(self._turn, ipam.release_by_handles, TOGETHER)

    async def assign(
        self, request: CniRequest, workload: Workload, pod: Pod | None, recorded: tuple[str, ...]
    ) -> Lease:
        """The interface's addresses: those that it has, else new ones.

        `pod` is whose annotations count, `recorded` what this very container has been given
        before. Raises IpamError, CniError.
        """
        if asked := annotations.without_ipam(pod, request.config.feature_control):
            return Lease(asked, configured_routes(request))
        if not request.config.ipam.is_own:
            return await self._delegated(request, workload, pod, recorded)
        await self._registration.wait(request.config.add_limit)
        namespace = await self._namespace(workload, pod)
        found = await self._own(request, workload, pod, namespace)
        return Lease(found, configured_routes(request))

    async def held(
        self, request: CniRequest, pod: Pod | None, recorded: tuple[str, ...], by: About
    ) -> tuple[Prefix, ...]:
        """The addresses that the interface has, which is recorded to have `recorded`. `by` is whose
        it is: here and below, another's under the same container id count for nothing.
        """
        of_no_pool = annotations.without_ipam(pod, request.config.feature_control)
        if of_no_pool or not request.config.ipam.is_own:
            return _recorded(recorded)
        machine = await self._machines.handle(request, pod)
        return _singles(await self._held(request, machine, by))

    async def blocks(self, request: CniRequest) -> tuple[Prefix, ...]:
        """The blocks that the interface's addresses are of."""
        return await self._ipam.blocks_of(request.handle)

    async def check(self, request: CniRequest) -> None:
        """Have another IPAM plugin look whether it is as it left it. Raises CniError."""
        if not request.config.ipam.is_own:
            await delegate.check(request, RELEASING)

    async def knows(self, request: CniRequest, by: About) -> bool:
        """Whether the datastore has addresses for the interface."""
        return bool(await self._held(request, await self._machines.handle_now(request), by))

    async def pods_of(self, request: CniRequest, node: str) -> list[tuple[str, str]]:
        """The pods of this node, each (namespace, name), of which IPAM notes that they have the
        interface's addresses: their runtime may end a container without saying whose it was.
        """
        if not request.config.ipam.is_own:
            return []
        owners = await self._ipam.owners_of(request.handle)
        noted = [one.active for one in owners.values() if one.active.get("node") == node]
        pods = [(about.get("namespace", ""), about.get("pod", "")) for about in noted]
        return sorted({pod for pod in pods if all(pod)})

    async def _held(self, request: CniRequest, machine: str, by: About) -> tuple[Prefix, ...]:
        """A machine's are its own, whatever pod runs it now."""
        if machine:
            return await self._ipam.addresses_of(machine)
        return await self._ipam.addresses_of(request.handle, by)

    async def release(self, request: CniRequest, by: About) -> None:
        """Give back all addresses of an interface; one that holds none is no error. A virtual
        machine keeps its own.
        """
        if not request.config.ipam.is_own:
            await delegate.release(request, RELEASING)
            return
        machine = await self._machines.handle_now(request)
        if machine:
            async with self._turn:
                await self._machines.end(machine, request)
        await self._returns.ask(ReturnRequest(handle=request.handle, by=by))

    async def release_of_earlier(self, request: CniRequest, by: About) -> None:
        """The same for a container that another one of its pod has followed: what is the pod's,
        as a virtual machine's addresses are, the other one has now.
        """
        if not request.config.ipam.is_own:
            await delegate.release(request, RELEASING)
            return
        await self._returns.ask(ReturnRequest(handle=request.handle, by=by))

    async def _own(
        self, request: CniRequest, workload: Workload, pod: Pod | None, namespace: Namespace | None
    ) -> tuple[Prefix, ...]:
        fixed = fixed_addresses(request, pod)
        machine = await self._machines.handle(request, pod)
        if not machine and not fixed:
            wanted = _assign_request(request, workload, pod, namespace)
            return _singles((await self._leases.ask(wanted)).ips)
        async with self._turn:
            held = await self._ipam.kept(request.handle, workload.attributes)
            if held:
                return await self._completed(_singles(held), fixed, request, workload)
            if pod and machine:
                wanted = _assign_request(request, workload, pod, namespace)
                return _singles(await self._machines.begin(machine, wanted, fixed, pod))
            for address in fixed:
                await self._ipam.assign_fixed(_fixed_request(address, request, workload))
            return fixed

    async def _completed(
        self,
        held: tuple[Prefix, ...],
        fixed: tuple[Prefix, ...],
        request: CniRequest,
        workload: Workload,
    ) -> tuple[Prefix, ...]:
        """What the interface has, and of an IP version of which it has none what is asked for: an
        agent may have died between the two."""
        versions = {one.version for one in held}
        missing = [one for one in fixed if one.version not in versions]
        for address in missing:
            await self._ipam.assign_fixed(_fixed_request(address, request, workload))
        return tuple(sorted((*held, *missing)))

    async def _delegated(
        self, request: CniRequest, workload: Workload, pod: Pod | None, recorded: tuple[str, ...]
    ) -> Lease:
        if recorded:  # asked again, such plugins refuse
            return Lease(_recorded(recorded), configured_routes(request))
        return await delegate.lease(
            request, fixed_addresses(request, pod), await self._pod_cidrs(request, workload.node)
        )

    async def _pod_cidrs(self, request: CniRequest, node: str) -> tuple[str, ...]:
        if not uses_pod_cidrs(delegate.ipam_of(request)):
            return ()
        try:
            found = cast(Node, await self._store.get(Key("Node", "", node)))
        except NotFound:
            return ()
        return found.status.pod_cidrs if found.status else ()

    async def _namespace(self, workload: Workload, pod: Pod | None) -> Namespace | None:
        """The pod's namespace, where its annotations can still matter."""
        if pod is None or annotations.listed(pod, "ipAddrs"):
            return None
        try:
            return cast(Namespace, await self._store.get(Key("Namespace", "", workload.namespace)))
        except NotFound:
            return None


def _assign_request(
    request: CniRequest, workload: Workload, pod: Pod | None, namespace: Namespace | None
) -> AssignRequest:
    ipam = request.config.ipam
    families = annotations.families(pod)
    wanted4 = 4 in families if families else ipam.assign_ipv4 == "true"
    wanted6 = 6 in families if families else ipam.assign_ipv6 == "true"
    if not (wanted4 or wanted6):
        raise CniError(INVALID_CONFIG, "ipam.assign_ipv4 and ipam.assign_ipv6 are both false")
    return AssignRequest(
        node=workload.node,
        handle=request.handle,
        count4=int(wanted4),
        count6=int(wanted6),
        pools4=_pools("ipv4pools", pod, namespace) or ipam.ipv4_pools,
        pools6=_pools("ipv6pools", pod, namespace) or ipam.ipv6_pools,
        attributes=workload.attributes,
    )


def _pools(name: str, pod: Pod | None, namespace: Namespace | None) -> tuple[str, ...]:
    """What the pod says goes before what its namespace says."""
    return annotations.listed(pod, name) or annotations.listed(namespace, name)


def _fixed_request(address: Prefix, request: CniRequest, workload: Workload) -> FixedRequest:
    return FixedRequest(
        address=address,
        node=workload.node,
        handle=request.handle,
        attributes=workload.attributes,
    )


def fixed_addresses(request: CniRequest, pod: Pod | None) -> tuple[Prefix, ...]:
    """The addresses asked for by name, one a family: by annotation, CNI_ARGS or `runtimeConfig`.

    Raises CniError for what is no list of addresses.
    """
    asked = annotations.listed(pod, "ipAddrs")
    if not asked and request.arguments.get("IP"):
        asked = tuple(request.arguments["IP"].split(","))
    if not asked:  # these may come with a subnet's length
        asked = tuple(one.partition("/")[0] for one in request.config.runtime.ips)
    return annotations.single_addresses(asked, "the address asked for")


def configured_routes(request: CniRequest) -> tuple[Prefix, ...]:
    """`ipam.routes`: what the container is to reach by it. Raises CniError."""
    found = []
    for one in request.config.ipam.routes:
        try:
            found.append(parse_network(str(one["dst"])))
        except (KeyError, ValueError) as problem:
            raise CniError(INVALID_CONFIG, f"ipam.routes: {problem}") from None
    return tuple(found)


def _singles(found: Sequence[Prefix]) -> tuple[Prefix, ...]:
    return tuple(Prefix.single(one.version, one.address) for one in found)


def _recorded(texts: tuple[str, ...]) -> tuple[Prefix, ...]:
    return _singles(sorted(map(parse_network, texts)))
