"""Addresses for containers, from IPAM."""

import asyncio
from collections.abc import Sequence

from tortie.api import Pod
from tortie.cni import annotations
from tortie.cni.errors import INVALID_CONFIG, CniError
from tortie.cni.request import CniRequest
from tortie.cni.workload import Workload
from tortie.ipam import IPAM, AssignRequest, FixedRequest
from tortie.net import Prefix, parse_address


class Addresses:
    """Asks IPAM one request at a time: at once, a node's would only lose races against itself."""

    def __init__(self, ipam: IPAM) -> None:
        self._ipam = ipam
        self._turn = asyncio.Lock()

    async def assign(
        self, request: CniRequest, workload: Workload, pod: Pod | None
    ) -> tuple[Prefix, ...]:
        """The container's addresses: those that it has, else new ones. Raises IpamError."""
        async with self._turn:
            held = await self._ipam.addresses_of(request.handle)
            if held:
                return _singles(held)
            fixed = fixed_addresses(request, pod)
            if not fixed:
                assigned = await self._ipam.auto_assign(_assign_request(request, workload, pod))
                return _singles(assigned.ips)
            for address in fixed:
                await self._ipam.assign_fixed(_fixed_request(address, request, workload))
            return fixed

    async def held(self, request: CniRequest) -> tuple[Prefix, ...]:
        """The addresses that the container has."""
        return _singles(await self._ipam.addresses_of(request.handle))

    async def release(self, handle: str) -> None:
        """Give back all addresses of a handle; one that holds none is no error."""
        async with self._turn:
            await self._ipam.release_by_handle(handle)


def _assign_request(request: CniRequest, workload: Workload, pod: Pod | None) -> AssignRequest:
    ipam = request.config.ipam
    families = annotations.families(pod)
    wanted4 = 4 in families if families else ipam.assign_ipv4 == "true"
    wanted6 = 6 in families if families else ipam.assign_ipv6 == "true"
    return AssignRequest(
        node=workload.node,
        handle=request.handle,
        count4=int(wanted4),
        count6=int(wanted6),
        pools4=annotations.listed(pod, "ipv4pools") or ipam.ipv4_pools,
        pools6=annotations.listed(pod, "ipv6pools") or ipam.ipv6_pools,
        attributes=workload.attributes,
    )


def _fixed_request(address: Prefix, request: CniRequest, workload: Workload) -> FixedRequest:
    return FixedRequest(
        address=address,
        node=workload.node,
        handle=request.handle,
        attributes=workload.attributes,
    )


def fixed_addresses(request: CniRequest, pod: Pod | None) -> tuple[Prefix, ...]:
    """The addresses that the Pod's annotation or CNI_ARGS ask for by name: one a family.

    Raises CniError for what is no list of addresses.
    """
    asked = annotations.listed(pod, "ipAddrs")
    if not asked and request.arguments.get("IP"):
        asked = tuple(request.arguments["IP"].split(","))
    found = {}
    for text in asked:
        try:
            version, address = parse_address(text.strip())
        except ValueError as problem:
            raise CniError(INVALID_CONFIG, f"the address asked for: {problem}") from None
        if version in found:
            raise CniError(INVALID_CONFIG, f"two IPv{version} addresses are asked for: name one")
        found[version] = Prefix.single(version, address)
    return tuple(found[version] for version in sorted(found))


def _singles(found: Sequence[Prefix]) -> tuple[Prefix, ...]:
    return tuple(Prefix.single(one.version, one.address) for one in found)
