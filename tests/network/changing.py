"""What tests of a live cluster share: changes as a person makes them, and what they cost, told."""

import itertools
import json
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import pytest
from msgspec.structs import replace

from network.cluster import PORT, Cluster
from network.probe import call, token
from network.stream import STEP, Stream
from network.told import tell
from network.wire import Wire
from tortie.api import IPPool, Key
from tortie.api.manifests import read_manifests
from tortie.cli import writing
from tortie.datastore import update_with
from tortie.lab.cluster import Lab
from tortie.linux.links import Links
from tortie.linux.namespaces import in_namespace, path_of
from tortie.linux.netlink.rtnetlink import Link
from tortie.linux.netlink.sockets import NetlinkSocket
from vm.features import patience

PATIENCE = patience(60.0)  # seconds
NODES = ("node-1", "node-2", "node-3")


class Costs:
    """What changes have cost, in rows of a table."""

    def __init__(self) -> None:
        self._rows: list[tuple[str, str]] = []

    def tell(self, what: str, cost: Stream | str) -> None:
        """A row of it."""
        self._rows.append((what, cost if isinstance(cost, str) else str(cost.loss)))
        print(*self._rows[-1], sep=": ", flush=True)  # for who can't wait: pytest -s

    @contextmanager
    def printed(self, request: pytest.FixtureRequest) -> Iterator[None]:
        """Have the table printed when all has been tried."""
        yield
        width = max((len(what) for what, _ in self._rows), default=0) + 2
        head = f"What a change of a live cluster costs (a packet each {1000 * STEP:g} ms):\n"
        tell(request.config, "\n".join([head, *(f"{a:<{width}}{b}" for a, b in self._rows)]))


def until(condition: Callable[[], object], what: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, f"not in {PATIENCE:g} s: {what}"
        time.sleep(0.02)


def carried(
    cluster: Cluster, wire: Wire, target: str, version: int = 4, tries: int = 1
) -> set[str]:
    """What carries a packet from pod a to another one, now; each of so many, until one answers."""
    mark = token()
    wire.frames()
    call(cluster.namespace("a"), version, cluster.address(target, version), PORT, 200, mark, tries)
    return wire.carriers(mark)


def await_carrier(
    cluster: Cluster, wire: Wire, carrier: str, version: int, target: str = "near"
) -> None:
    """Return once packets from pod a to this one are carried so."""
    until(
        lambda: carried(cluster, wire, target, version) == {carrier}, f"{target} goes by {carrier}"
    )


def reached(cluster: Cluster, target: str, version: int) -> bool:
    address = cluster.address(target, version)
    found = call(cluster.namespace("a"), version, address, PORT, 100, token(), 1)
    return found.answered_by == f"default/{target}"


def circuit(modes: Sequence[str]) -> list[str]:
    """A walk that takes every step from one of them to another once, and ends where it began."""
    walk = []
    for number, mode in enumerate(modes):
        walk.append(mode)
        for other in modes[number + 2 :]:
            walk += [other, mode]
    walk += reversed(modes[:-1])
    assert sorted(itertools.pairwise(walk)) == sorted(itertools.permutations(modes, 2))
    return walk


async def raised(lab: Lab) -> None:
    """Bring back what was killed, and return when it is as the datastore says."""
    await lab.raise_fabric()
    await lab.await_agents()
    await lab.await_applied()


def set_mode(cluster: Cluster, version: int = 4, vxlan: str = "Never", ipip: str = "Never") -> None:
    """Change a pool's mode, as a person would."""

    async def change(lab: Lab) -> None:
        def changed(pool: object) -> IPPool:
            assert isinstance(pool, IPPool)
            return replace(pool, spec=replace(pool.spec, vxlan_mode=vxlan, ipip_mode=ipip))

        key = Key("IPPool", "", f"default-ipv{version}-ippool")
        await update_with(lab.store, key, changed)
        await lab.await_applied()

    cluster.run(change)


def felix(cluster: Cluster, **spec: object) -> None:
    """Set parameters for all nodes, as a person would."""
    words = {"apiVersion": "projectcalico.org/v3", "kind": "FelixConfiguration"}
    manifest = {**words, "metadata": {"name": "default"}, "spec": spec}

    async def change(lab: Lab) -> None:
        read = read_manifests("felix", json.dumps(manifest))
        assert not read.errors, read.errors
        await writing.apply_all(lab.store, [located.resource for located in read.resources])
        await lab.await_applied()

    cluster.run(change)


def link(cluster: Cluster, party: str, name: str) -> Link | None:
    with in_namespace(path_of(cluster.namespace(party))), NetlinkSocket() as sock:
        return Links(sock).find(name)


def devices(cluster: Cluster, name: str) -> list[Link]:
    """Those of this name on all nodes."""
    found = [link(cluster, node, name) for node in NODES]
    return [one for one in found if one is not None]
