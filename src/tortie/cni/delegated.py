"""The plugin as other plugins' IPAM: addresses for an interface that they make.

Multus' macvlan, ptp, bridge and others, whose `ipam.type` is calico-ipam, start the program of that
name with their own configuration. They get addresses of the datastore's pools; interface, routes
and traffic are theirs, and policy holds nothing of it. `tortie.ipam.loans` tells how long such an
address counts as used.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from msgspec.structs import replace

from tortie.api import IPAMBlock, Pod
from tortie.cni.addresses import Addresses, configured_routes
from tortie.cni.config import OWN_IPAM, AttachmentId
from tortie.cni.errors import INVALID_CONFIG, NOT_AS_ADDED, CniError
from tortie.cni.fitting import check_fits
from tortie.cni.records import Records
from tortie.cni.request import CniRequest
from tortie.cni.result import GATEWAYS
from tortie.cni.workload import Workload, check_name, check_pod, told_of, workload_of
from tortie.ipam.holders import CONTAINER
from tortie.ipam.loans import INTERFACE, NETWORK, PLUGIN, POD_UID, loans
from tortie.kubernetes.names import CONFIG_MIRROR
from tortie.net import Prefix, format_address, parse_address

_OLD = ("0.1.0", "0.2.0")  # one address a family


class Delegated:
    """Serves one node's calls. All raise CniError, IpamError, DatastoreError."""

    def __init__(self, node: str, addresses: Addresses, records: Records) -> None:
        self._node = node
        self._addresses = addresses
        self._records = records
        self.commands = {
            "ADD": self.add,
            "DEL": self.delete,
            "CHECK": self.check,
            "GC": self.collect,
        }

    async def add(self, request: CniRequest) -> dict[str, object]:
        """The interface's addresses as a result: those that it has, else new ones."""
        request = _as_own(request)
        await check_fits(request.config, self._node)
        routes, gateways = _routes(request), _gateways(request)
        workload = await self._workload(request)
        lease = await self._addresses.assign(request, workload, None, ())
        blocks = await self._addresses.blocks(request)
        ips = [_ip(address, blocks, gateways) for address in lease.addresses]
        return _render(ips, routes, request)

    async def delete(self, request: CniRequest) -> None:
        """Give back what the interface has; nothing is no error."""
        by = told_of(request, self._node)
        await self._addresses.release_of_earlier(_as_own(request), by)

    async def check(self, request: CniRequest) -> None:
        """Raises CniError where the addresses held are not those of `prevResult`."""
        held = await self._addresses.held(_as_own(request), None, (), told_of(request, self._node))
        if not held:
            raise CniError(NOT_AS_ADDED, f"no address is held for {request.ifname}")
        told = _told(request.config.prev_result)
        if told is not None and (missing := [one for one in map(str, held) if one not in told]):
            raise CniError(NOT_AS_ADDED, f"prevResult does not have {', '.join(missing)}")

    async def collect(self, request: CniRequest) -> None:
        """GC: give back what this node has of the network and nobody lists as valid."""
        listed = request.config.valid_attachments
        if listed is None:  # nothing is said of any
            return
        valid = frozenset(listed)
        for one in await self._attachments(request.config.name):
            if one not in valid:
                stale = replace(request, container_id=one.container_id, ifname=one.ifname)
                await self.delete(stale)

    async def _workload(self, request: CniRequest) -> Workload:
        workload = workload_of(request, self._node)
        check_name(workload)
        pod = await self._records.pod(workload)
        if pod is not None:
            check_pod(pod, workload)
        return replace(workload, noted=dict(_noted(request, pod)))

    async def _attachments(self, network: str) -> list[AttachmentId]:
        blocks = (await self._records.store.list("IPAMBlock")).resources
        found = loans(one for one in blocks if isinstance(one, IPAMBlock))
        return [
            AttachmentId(one.about.get(CONTAINER, ""), one.about.get(INTERFACE, ""))
            for one in found
            if one.about.get("node") == self._node and one.about.get(NETWORK) == network
        ]


def _as_own(request: CniRequest) -> CniRequest:
    """Who starts this program means it, whatever stands in `ipam.type`."""
    ipam = replace(request.config.ipam, type=OWN_IPAM)
    return replace(request, config=replace(request.config, ipam=ipam))


def _noted(request: CniRequest, pod: Pod | None) -> Iterator[tuple[str, str]]:
    yield PLUGIN, request.config.type or "unknown"
    yield NETWORK, request.config.name
    yield CONTAINER, request.container_id
    yield INTERFACE, request.ifname
    # A static pod's mirror may be made anew, with another UID, while the container goes on.
    if pod is not None and pod.metadata.uid and CONFIG_MIRROR not in pod.metadata.annotations:
        yield POD_UID, pod.metadata.uid


def _told(result: Mapping[str, Any] | None) -> frozenset[str] | None:
    """The addresses of a result, each as /32 or /128; None without one that tells of any."""
    ips = (result or {}).get("ips")
    if not isinstance(ips, list):
        return None
    texts = [str(one.get("address")).partition("/")[0] for one in ips if isinstance(one, dict)]
    try:
        return frozenset(str(Prefix.single(*parse_address(text))) for text in texts)
    except ValueError as problem:
        raise CniError(INVALID_CONFIG, f"prevResult.ips: {problem}") from None


def _routes(request: CniRequest) -> list[dict[str, str]]:
    """`ipam.routes`, each with its gateway where it has one. Raises CniError."""
    found = []
    for destination, one in zip(
        configured_routes(request), request.config.ipam.routes, strict=True
    ):
        gateway = _address(str(one.get("gw") or ""), "ipam.routes")
        found.append({"dst": str(destination), **({"gw": gateway} if gateway else {})})
    return found


def _gateways(request: CniRequest) -> dict[int, str]:
    """What to tell of gateways, by family. Others do without; ptp can't, and makes that address the
    node's end.
    """
    text = _address(request.config.ipam.gateway, "ipam.gateway")
    if text:
        return {parse_address(text)[0]: text}
    return dict(GATEWAYS) if request.config.type == "ptp" else {}


def _address(text: str, where: str) -> str:
    try:
        return format_address(*parse_address(text)) if text else ""
    except ValueError as problem:
        raise CniError(INVALID_CONFIG, f"{where}: {problem}") from None


def _ip(address: Prefix, blocks: Sequence[Prefix], gateways: Mapping[int, str]) -> dict[str, str]:
    """An address with its block's length, as Calico has it: the reference plugins make a route to
    what they take for the network. A fixed one has it too: they fail with none.
    """
    version = address.version
    length = next((one.length for one in blocks if one.contains(address)), address.length)
    found = {"address": f"{format_address(version, address.address)}/{length}"}
    return {**found, "gateway": gateways[version]} if version in gateways else found


def _render(
    ips: Sequence[dict[str, str]], routes: Sequence[dict[str, str]], request: CniRequest
) -> dict[str, object]:
    """A result without interfaces, in the version's form."""
    version = request.config.cni_version
    found: dict[str, object] = {"cniVersion": version, "dns": request.config.dns}
    if version in _OLD:
        for one in ips:
            family = _family(one["address"])
            own = [route for route in routes if _family(route["dst"]) == family]
            rest = {key: value for key, value in one.items() if key != "address"}
            found[f"ip{family}"] = {"ip": one["address"], **rest, "routes": own}
        return found
    if version.startswith("0."):
        ips = [{**one, "version": str(_family(one["address"]))} for one in ips]
    return {**found, "ips": ips, "routes": routes}


def _family(text: str) -> int:
    return parse_address(text.partition("/")[0])[0]
