"""Addresses for containers, from IPAM."""

import asyncio
from collections.abc import Sequence

import msgspec

from tortie.api import Pod
from tortie.cni.errors import INVALID_CONFIG, CniError
from tortie.cni.request import CniRequest
from tortie.cni.workload import Workload
from tortie.ipam import IPAM, AssignRequest
from tortie.net import Prefix

_POOLS = {4: "cni.projectcalico.org/ipv4pools", 6: "cni.projectcalico.org/ipv6pools"}


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
            assignment = await self._ipam.auto_assign(_assign_request(request, workload, pod))
            return _singles(assignment.ips)

    async def held(self, request: CniRequest) -> tuple[Prefix, ...]:
        """The addresses that the container has."""
        return _singles(await self._ipam.addresses_of(request.handle))

    async def release(self, handle: str) -> None:
        """Give back all addresses of a handle; one that holds none is no error."""
        async with self._turn:
            await self._ipam.release_by_handle(handle)


def _assign_request(request: CniRequest, workload: Workload, pod: Pod | None) -> AssignRequest:
    ipam = request.config.ipam
    return AssignRequest(
        node=workload.node,
        handle=request.handle,
        count4=int(ipam.assign_ipv4 == "true"),
        count6=int(ipam.assign_ipv6 == "true"),
        pools4=_pools(pod, 4) or ipam.ipv4_pools,
        pools6=_pools(pod, 6) or ipam.ipv6_pools,
        attributes=workload.attributes,
    )


def _pools(pod: Pod | None, version: int) -> tuple[str, ...]:
    """The pools that the Pod's annotation asks for: a JSON list of names or CIDRs."""
    text = pod.metadata.annotations.get(_POOLS[version]) if pod is not None else None
    if not text:
        return ()
    try:
        return tuple(msgspec.json.decode(text, type=list[str]))
    except msgspec.DecodeError as problem:
        raise CniError(
            INVALID_CONFIG,
            f"annotation {_POOLS[version]} is {text!r}: use a JSON list of pools ({problem})",
        ) from None


def _singles(found: Sequence[Prefix]) -> tuple[Prefix, ...]:
    return tuple(Prefix.single(one.version, one.address) for one in found)
