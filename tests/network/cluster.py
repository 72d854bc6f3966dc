"""A lab with two pods on one node and one on each other, and what tests do to it."""

import asyncio
import tempfile
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import TypeVar

from tortie.api.manifests import read_manifests
from tortie.cli.commands.lab_up import bring_up
from tortie.kubernetes.names import interface_name
from tortie.lab.cluster import Lab, take_down
from tortie.lab.errors import LabError
from tortie.lab.journal import Journal
from tortie.lab.plan import Shape, plan_lab
from tortie.lab.progress import Silent
from tortie.linux.links import Links
from tortie.linux.namespaces import in_namespace, path_of
from tortie.linux.netlink.sockets import NetlinkSocket

PORT = 4000
T = TypeVar("T")
_POD = """---
apiVersion: v1
kind: Pod
metadata: {{name: {name}, namespace: default}}
spec:
  nodeName: {node}
  containers: [{{name: c, image: i, ports: [{{containerPort: 4000, protocol: UDP}}]}}]
"""
PODS = {"a": "node-1", "mate": "node-1", "near": "node-2", "far": "node-3"}


class Cluster:
    """One lab, in a directory of its own. Every method that talks to it blocks."""

    def __init__(
        self, name: str, shape: Shape, more: str = "", pods: Mapping[str, str] = PODS
    ) -> None:
        self._labs = Path(tempfile.mkdtemp(prefix="tn-"))
        self.name, self.shape = name, shape
        text = more + "".join(_POD.format(name=name, node=node) for name, node in pods.items())
        manifests = read_manifests("pods", text)
        assert not manifests.errors, manifests.errors

        async def up() -> None:
            lab = await Lab.create(name, shape, Silent(), self._labs)
            try:
                failed = [one for one in await bring_up(lab, manifests) if one.result == "failed"]
                assert not failed, failed
            finally:
                await lab.close()

        try:
            asyncio.run(up())
        except BaseException:
            self.close()
            raise

    @property
    def journal(self) -> Journal:
        return Journal(self.name, self._labs)

    def close(self) -> None:
        """Take it down, whatever state it is in."""
        if self.journal.exists:
            take_down(self.journal)
        for path in self._labs.glob(".*"):
            path.unlink()
        self._labs.rmdir()

    def run(self, work: Callable[[Lab], Awaitable[T]]) -> T:
        """Do something with the lab."""

        async def go() -> T:
            lab = await Lab.load(self.name, Silent(), self._labs)
            try:
                return await work(lab)
            except LabError as problem:
                problem.add_note(self._last_words())
                raise
            finally:
                await lab.close()

        return asyncio.run(go())

    def _last_words(self) -> str:
        """What agents logged last, and where in the kernel they are: it goes with the lab."""
        said = []
        for one in self.journal.processes():
            if one.role.startswith("agent-"):
                state = Path(f"/proc/{one.pid}/stack")
                where = state.read_text().splitlines() if state.exists() else ["ended"]
                lines = self.journal.log(one.role).read_text().splitlines()
                said += [f"{one.role}: {' '.join(where[:3])}", *lines[-8:]]
        return "\n".join(said)

    def grow(self, shape: Shape) -> None:
        """Add nodes, and return when they are ready."""

        async def up() -> None:
            lab = await Lab.create(self.name, shape, Silent(), self._labs)
            try:
                await lab.raise_fabric()
                await lab.await_agents()
                await lab.await_applied()
            finally:
                await lab.close()

        asyncio.run(up())
        self.shape = shape

    def namespace(self, party: str) -> str:
        """Of a pod, node or host."""
        plan = plan_lab(self.name, self.shape)
        stations = {one.name: one.namespace for one in (*plan.nodes, *plan.outside)}
        return stations.get(party) or self.journal.workloads()[f"default/{party}"].netns

    def address(self, pod: str, version: int) -> str:
        """The address of a pod, a node or a host outside, of one IP version."""
        plan = plan_lab(self.name, self.shape)
        for host in (*plan.nodes, *plan.outside):
            if host.name == pod:
                return host.text_of(version)
        workload = self.journal.workloads()[f"default/{pod}"]
        return next(one for one in workload.addresses if (":" in one) is (version == 6))

    def interface(self, pod: str) -> str:
        """The node's end of a pod's link."""

        return interface_name("default", pod)

    def mtu(self, party: str, interface: str) -> int:
        """An interface's MTU."""
        with in_namespace(path_of(self.namespace(party))), NetlinkSocket() as sock:
            return Links(sock).get(interface).mtu

    def widen(self, pod: str, mtu: int) -> None:
        """Let a pod send more than fits anywhere, so that a router has to say so."""
        for party, interface in ((pod, "eth0"), (PODS[pod], self.interface(pod))):
            with in_namespace(path_of(self.namespace(party))), NetlinkSocket() as sock:
                Links(sock).set_mtu(interface, mtu)
