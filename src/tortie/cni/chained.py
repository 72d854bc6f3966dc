"""Policy alone, over an interface that another plugin made: our plugin last in a chain of others.

`"policy_only": true` in the plugin's configuration. ADD finds the interface, gives the node's end
the name by which the agent knows a pod's, records the container, and returns once its policy is in
the kernel; addresses and routes are the other plugin's. DEL withdraws the record alone, since the
plugin that made the interface removes it. Clouds whose plugins name interfaces so by themselves
(eni…, azv…, gke…) need none of this.
"""

import asyncio
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import structlog
from msgspec.structs import replace

from tortie.cni import adopting
from tortie.cni.attachment import AgentView
from tortie.cni.errors import INVALID_CONFIG, NOT_AS_ADDED, CniError
from tortie.cni.fitting import check_fits
from tortie.cni.gates import check_gates
from tortie.cni.locks import NamedLocks
from tortie.cni.profiles import ensure_profile
from tortie.cni.records import Record, Records
from tortie.cni.request import CniRequest
from tortie.cni.workload import Workload, check_name, check_pod, workload_of
from tortie.kubernetes.names import INTERFACE_PREFIX

_CHECK_LIMIT = 5.0  # seconds
_THREADS = 2

T = TypeVar("T")
_log = structlog.get_logger(__name__)


class Chained:
    """Takes containers of one node under policy. `prefix` is what its interfaces' names begin
    with."""

    def __init__(
        self, node: str, agent: AgentView, records: Records, prefix: str = INTERFACE_PREFIX
    ) -> None:
        self.node = node
        self.records = records
        self._prefix = prefix
        self._agent = agent
        self._locks = NamedLocks()
        self._kernel = ThreadPoolExecutor(_THREADS, thread_name_prefix="cni-chained")

    async def add(self, request: CniRequest) -> dict[str, Any]:
        """The result of the plugins before, with the interface's name in it.

        Raises CniError, NotReady or DatastoreError, and then has recorded nothing.
        """
        await check_fits(request.config, self.node)
        previous = _previous(request)
        workload = workload_of(request, self.node, self._prefix)
        check_name(workload)
        await check_gates(request.config.readiness_gates)
        async with self._locks.hold(workload.interface):
            record = await self.records.find(workload)
            if record.pod is not None:
                check_pod(record.pod, workload)
            try:
                return await self._take(request, workload, record, previous)
            except BaseException as problem:
                await self._roll_back(workload, problem)
                raise

    async def _take(
        self,
        request: CniRequest,
        workload: Workload,
        record: Record,
        previous: Mapping[str, Any],
    ) -> dict[str, Any]:
        found = await self._run(adopting.find, request.netns, request.ifname)
        if record.container_id not in ("", request.container_id):
            # Else this one's interface, once it has its name, would be under the earlier's policy.
            await self.records.clear(replace(workload, container_id=record.container_id))
        await self._run(adopting.rename, found.host, workload.interface)
        await ensure_profile(self.records.store, request, workload)
        texts = tuple(map(str, found.addresses))
        revision = await self.records.write(workload, record, request.config.name, texts, found.mac)
        await self._agent.wait_ready(workload.endpoint, revision, request.config.add_limit)
        return renamed(previous, found.host, workload.interface)

    async def delete(self, request: CniRequest) -> None:
        """Withdraw the record; who is not recorded is no error."""
        workload = workload_of(request, self.node, self._prefix)
        async with self._locks.hold(workload.interface):
            await self.records.clear(workload)

    async def check(self, request: CniRequest) -> None:
        """Raises CniError or NotReady where it is not as ADD left it."""
        workload = workload_of(request, self.node, self._prefix)
        async with self._locks.hold(workload.interface):
            record = await self.records.find(workload)
            found = []
            if record.container_id != request.container_id:
                other = record.container_id or "no container"
                found = [f"the datastore has {other} attached in its place"]
            found = found or await self._run(
                adopting.faults, request.netns, request.ifname, workload.interface
            )
            if found:
                raise CniError(NOT_AS_ADDED, "; ".join(found))
            await self._agent.wait_ready(workload.endpoint, 0, _CHECK_LIMIT)

    async def is_of_network(self, request: CniRequest) -> bool:
        """For GC: where no network is recorded nobody can tell, since IPAM is not asked."""
        del request
        return False

    async def _roll_back(self, workload: Workload, cause: BaseException) -> None:
        try:
            await self.records.clear(workload)
        except Exception as problem:
            _log.warning("a failed ADD is not wholly taken back", reason=str(problem))
            cause.add_note(f"and it could not be taken back: {problem}")

    async def _run(self, work: Callable[..., T], *arguments: object) -> T:
        """Do blocking kernel work in a thread of our own: it enters namespaces."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._kernel, work, *arguments)


def renamed(previous: Mapping[str, Any], before: str, name: str) -> dict[str, Any]:
    """A result in which the node's interface has its name of now. Pure."""
    interfaces = previous.get("interfaces")
    if not isinstance(interfaces, list):
        return dict(previous)
    return {
        **previous,
        "interfaces": [
            {**one, "name": name}
            if isinstance(one, dict) and one.get("name") == before and not one.get("sandbox")
            else one
            for one in interfaces
        ],
    }


def _previous(request: CniRequest) -> Mapping[str, Any]:
    if request.config.prev_result is None:
        raise CniError(
            INVALID_CONFIG,
            "policy_only: no plugin stands before this one: put the one that makes interfaces"
            " first in the list, or leave policy_only out",
        )
    return request.config.prev_result
