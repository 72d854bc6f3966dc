"""How a node speaks with one peer: addresses, AS numbers, password, how far it may be. Pure."""

from collections.abc import Callable, Iterator
from typing import NamedTuple

from msgspec.structs import replace

from tortie.api import checks
from tortie.api.calico.bgp_configuration import BgpPassword
from tortie.api.calico.bgp_peer import BGPPeer, BGPPeerSpec
from tortie.api.calico.workload_endpoint import WorkloadEndpoint
from tortie.bgp.cluster import Cluster, Speaker
from tortie.bgp.configuration import BFD_ANNOTATION, DEFAULT_AS, InForce, bfd_of, listen_port
from tortie.bgp.filters import symbol_of
from tortie.bgp.passwords import MISSING, Kept, Passwords, SecretRef, Unknown
from tortie.bgp.picture import Bfd, Origin, Session
from tortie.bgp.values import PORT, as_number, machine_address, peer_address, seconds
from tortie.bgp.words import Password
from tortie.net import Prefix, format_address, parse_network

_VERSIONS = (4, 6)
_MAX_RESTART = 4095  # seconds, 12 bits in BGP's own message
_MAX_KEEPALIVE = 21845  # a third of the longest hold time
_FARTHEST = 255


class Leave(ValueError):
    """A session is left out; the message says why."""


class Common(NamedTuple):
    """What a BGPPeer says of all its sessions."""

    origin: Origin
    described: str
    password: Password | Unknown | None
    bfd: Bfd | None
    local_as: int
    remote_as: int | None  # None: the peer's own
    spec: BGPPeerSpec
    restart: int
    keepalive: int


class Sessions:
    """Makes the sessions of one node. `note` hears what is wrong without being in the way."""

    def __init__(
        self,
        cluster: Cluster,
        me: Speaker,
        current: InForce,
        secrets: Passwords,
        kept: Kept,
        note: Callable[[str, str], None],
    ) -> None:
        self._cluster, self._me, self._current, self._secrets = cluster, me, current, secrets
        self._kept = kept
        self._note = note
        self._common_as = self._cluster_as()

    def as_of(self, speaker: Speaker) -> int:
        """A node's AS number: its own, or the cluster's."""
        return speaker.as_number or self._common_as

    def _cluster_as(self) -> int:
        given = self._current.spec.as_number
        try:
            return as_number(given) if given is not None else DEFAULT_AS
        except ValueError:
            return DEFAULT_AS

    def common(self, peer: BGPPeer, local: int | str | None, remote: int | str | None) -> Common:
        """What a BGPPeer says, with these AS numbers where it gives any. Raises ValueError."""
        spec, where = peer.spec, f"BGPPeer({peer.metadata.name})"
        return Common(
            "NodePeer" if spec.node or spec.node_selector else "GlobalPeer",
            where,
            self._password(where, spec.password),
            bfd_of(peer.metadata.annotations),
            as_number(local) if local else self.as_of(self._me),
            as_number(remote) if remote else None,
            spec,
            seconds(spec.max_restart_time, 0, _MAX_RESTART) if spec.max_restart_time else 120,
            seconds(spec.keepalive_time, 1, _MAX_KEEPALIVE) if spec.keepalive_time else 0,
        )

    def mesh_common(self) -> Common:
        """What is said of the mesh. Raises ValueError."""
        spec = self._current.spec
        restart = spec.node_mesh_max_restart_time
        return Common(
            "NodeMesh",
            "mesh",
            self._password(f"{self._current.where}: the mesh", spec.node_mesh_password),
            bfd_of(self._current.annotations),
            self.as_of(self._me),
            None,
            _NOTHING_SAID,
            seconds(restart, 0, _MAX_RESTART) if restart else 120,
            0,
        )

    def _password(self, where: str, wanted: BgpPassword | None) -> Password | Unknown | None:
        """Raises Leave: a session that is to have a password never begins without one."""
        if wanted is None or wanted.secret_key_ref is None:
            return None
        selector = wanted.secret_key_ref
        ref = SecretRef(selector.name, selector.key)
        found = self._secrets.get(ref, Unknown("it was not read yet"))
        if isinstance(found, Password):
            return found
        if selector.optional and found == MISSING:
            return None
        text = f"password: Secret {selector.name!r}, key {selector.key!r}: {found}"
        if isinstance(found, Unknown):
            self._note(where, f"{text}; sessions that BIRD has stay as they are, none begins")
            return found
        raise Leave(text)

    def to_address(self, common: Common) -> Iterator[Session]:
        """With the peer of `peerIP`. Raises ValueError."""
        version, address, port = peer_address(common.spec.peer_ip)
        other = self._speaker_at(version, address)
        if other is self._me:
            raise Leave(f"spec.peerIP: {common.spec.peer_ip} is this node itself")
        if common.remote_as is None and other is None:
            raise Leave("spec.asNumber is missing")
        default = listen_port(self._cluster.configurations, other.name) if other else PORT
        # The name tells of a port only where the resource does, as in Calico.
        yield from self._session(common, version, address, port or default, other, bool(port))

    def _speaker_at(self, version: int, address: int) -> Speaker | None:
        for speaker in self._cluster.speakers.values():
            own = speaker.address(version)
            if own is not None and own.address == address:
                return speaker
        return None

    def to_node(self, common: Common, other: Speaker) -> Iterator[Session]:
        """With another node, in each IP version that both have. What is in the way of one is
        noted, and the others go on."""
        port = listen_port(self._cluster.configurations, other.name)
        for version in _VERSIONS:
            own, theirs = self._me.address(version), other.address(version)
            if own is None or theirs is None or own.address == theirs.address:
                continue
            try:
                for made in self._session(common, version, theirs.address, port, other):
                    yield replace(made, passive=_waits(own, theirs))
            except ValueError as problem:
                self._note(common.described, str(problem))

    def to_workload(
        self, common: Common, workload: WorkloadEndpoint, address: Prefix
    ) -> Iterator[Session]:
        """With a workload at one of its addresses; none where this node lacks the IP version."""
        if self._me.address(address.version) is None:
            return
        machine_address(address.version, address.address)
        spec, key = self._current.spec, workload.key
        texts = {4: spec.local_workload_peering_ipv4, 6: spec.local_workload_peering_ipv6}
        described = f"{common.described} with {key.namespace}/{key.name}"
        for made in self._session(common, address.version, address.address, PORT, None):
            closed = replace(made, described=described, closed=True)
            if text := texts[address.version]:
                called, interface = parse_network(text), workload.spec.interface_name
                source = machine_address(called.version, called.address)
                closed = replace(closed, source=source, interface=interface)
            yield closed

    def _session(
        self,
        common: Common,
        version: int,
        address: int,
        port: int,
        other: Speaker | None,
        shows_port: bool = False,
    ) -> Iterator[Session]:
        """None while it can't be known with which password it is to begin. Raises ValueError."""
        symbol = symbol_for(common.origin, version, address, port if shows_port else None)
        password = common.password
        if isinstance(password, Unknown):
            if symbol not in self._kept:
                return
            password = self._kept[symbol]
        own = self._me.address(version)
        if own is None:
            raise Leave(f"this node has no IPv{version} address to speak from")
        spec = common.spec
        remote_as = common.remote_as or (self.as_of(other) if other else 0)
        hops, ttl = self._hops(common, own, Prefix.single(version, address))
        source = self._source(common, own)
        bfd = common.bfd
        if bfd is not None and hops and source is None:
            self._note(common.described, f"{BFD_ANNOTATION}: needs sourceAddress UseNodeIP here")
            bfd = None
        yield Session(
            symbol=symbol,
            described=common.described,
            origin=common.origin,
            version=version,
            source=source,
            local_as=common.local_as,
            peer=address,
            port=port,
            peer_as=remote_as,
            node=other.name if other else "",
            password=password,
            hops=hops,
            ttl=ttl,
            next_hop="Keep" if spec.keep_original_next_hop else spec.next_hop_mode or "Auto",
            restart_seconds=common.restart,
            keepalive_seconds=common.keepalive,
            allowed_local_as=_allowed_local_as(spec),
            cluster_id=self._reflecting(common.local_as == remote_as, other),
            filters=tuple(dict.fromkeys(symbol_of(name) for name in spec.filters)),
            gateway=_gateway(spec, version),
            bfd=bfd,
        )

    def _source(self, common: Common, own: Prefix) -> int | None:
        """None: the kernel's choice. BIRD can't listen at one address and at all of them."""
        if common.spec.source_address != "None":
            return own.address
        if self._current.spec.bind_mode != "NodeIP":
            return None
        text = "spec.sourceAddress None has no effect while bindMode is NodeIP: it is the node's"
        self._note(common.described, text)
        return own.address

    def _hops(self, common: Common, own: Prefix, peer: Prefix) -> tuple[int, bool]:
        """How far the peer may be, and whether that is enforced.

        BFD has another form for a neighbour on the same link, which is what routers there speak.
        """
        limit = common.spec.ttl_security
        if limit is not None:
            if not 0 <= limit <= _FARTHEST:
                raise Leave(f"spec.ttlSecurity: {limit} is not from 0 to 255")
            return max(1, limit), True
        near = own.network.contains(peer)
        return (0 if near and common.bfd else _FARTHEST), False

    def _reflecting(self, internal: bool, other: Speaker | None) -> int | None:
        """Our cluster id where the peer is our client: of our AS, and no reflector beside us."""
        mine = self._me.cluster_id
        if mine is None or not internal or (other is not None and other.cluster_id == mine):
            return None
        return mine


_NOTHING_SAID = BGPPeerSpec()


def _waits(own: Prefix, theirs: Prefix) -> bool:
    """Between nodes, one calls and the other waits: Calico's rule, by the addresses' text."""
    mine = format_address(own.version, own.address)
    return format_address(theirs.version, theirs.address) > mine


def symbol_for(origin: Origin, version: int, address: int, port: int | None) -> str:
    """Calico's names, which its users know from `birdcl`: Mesh_10_0_0_2, Global_fd00__1."""
    kind = {"NodeMesh": "Mesh", "NodePeer": "Node", "GlobalPeer": "Global"}[origin]
    text = format_address(version, address).replace(".", "_").replace(":", "_")
    return f"{kind}_{text}" + (f"_port_{port}" if port is not None else "")


def _allowed_local_as(spec: BGPPeerSpec) -> int | None:
    found = spec.num_allowed_local_as_numbers
    if found is not None and not 0 <= found <= 255:
        raise Leave(f"spec.numAllowedLocalASNumbers: {found} is not from 0 to 255")
    return found


def _gateway(spec: BGPPeerSpec, version: int) -> int | None:
    if not spec.reachable_by:
        return None
    found, address = checks.address(spec.reachable_by)
    if found != version:
        raise Leave("spec.reachableBy must be of the same IP version as peerIP")
    return machine_address(version, address)
