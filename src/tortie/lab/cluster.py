"""A lab as one thing: brought up, kept equal to its Pods, probed, taken down.

The datastore is the truth, as in a cluster: nodes, agents and workloads follow from it.
"""

import asyncio
from collections.abc import Iterable
from pathlib import Path

from tortie.api import Pod, Resource
from tortie.cni.install import install_plugin
from tortie.datastore import Datastore, open_datastore
from tortie.datastore.configuration import Fields, settings_of
from tortie.datastore.settings import KubernetesSettings
from tortie.lab import containers, defaults, fabric, nodes, probing
from tortie.lab.at_once import all_of
from tortie.lab.errors import LabError
from tortie.lab.journal import LABS, Journal
from tortie.lab.kubelets import Changes, Kubelets
from tortie.lab.matrix import Matrix, Party
from tortie.lab.milestones import last_told
from tortie.lab.plan import Plan, Shape, Station, plan_lab, shape_of
from tortie.lab.pods import parties
from tortie.lab.processes import end, kill
from tortie.lab.progress import Progress
from tortie.lab.requirements import check_kernel
from tortie.lab.served import ensure_relay, keep, servers_of, store_of
from tortie.lab.tor import await_routes, ensure_router_bgp
from tortie.net import parse_prefix

APPLY_TIMEOUT = nodes.START_TIMEOUT


class Lab:
    """One lab. `progress` is told what comes up, as it does."""

    def __init__(self, plan: Plan, journal: Journal, store: Datastore, progress: Progress) -> None:
        self.plan = plan
        self.journal = journal
        self.store = store
        self._progress = progress
        self._kubelets = Kubelets(plan, journal, store, progress)

    @classmethod
    async def create(
        cls,
        name: str,
        shape: Shape | int,
        progress: Progress,
        labs: Path = LABS,
        served: Fields | None = None,
    ) -> "Lab":
        """A lab that is to be brought up (or completed), with its datastore.

        `served`: not one of its own. Raises LabError where the lab is on another, and where the
        kernel lacks what a lab needs: then nothing is made.
        """
        journal = Journal(name, labs)
        shape = shape_of(shape) if isinstance(shape, int) else shape
        await asyncio.to_thread(check_kernel, shape.encap)
        if served is not None:
            servers_of(settings_of(served))  # before anything is made
        plan = plan_lab(name, journal.create(shape))
        if served is not None:
            keep(journal, served)
        return cls(plan, journal, await open_datastore(store_of(journal)), progress)

    @classmethod
    async def load(cls, name: str, progress: Progress, labs: Path = LABS) -> "Lab":
        """A lab that is up. Raises LabError where there is none of that name."""
        journal = Journal(name, labs)
        plan = plan_lab(name, journal.shape())
        return cls(plan, journal, await open_datastore(store_of(journal)), progress)

    async def close(self) -> None:
        """Let go of the datastore; the lab stays up."""
        await self.store.close()

    async def raise_fabric(self) -> None:
        """Network, outside hosts and agents, as far as they are missing."""
        if isinstance(store_of(self.journal), KubernetesSettings):
            await defaults.ensure_machines(self.store, self.plan)
        await asyncio.to_thread(fabric.ensure_router, self.plan, self.journal)
        install_plugin(self.journal.plugins)
        for node in self.plan.nodes:
            self._progress.doing(node.name, "network")
            await asyncio.to_thread(fabric.ensure_node, self.plan, node, self.journal)
        environment = nodes.pythons_environment()
        await asyncio.to_thread(ensure_relay, self.plan, self.journal, environment)
        for node in self.plan.nodes:
            self._progress.doing(node.name, "agent starts")
            await asyncio.to_thread(nodes.ensure_agent, self.journal, node, self.plan.shape)
            await asyncio.to_thread(nodes.ensure_bgp, self.journal, node, self.plan.shape)
        await ensure_router_bgp(self.plan, self.journal)
        for host in self.plan.outside:
            await asyncio.to_thread(fabric.ensure_outside, self.plan, host, self.journal)
            await asyncio.to_thread(containers.ensure_host_process, self.journal, host)

    async def ensure_defaults(self) -> None:
        """What any cluster has."""
        await defaults.ensure_defaults(self.store, self.plan)

    async def placed(self, resources: Iterable[Resource]) -> list[Resource]:
        """The resources to apply, with a node for each new Pod that names none."""
        return await self._kubelets.placed(resources)

    async def await_agents(self) -> None:
        """Return once every agent is ready. Raises LabError."""

        async def ready(node: Station) -> None:
            await nodes.await_ready(self.journal, node)
            self._progress.done(node.name, "ready")

        await all_of(ready(node) for node in self.plan.nodes)

    async def await_revision(self, revision: int, patience: float = APPLY_TIMEOUT) -> None:
        """Return once this revision of the datastore is in every node's kernel."""
        await all_of(
            nodes.await_revision(self.journal, node, revision, patience) for node in self.plan.nodes
        )

    async def await_applied(self) -> None:
        """Return once all that is in the datastore now is in every node's kernel."""
        await self.await_revision(await last_told(self.store))

    async def statuses(self) -> list[nodes.NodeStatus]:
        """What each node's agent says."""
        return list(
            await asyncio.gather(*(nodes.status_of(self.journal, node) for node in self.plan.nodes))
        )

    async def pods(self) -> dict[str, Pod]:
        """The store's pods that get a network of their own, by namespace/name."""
        return await self._kubelets.pods()

    async def reconcile(self) -> Changes:
        """Start, stop and adjust workloads, so that they are as the Pods say. Raises LabError."""
        changes = await self._kubelets.reconcile()
        running = self.journal.workloads()
        texts = [address for workload in running.values() for address in workload.addresses]
        await await_routes(self.plan, [parse_prefix(text) for text in texts])
        await self._listen()
        return changes

    async def parties(self, version: int = 0) -> list[Party]:
        """Everybody who takes part in probes, in the order of names; outside hosts come last.

        Called by their addresses of this IP version; 0: by the lab's first.
        """
        version = version or self.plan.shape.families.versions[0]
        running = self.journal.workloads()
        pods = [pod for name, pod in (await self.pods()).items() if name in running]
        hosts = {host.name: host.text_of(version) for host in self.plan.outside}
        return parties(pods, {name: text for name, text in hosts.items() if text}, version)

    async def probe(self, patience: float = probing.PROBE_TIMEOUT, version: int = 0) -> Matrix:
        """Who reaches whom, now."""
        return await probing.probe(await self.parties(version), self._controls(), patience)

    async def set_link(self, node: str, *, up: bool) -> None:
        """Cut a node's cable at the router's end, or mend it. Raises LabError."""
        port = fabric.port_of(self.plan.node(node))
        await asyncio.to_thread(fabric.set_port, self.plan, port, up=up)

    async def kill(self, node: str) -> None:
        """End a node as a power cut would: its agent, and its cable. Raises LabError.

        `raise_fabric` brings it back.
        """
        await self.set_link(node, up=False)
        process = self.journal.process(nodes.role(self.plan.node(node)))
        if process is not None:
            await asyncio.to_thread(kill, [process])

    def namespace_of(self, name: str) -> str:
        """The network namespace of a workload (namespace/pod or pod), node, host or the router.

        Raises LabError with the names that there are.
        """
        stations = (*self.plan.nodes, *self.plan.outside)
        known = {station.name: station.namespace for station in stations}
        known["router"] = self.plan.router
        known.update({w.name: w.netns for w in self.journal.workloads().values()})
        fitting = [full for full in known if name in (full, full.rpartition("/")[2])]
        if len(fitting) != 1:
            what = f"{name!r} is {' or '.join(fitting)}" if fitting else f"there is no {name!r}"
            raise LabError(f"lab {self.plan.name!r}: {what}; it has {', '.join(known)}")
        return known[fitting[0]]

    def _controls(self) -> dict[str, Path]:
        running = self.journal.workloads()
        return {
            **{w.name: self.journal.control_socket(w.short_id) for w in running.values()},
            **{host.name: self.journal.control_socket(host.name) for host in self.plan.outside},
        }

    async def _listen(self) -> None:
        controls = self._controls()
        await all_of(probing.listen(controls[party.name], party) for party in await self.parties())


def take_down(journal: Journal) -> None:
    """End every process and remove every namespace that the journal lists, then the journal."""
    end(journal.processes())
    end(journal.left_processes())
    left = [path.parent for path in journal.path.glob("nodes/*/bgp/bird/*.ctl")]
    if left:
        asyncio.run(_end_birds(left))
    for name in journal.namespaces():
        fabric.remove_namespace(name, journal)
    journal.destroy()


async def _end_birds(folders: Iterable[Path]) -> None:
    """What a killed `tortie bgp` has left running."""
    from tortie.bgp.running import end_left

    for folder in folders:
        await end_left(str(folder))
