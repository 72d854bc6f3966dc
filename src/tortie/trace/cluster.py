"""A cluster as one policy program in which every endpoint of every node has its say."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import NamedTuple

from msgspec import Struct
from msgspec.structs import replace

from tortie.api import IPPool, IPPoolSpec, Key, Node, Resource, WorkloadEndpoint
from tortie.api.calico.felix_configuration import FelixConfiguration
from tortie.api.calico.host_endpoint import HostEndpoint
from tortie.api.kube.endpoint_slice import EndpointConditions, EndpointSlice
from tortie.api.kube.service import Service
from tortie.engine import Engine, NodeState
from tortie.engine.configuration import from_resources, resolve
from tortie.kubernetes import conversion, converted_key
from tortie.kubernetes.names import ENDPOINT
from tortie.net import Prefix, parse_address, parse_prefix
from tortie.policy import Program, ToHost
from tortie.policy.program import EndpointId, Failsafes
from tortie.policy.program import HostEndpoint as ProgrammedHost

_EVERYWHERE = "everywhere"  # the one node of the program; real nodes' names are kept beside it


class Workload(NamedTuple):
    """An endpoint as people know it: `name` is "namespace/pod", and "namespace/pod/net1" where it
    is a further interface; `labels` are its own.
    """

    name: str
    endpoint: EndpointId
    node: str
    addresses: tuple[Prefix, ...]
    labels: Mapping[str, str]


class Backend(NamedTuple):
    """Where a service's port leads: `port` is the service's, `target` the endpoint's."""

    port: int
    name: str
    protocol: str
    version: int
    address: int
    target: int


class Host(NamedTuple):
    """A node: its addresses, the main ones first, and their subnets."""

    addresses: tuple[Prefix, ...] = ()
    subnets: tuple[Prefix, ...] = ()


class Pool(NamedTuple):
    """Addresses of workloads, and by which device nodes reach them: "" for none."""

    cidr: Prefix
    device: str
    only_across_subnets: bool


class Cluster(Struct, frozen=True):
    """All that a question can be about. `services` are by "namespace/name".

    `programs` differ by node in host endpoints and what FelixConfigurations say; "" has neither.
    """

    programs: Mapping[str, Program]
    workloads: Mapping[str, Workload]
    hosts: Mapping[str, Host]
    pools: tuple[Pool, ...]
    services: Mapping[str, tuple[Backend, ...]]
    warnings: tuple[str, ...]
    service_addresses: Mapping[Prefix, str] = {}

    @property
    def has_host_endpoints(self) -> bool:
        """Whether the way between two nodes counts."""
        return any(program.host_endpoints for program in self.programs.values())

    @property
    def program(self) -> Program:
        """What all nodes have in common."""
        return self.programs[""]

    def program_of(self, node: str) -> Program:
        """What a node enforces."""
        return self.programs.get(node, self.program)

    def workload_at(self, address: Prefix) -> Workload | None:
        """The workload that has an address."""
        found = (each for each in self.workloads.values() if address in each.addresses)
        return next(found, None)

    def in_words(self, text: str, endpoints: Iterable[EndpointId]) -> str:
        """A text that speaks of endpoints, with the names that people know them by."""
        names = {each.endpoint: each.name for each in self.workloads.values()}
        for endpoint in endpoints:
            text = text.replace(str(endpoint), names.get(endpoint, str(endpoint)))
        return text

    def host_at(self, address: Prefix) -> str:
        """The node that has an address, "" for none."""
        return next((name for name, own in self.hosts.items() if address in own.addresses), "")


def cluster_of(resources: Iterable[Resource]) -> Cluster:
    """The cluster that these resources make. What can't be used is named in its `warnings`."""
    resources = list(resources)
    values, warnings = _converted(resources)
    engine, state = Engine(_EVERYWHERE), NodeState()
    state.fold(engine.apply([(key, _here(value)) for key, value in values.items()]))
    endpoints = [each for each in values.values() if isinstance(each, WorkloadEndpoint)]
    return Cluster(
        programs=_programs(values.values(), state.program(engine.titles())),
        workloads={each.name: each for each in _workloads(endpoints, state)},
        hosts={n.metadata.name: _host(n) for n in values.values() if isinstance(n, Node)},
        pools=tuple(_pools(values.values())),
        services=_services(values.values()),
        warnings=(*warnings, *engine.warnings()),
        service_addresses=dict(_service_addresses(values.values())),
    )


def _converted(resources: Iterable[Resource]) -> tuple[dict[Key, Resource], list[str]]:
    """What the engine works with. What stands for itself wins over what something stands for."""
    values: dict[Key, Resource] = {}
    warnings: list[str] = []
    for resource in sorted(resources, key=_stands_for_itself):
        found = conversion(resource)
        warnings += found.warnings
        for value in found.values:
            values[converted_key(resource.key) or value.key] = value
    return values, warnings


def _stands_for_itself(resource: Resource) -> bool:
    return converted_key(resource.key) == resource.key


def _here(value: Resource) -> Resource:
    """An endpoint of any node as one of the program's only node."""
    if isinstance(value, WorkloadEndpoint | HostEndpoint):
        return replace(value, spec=replace(value.spec, node=_EVERYWHERE))
    return value


def _workloads(endpoints: Iterable[WorkloadEndpoint], state: NodeState) -> Iterator[Workload]:
    for value in endpoints:
        name = EndpointId(*value.key)
        programmed = state.endpoints.get(name)
        short = value.spec.pod or value.spec.workload or value.spec.container_id
        further = f"/{value.spec.endpoint}" if _is_further(value) else ""
        shown = f"{value.metadata.namespace}/{short or value.metadata.name}{further}"
        addresses = programmed.addresses if programmed else ()
        yield Workload(shown, name, value.spec.node, addresses, value.metadata.labels)


def _is_further(endpoint: WorkloadEndpoint) -> bool:
    return bool(endpoint.spec.pod) and endpoint.spec.endpoint not in ("", ENDPOINT)


def _programs(values: Collection[Resource], program: Program) -> dict[str, Program]:
    """The program of each node with host endpoints or settings, and (for "") of one without."""
    of_node: defaultdict[str, dict[EndpointId, ProgrammedHost]] = defaultdict(dict)
    for value in values:
        if isinstance(value, HostEndpoint):
            name = EndpointId(*value.key)
            if name in program.host_endpoints:
                of_node[value.spec.node][name] = program.host_endpoints[name]
    of_node[""] = {}
    configurations = [each for each in values if isinstance(each, FelixConfiguration)]
    labels = {n.metadata.name: n.metadata.labels for n in values if isinstance(n, Node)}
    if configurations:
        of_node.update({node: of_node[node] for node in labels})
    programs = {}
    for node, found in of_node.items():
        config = resolve(from_resources(configurations, node, labels.get(node, {}))).configuration
        programs[node] = replace(
            program,
            host_endpoints=found,
            failsafes=Failsafes(
                config.failsafe_inbound_host_ports, config.failsafe_outbound_host_ports
            ),
            to_host=ToHost(config.default_endpoint_to_host_action.upper()),
        )
    return programs


def _host(node: Node) -> Host:
    bgp = node.spec.bgp
    main = list(_prefixes([bgp.ipv4_address, bgp.ipv6_address] if bgp else []))
    listed = list(_prefixes(each.address for each in node.spec.addresses))
    singles = [Prefix.single(each.version, each.address) for each in (*main, *listed)]
    return Host(tuple(dict.fromkeys(singles)), tuple(each.network for each in main))


def _prefixes(texts: Iterable[str]) -> Iterator[Prefix]:
    for text in texts:
        try:
            yield parse_prefix(text)
        except ValueError:
            continue  # a name, nothing, or what the engine has a warning for


def _pools(values: Iterable[Resource]) -> Iterator[Pool]:
    for value in values:
        if isinstance(value, IPPool):
            for cidr in _prefixes([value.spec.cidr]):
                yield _pool(cidr, value.spec)


def _pool(cidr: Prefix, spec: IPPoolSpec) -> Pool:
    for mode, device in ((spec.vxlan_mode, "vxlan.calico"), (spec.ipip_mode, "tunl0")):
        if mode in ("Always", "CrossSubnet"):
            return Pool(cidr, device, mode == "CrossSubnet")
    return Pool(cidr, "", False)


def _services(values: Iterable[Resource]) -> dict[str, tuple[Backend, ...]]:
    slices: defaultdict[str, list[EndpointSlice]] = defaultdict(list)
    services: list[Service] = []
    for value in values:
        if isinstance(value, EndpointSlice) and value.address_type != "FQDN":
            slices[f"{value.metadata.namespace}/{value.service}"].append(value)
        elif isinstance(value, Service):
            services.append(value)
    found = {}
    for service in services:
        name = f"{service.metadata.namespace}/{service.metadata.name}"
        found[name] = tuple(_backends(service, slices[name]))
    return found


def _service_addresses(values: Iterable[Resource]) -> Iterator[tuple[Prefix, str]]:
    for value in values:
        if isinstance(value, Service):
            for address in _prefixes([value.spec.cluster_ip, *value.spec.cluster_ips]):
                yield address, f"{value.metadata.namespace}/{value.metadata.name}"


def _backends(service: Service, slices: Iterable[EndpointSlice]) -> Iterator[Backend]:
    """Ports of a service and its slices belong together by name (the API's rule)."""
    pieces = [(piece, target) for piece in slices for target in piece.ports]
    for port in service.spec.ports:
        protocol = port.protocol or "TCP"
        for family in ("IPv4", "IPv6"):
            yield from _in_use(
                (
                    endpoint.conditions or EndpointConditions(),
                    Backend(
                        port.port,
                        port.name,
                        protocol,
                        *parse_address(endpoint.addresses[0]),
                        target.port,
                    ),
                )
                for piece, target in pieces
                if target.name == port.name and target.port and piece.address_type == family
                for endpoint in piece.endpoints
            )


def _in_use(found: Iterable[tuple[EndpointConditions, Backend]]) -> list[Backend]:
    """Where new connections go, as kube-proxy has it: to what is ready, else to what still serves
    while it ends."""
    found = list(found)
    ready = [backend for state, backend in found if state.ready is not False]
    return ready or [backend for state, backend in found if state.serving and state.terminating]
