"""Which services' addresses this node announces. Pure.

- Whole ranges: `serviceClusterIPs`, and `serviceExternalIPs` and `serviceLoadBalancerIPs` but for
  single addresses; load balancers' only while `serviceLoadBalancerAggregation` is Enabled.
- One address of a service whose externalTrafficPolicy is Local, from nodes with an endpoint of it
  that takes traffic (`backing`): being longer, it wins over the range.
- One address of any other service, from every node, where no range has it: what the ranges name as
  a single address, or load balancers' without aggregation.
- Nothing at all from a node with the label that excludes it (`cluster.EXCLUDED`).
"""

from collections.abc import Callable, Iterator
from typing import NamedTuple

from tortie.api import checks
from tortie.api.calico.bgp_configuration import BGPConfigurationSpec, ServiceBlock
from tortie.bgp.cluster import Cluster, ServiceFacts
from tortie.bgp.picture import Problem
from tortie.net import Prefix


class _Ranges(NamedTuple):
    """One sort of addresses: where they may lie, and which ranges are announced whole."""

    addresses: Callable[[ServiceFacts], tuple[Prefix, ...]]
    allowed: tuple[Prefix, ...]
    whole: tuple[Prefix, ...]


class ServiceRoutes(NamedTuple):
    """`announced` by this node; `ranges` in which any node's lie."""

    announced: tuple[Prefix, ...]
    ranges: tuple[Prefix, ...]


def service_routes(
    cluster: Cluster, spec: BGPConfigurationSpec, excluded: bool, found: list[Problem]
) -> ServiceRoutes:
    """What a node announces for services under the cluster's BGPConfiguration."""
    sorts = _sorts(spec, found)
    ranges = {prefix for sort in sorts for prefix in sort.allowed}
    if excluded or not ranges:
        return ServiceRoutes((), tuple(sorted(ranges)))
    announced = {prefix for sort in sorts for prefix in sort.whole}
    here = cluster.backing.services()
    for name, facts in cluster.services.items():
        for sort in sorts:
            for address in _allowed(sort, facts):
                if facts.local:
                    if (name, address.version) in here:
                        announced.add(address)
                elif not any(whole.contains(address) for whole in sort.whole):
                    announced.add(address)
    return ServiceRoutes(tuple(sorted(announced)), tuple(sorted(ranges)))


def _allowed(sort: _Ranges, facts: ServiceFacts) -> Iterator[Prefix]:
    for address in sort.addresses(facts):
        if any(prefix.contains(address) for prefix in sort.allowed):
            yield address


def _sorts(spec: BGPConfigurationSpec, found: list[Problem]) -> tuple[_Ranges, ...]:
    def read(field: str, blocks: tuple[ServiceBlock, ...]) -> tuple[Prefix, ...]:
        prefixes = []
        for block in blocks:
            try:
                prefixes.append(checks.cidr(block.cidr).network)
            except ValueError as problem:
                text = f"spec.{field}: {problem}; it is left out"
                found.append(Problem("BGPConfiguration(default)", text))
        return tuple(sorted(set(prefixes)))

    inside = read("serviceClusterIPs", spec.service_cluster_ips)
    external = read("serviceExternalIPs", spec.service_external_ips)
    balancer = read("serviceLoadBalancerIPs", spec.service_load_balancer_ips)
    aggregated = spec.service_load_balancer_aggregation != "Disabled"
    return (
        _Ranges(lambda facts: facts.cluster, inside, inside),
        _Ranges(lambda facts: facts.external, external, _wide(external)),
        _Ranges(lambda facts: facts.balancer, balancer, _wide(balancer) if aggregated else ()),
    )


def _wide(prefixes: tuple[Prefix, ...]) -> tuple[Prefix, ...]:
    return tuple(prefix for prefix in prefixes if not prefix.is_single)
