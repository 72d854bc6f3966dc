"""Whom a node speaks BGP with: BGPPeers, their reverse, and the mesh. Pure; how is `sessions`.

- A BGPPeer is for one node, for nodes by label, or for all; its peers are an address, nodes by
  label, or local workloads by label. The nodes of `peerSelector` get the session back by
  themselves, unless `reversePeering` is Manual.
- The mesh joins all nodes that are no route reflectors, each IP version apart.
- One session to an address and port: a BGPPeer for some nodes wins over one for all, both over the
  reverse, all over the mesh; among equals the first name.
"""

from collections.abc import Callable, Iterator

from msgspec.structs import replace

from tortie.api import checks
from tortie.api.calico.bgp_peer import BGPPeer
from tortie.bgp.cluster import Cluster, Speaker
from tortie.bgp.configuration import InForce
from tortie.bgp.passwords import Kept, Passwords, is_for
from tortie.bgp.picture import Problem, Session
from tortie.bgp.sessions import Common, Leave, Sessions, symbol_for
from tortie.bgp.twins import twins
from tortie.net import format_address
from tortie.selectors import SelectorError, parse

_SOME, _EVERY, _REVERSE, _MESH = range(4)  # ranks: which BGPPeer wins over which


class Peering:
    """All sessions of a cluster's node."""

    def __init__(
        self, cluster: Cluster, me: Speaker, current: InForce, secrets: Passwords, kept: Kept
    ) -> None:
        self._cluster = cluster
        self._me = me
        self._current = current
        self.problems = twins(cluster.speakers.values(), me)
        self._make = Sessions(cluster, me, current, secrets, kept, self._note)

    def sessions(self) -> tuple[Session, ...]:
        """One for each peer's address and port, by name."""
        found: dict[tuple[int, int, int], tuple[int, Session]] = {}
        symbols: set[str] = set()
        for rank, session in self._all():
            key = (session.version, session.peer, session.port)
            if key in found:
                self._note_rival(rank, session, *found[key])
                continue
            if session.symbol in symbols:  # another port of the same peer
                named = symbol_for(session.origin, session.version, session.peer, session.port)
                session = replace(session, symbol=named)
            found[key] = rank, session
            symbols.add(session.symbol)
        return tuple(sorted((one for _, one in found.values()), key=lambda one: one.symbol))

    def _note_rival(self, rank: int, lost: Session, other: int, won: Session) -> None:
        """Who comes first by rank is a rule to build on; among equals it is chance of names."""
        alike = replace(lost, described=won.described, symbol=won.symbol) == won
        if rank == other and rank != _MESH and not alike:
            peer = format_address(lost.version, lost.peer)
            self._note(
                lost.described,
                f"{won.described} has a session with {peer} too, with other settings: that one"
                " counts, the first by name",
            )

    def as_of(self, speaker: Speaker) -> int:
        """A node's AS number: its own, or the cluster's."""
        return self._make.as_of(speaker)

    def _all(self) -> Iterator[tuple[int, Session]]:
        """All that are wanted, with the rank of what wants them, the first first."""
        peers = [self._cluster.peers[name] for name in sorted(self._cluster.peers)]
        for peer in peers:
            if peer.spec.node or peer.spec.node_selector:
                yield from ((_SOME, one) for one in self._told(peer, self._forward))
        for peer in peers:
            if not (peer.spec.node or peer.spec.node_selector):
                yield from ((_EVERY, one) for one in self._told(peer, self._forward))
        for peer in peers:
            if peer.spec.peer_selector and peer.spec.reverse_peering != "Manual":
                yield from ((_REVERSE, one) for one in self._told(peer, self._reverse))
        yield from ((_MESH, one) for one in self._mesh())

    def _told(
        self, peer: BGPPeer, make: Callable[[BGPPeer], Iterator[Session]]
    ) -> Iterator[Session]:
        try:
            yield from make(peer)
        except (ValueError, SelectorError) as problem:
            self._note(f"BGPPeer({peer.metadata.name})", str(problem))

    def _note(self, where: str, message: str) -> None:
        problem = Problem(where, message)
        if problem not in self.problems:
            self.problems.append(problem)

    def _forward(self, peer: BGPPeer) -> Iterator[Session]:
        spec = peer.spec
        if not is_for(spec, self._me):
            return
        common = self._make.common(peer, spec.local_as_number, spec.as_number)
        if spec.peer_ip:
            yield from self._make.to_address(common)
        elif spec.peer_selector:
            for other in self._others():
                if parse(spec.peer_selector).matches(other.labels):
                    yield from self._make.to_node(common, other)
        elif spec.local_workload_selector:
            yield from self._to_workloads(common)
        else:
            raise Leave("has none of peerIP, peerSelector and localWorkloadSelector")

    def _reverse(self, peer: BGPPeer) -> Iterator[Session]:
        """We are one of the peers: speak with those whose peer we are."""
        if not parse(peer.spec.peer_selector).matches(self._me.labels):
            return
        common = self._make.common(peer, None, peer.spec.local_as_number)
        for other in self._others():
            if is_for(peer.spec, other):
                yield from self._make.to_node(common, other)

    def _others(self) -> Iterator[Speaker]:
        for name in sorted(self._cluster.speakers):
            if name != self._me.name:
                yield self._cluster.speakers[name]

    def _to_workloads(self, common: Common) -> Iterator[Session]:
        """What a workload tells is taken, and what it is told goes out, only by the filters."""
        if common.remote_as is None:
            raise Leave("asNumber is required when localWorkloadSelector is set")
        selector = parse(common.spec.local_workload_selector)
        for key in sorted(self._cluster.workloads):
            workload = self._cluster.workloads[key]
            if not selector.matches(workload.metadata.labels):
                continue
            try:
                for text in workload.spec.ip_networks:
                    yield from self._make.to_workload(common, workload, checks.single(text))
            except ValueError as problem:
                self._note(f"{common.described} with {key.namespace}/{key.name}", str(problem))

    def _mesh(self) -> Iterator[Session]:
        spec = self._current.spec
        if spec.node_to_node_mesh_enabled is False or self._me.cluster_id is not None:
            return
        try:
            common = self._make.mesh_common()
        except ValueError as problem:
            self._note(self._current.where, f"the mesh between nodes: {problem}")
            return
        for other in self._others():
            if other.cluster_id is None:
                described = common._replace(described=f"mesh with {other.name}")
                yield from self._make.to_node(described, other)
