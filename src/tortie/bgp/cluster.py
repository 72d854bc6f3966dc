"""What the BGP stream has said so far, as small values: what one node's picture is made of. Pure.

`Cluster.put` says whether this node's picture may be another one now: most of a cluster's changes
(another node's block, an endpoint elsewhere) are none of this node's business.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple, TypeVar

from tortie.api import BlockAffinity, IPPool, Key, Node, Resource, checks
from tortie.api.calico.bgp_configuration import BGPConfiguration
from tortie.api.calico.bgp_filter import BGPFilter
from tortie.api.calico.bgp_peer import BGPPeer
from tortie.api.calico.workload_endpoint import WorkloadEndpoint
from tortie.api.kube.endpoint_slice import EndpointSlice
from tortie.api.kube.service import Service
from tortie.bgp.backing import Backing, ServiceName
from tortie.bgp.known import put_in
from tortie.bgp.picture import Problem
from tortie.bgp.values import as_number, cluster_id, node_address
from tortie.net import Prefix, parse_address

EXCLUDED = "node.kubernetes.io/exclude-from-external-load-balancers"
"""A node with this label announces no service addresses."""


class Speaker(NamedTuple):
    """A node, as far as BGP is concerned. Addresses have their subnet's length."""

    name: str
    labels: Mapping[str, str]
    ipv4: Prefix | None
    ipv6: Prefix | None
    as_number: int | None
    cluster_id: int | None

    def address(self, version: int) -> Prefix | None:
        """Its main address of one IP version."""
        return self.ipv4 if version == 4 else self.ipv6


class ServiceFacts(NamedTuple):
    """A service's addresses by sort; `local`: only nodes with an endpoint take its traffic."""

    cluster: tuple[Prefix, ...]
    external: tuple[Prefix, ...]
    balancer: tuple[Prefix, ...]
    local: bool


_V = TypeVar("_V")
_R = TypeVar("_R", bound=Resource)


class Cluster:
    """The resources that BGP on `node` follows from."""

    def __init__(self, node: str) -> None:
        self.node = node
        self.speakers: dict[str, Speaker] = {}
        self.configurations: dict[str, BGPConfiguration] = {}
        self.peers: dict[str, BGPPeer] = {}
        self.filters: dict[str, BGPFilter] = {}
        self.pools: dict[str, IPPool] = {}
        self.blocks: dict[Key, Prefix] = {}
        self.services: dict[ServiceName, ServiceFacts] = {}
        self.backing = Backing(node)
        self.workloads: dict[Key, WorkloadEndpoint] = {}
        self.problems: dict[Key, tuple[Problem, ...]] = {}

    def put(self, key: Key, value: Resource | None) -> bool:
        """Take in a resource, or its end (None). Whether the picture may be another one now."""
        found: list[Problem] = []
        changed = self._put(key, value, found)
        return self._note(key, found) or changed

    def _note(self, key: Key, found: list[Problem]) -> bool:
        before = self.problems.pop(key, ())
        if found:
            self.problems[key] = tuple(found)
        return before != tuple(found)

    def _put(self, key: Key, value: Resource | None, found: list[Problem]) -> bool:
        match key.kind:
            case "Node":
                speaker = _speaker(value, found) if isinstance(value, Node) else None
                return put_in(self.speakers, key.name, speaker)
            case "BGPConfiguration":
                return put_in(self.configurations, key.name, _of(value, BGPConfiguration))
            case "BGPPeer":
                return put_in(self.peers, key.name, _of(value, BGPPeer))
            case "BGPFilter":
                return put_in(self.filters, key.name, _of(value, BGPFilter))
            case "IPPool":
                return put_in(self.pools, key.name, _of(value, IPPool))
            case _:
                return self._put_many(key, value, found)

    def _put_many(self, key: Key, value: Resource | None, found: list[Problem]) -> bool:
        """The kinds of which there are many, and of which little is kept."""
        match key.kind:
            case "BlockAffinity":
                block = self._block(value, found) if isinstance(value, BlockAffinity) else None
                return put_in(self.blocks, key, block)
            case "Service":
                facts = _service(value) if isinstance(value, Service) else None
                return put_in(self.services, (key.namespace, key.name), facts)
            case "EndpointSlice":
                return self.backing.put(key, _of(value, EndpointSlice))
            case "WorkloadEndpoint":
                return put_in(self.workloads, key, self._workload(value))
            case _:
                return False

    def _block(self, value: BlockAffinity, found: list[Problem]) -> Prefix | None:
        """A block of ours. A claim that is not confirmed yet may still be another node's."""
        spec = value.spec
        if spec.node != self.node or spec.type not in ("", "host"):
            return None
        if spec.deleted or spec.state not in ("", "confirmed"):
            return None
        try:
            return checks.cidr(spec.cidr).network
        except ValueError as problem:
            found.append(Problem(str(value.key), f"spec.cidr: {problem}"))
            return None

    def _workload(self, value: Resource | None) -> WorkloadEndpoint | None:
        found = _of(value, WorkloadEndpoint)
        return found if found is not None and found.spec.node == self.node else None

    @property
    def me(self) -> Speaker | None:
        """This node."""
        return self.speakers.get(self.node)


def _of(value: Resource | None, kind: type[_R]) -> _R | None:
    return value if isinstance(value, kind) else None


def _speaker(value: Node, found: list[Problem]) -> Speaker:
    """What can't be read of a node counts as absent."""
    bgp = value.spec.bgp
    if bgp is None:
        return Speaker(value.metadata.name, value.metadata.labels, None, None, None, None)

    def read(field: str, given: object, reader: Callable[[], _V]) -> _V | None:
        try:
            return None if given in (None, "") else reader()
        except ValueError as problem:
            text = f"spec.bgp.{field}: {problem}; it is left out"
            found.append(Problem(str(value.key), text))
            return None

    number, cluster = bgp.as_number, bgp.route_reflector_cluster_id
    return Speaker(
        value.metadata.name,
        value.metadata.labels,
        read("ipv4Address", bgp.ipv4_address, lambda: node_address(bgp.ipv4_address, 4)),
        read("ipv6Address", bgp.ipv6_address, lambda: node_address(bgp.ipv6_address, 6)),
        read("asNumber", number, lambda: as_number(number or 0)),
        read("routeReflectorClusterID", cluster, lambda: cluster_id(cluster)),
    )


def _service(value: Service) -> ServiceFacts | None:
    """None where no proxy takes its traffic, whatever other addresses it has: a name for something
    outside, or a service without an address of its own."""
    spec = value.spec
    inside = _singles(text for text in (spec.cluster_ip, *spec.cluster_ips) if text != "None")
    if spec.type == "ExternalName" or not inside:
        return None
    return ServiceFacts(
        inside,
        _singles(spec.external_ips),
        _singles(_ingress(value.status)),
        spec.external_traffic_policy == "Local",
    )


def _ingress(status: object) -> list[str]:
    """The addresses that a load balancer was given: `status.loadBalancer.ingress[].ip`."""
    balancer = status.get("loadBalancer") if isinstance(status, dict) else None
    entries = balancer.get("ingress") if isinstance(balancer, dict) else None
    given = entries if isinstance(entries, list) else []
    found = [each.get("ip") for each in given if isinstance(each, dict)]
    return [ip for ip in found if isinstance(ip, str)]


def _singles(texts: Iterable[str]) -> tuple[Prefix, ...]:
    """Addresses; others' mistakes in a Service are told by who validates Services."""
    found = set()
    for text in texts:
        if text and checks.is_address(text, 6 if ":" in text else 4):
            found.add(Prefix.single(*parse_address(text)))
    return tuple(sorted(found))
