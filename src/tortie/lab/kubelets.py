"""The running workloads made equal to the Pods, as kubelets would.

A Pod without a node gets one, as by a scheduler.
"""

import asyncio
from collections.abc import Iterable
from typing import NamedTuple, cast

from msgspec.structs import replace

from tortie.api import Pod, Resource
from tortie.datastore import Datastore, update_with
from tortie.lab import containers
from tortie.lab.at_once import all_of
from tortie.lab.journal import Journal, Workload
from tortie.lab.plan import Plan
from tortie.lab.pods import name_of, schedule
from tortie.lab.progress import Progress

_AT_ONCE = 4  # workloads that are being started


class Changes(NamedTuple):
    """What `reconcile` has done, by namespace/name."""

    started: tuple[str, ...] = ()
    stopped: tuple[str, ...] = ()


class Kubelets:
    """Those of one lab."""

    def __init__(self, plan: Plan, journal: Journal, store: Datastore, progress: Progress) -> None:
        self._plan, self._journal = plan, journal
        self._store = store
        self._progress = progress

    async def pods(self) -> dict[str, Pod]:
        """The store's pods that get a network of their own, by namespace/name."""
        listing = await self._store.list("Pod")
        found = [cast(Pod, resource) for resource in listing.resources]
        return {name_of(pod): pod for pod in found if not pod.spec.host_network}

    async def placed(self, resources: Iterable[Resource]) -> list[Resource]:
        """The resources to apply, with a node for each new Pod that names none.

        The Kubernetes API takes a Pod's node with the Pod; later only a scheduler may name it.
        """
        there, resources = await self.pods(), list(resources)
        given = [each for each in resources if isinstance(each, Pod)]
        new = {name_of(pod): pod for pod in given if name_of(pod) not in there}
        chosen = schedule([*there.values(), *new.values()], self._names())
        return [
            _on(each, chosen[name_of(each)])
            if isinstance(each, Pod) and name_of(each) in new and name_of(each) in chosen
            else each
            for each in resources
        ]

    async def reconcile(self) -> Changes:
        """Start, stop and adjust workloads. Raises LabError."""
        pods = await self._scheduled()
        running = self._journal.workloads()
        stale = [w for name, w in running.items() if _is_stale(w, pods.get(name))]
        await all_of(self._stop(workload) for workload in stale)
        kept = running.keys() - {workload.name for workload in stale}
        for name in kept:
            await asyncio.to_thread(containers.ensure_process, self._journal, running[name])
        new = [pod for name, pod in pods.items() if name not in kept]
        gate = asyncio.Semaphore(_AT_ONCE)
        await all_of(self._start(pod, gate) for pod in new)
        return Changes(tuple(map(name_of, new)), tuple(w.name for w in stale))

    async def _start(self, pod: Pod, gate: asyncio.Semaphore) -> None:
        async with gate:
            self._progress.doing(name_of(pod), f"starts on {pod.spec.node_name}")
            workload = containers.new_workload(self._plan, pod)
            done = await asyncio.to_thread(containers.start, self._plan, self._journal, workload)
            self._progress.done(name_of(pod), f"{done.node} {' '.join(done.addresses)}")

    async def _stop(self, workload: Workload) -> None:
        await asyncio.to_thread(containers.stop, self._plan, self._journal, workload)
        self._progress.done(workload.name, "stopped")

    async def _scheduled(self) -> dict[str, Pod]:
        """The pods, each with a node that the lab has."""
        pods = await self.pods()
        for pod in pods.values():
            if pod.spec.node_name:
                self._plan.node(pod.spec.node_name)
        for name, node in schedule(pods.values(), self._names()).items():
            pods[name] = await self._assign(pods[name], node)
        return pods

    async def _assign(self, pod: Pod, node: str) -> Pod:
        def assigned(current: Resource) -> Pod:
            return _on(cast(Pod, current), node)

        return cast(Pod, await update_with(self._store, pod.key, assigned))

    def _names(self) -> list[str]:
        return [node.name for node in self._plan.nodes]


def _on(pod: Pod, node: str) -> Pod:
    return replace(pod, spec=replace(pod.spec, node_name=node))


def _is_stale(workload: Workload, pod: Pod | None) -> bool:
    """Whether it was never started to the end, lost its Pod, or its Pod is on another node."""
    return not workload.addresses or pod is None or pod.spec.node_name != workload.node
