"""The controllers' numbers, under the names that dashboards for Calico's know."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping

import prometheus_client as prometheus
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from tortie.controllers.collector import Pass
from tortie.daemon.http import Answer
from tortie.ipam.audit import Allocation

_LABELS = ["ippool", "node"]
_NO_POOL, _NO_NODE = "no_ippool", "unknown_node"

Counts = Counter[tuple[str, str]]  # by pool and node


class Metrics(Collector):
    """What the last pass found, what all of them did, and who leads.

    `failing` has for each controller what counts the objects of which the last attempt failed.
    """

    def __init__(self) -> None:
        self._registry = prometheus.CollectorRegistry()
        self._registry.register(self)
        prometheus.ProcessCollector(registry=self._registry)
        prometheus.PlatformCollector(registry=self._registry)
        self._last: Pass | None = None
        self._released: Counts = Counter()
        self._failed = 0
        self.leading = False
        self.failing: dict[str, Callable[[], int]] = {}

    def note(self, done: Pass) -> None:
        """A pass is over."""
        self._last = done
        released = frozenset(done.released)
        self._released += _counted(done, lambda one: one.address in released)

    def forget(self) -> None:
        """No more passes for now: another process leads, or none is wanted. Counts stay.

        What the last one found would only grow old, and count twice beside the next leader's.
        """
        self._last = None

    def failed(self) -> None:
        """A pass ended by an error."""
        self._failed += 1

    def page(self) -> Answer:
        """In Prometheus' format."""
        return Answer(200, prometheus.generate_latest(self._registry))

    def collect(self) -> Iterator[Metric]:
        """For the registry."""
        yield GaugeMetricFamily(
            "tortie_controllers_leading", "Whether this process leads.", int(self.leading)
        )
        failing = GaugeMetricFamily(
            "tortie_controllers_objects_failing",
            "Objects of which the last attempt failed.",
            labels=["controller"],
        )
        for name, count in sorted(self.failing.items()):
            failing.add_metric([name], count())
        yield failing
        # The library's counters would put "_total" behind names that dashboards know without it.
        yield _gauge("ipam_allocations_gc_reclamations", "Leaked, given back.", self._released)
        yield GaugeMetricFamily("ipam_gc_failures", "Passes ended by an error.", self._failed)
        if self._last is not None:
            yield from _of(self._last)


def _of(done: Pass) -> Iterator[Metric]:
    everywhere = {(name, node) for name in _pools(done) for node in _nodes(done)}
    in_use = _counted(done, lambda _: True)
    borrowed = _counted(done, lambda one: one.borrowed)
    leaking = _counted(done, lambda one: str(one.address) in done.candidates)
    yield _gauge("ipam_allocations_in_use", "Addresses held.", in_use, everywhere)
    yield _gauge("ipam_allocations_borrowed", "Held from others' blocks.", borrowed, everywhere)
    yield _gauge("ipam_allocations_gc_candidates", "Held, looking leaked.", leaking, everywhere)
    yield _gauge("ipam_blocks", "Blocks.", Counter(done.blocks))
    pools = [one.pool for one in done.pools]
    sizes = {pool.name: pool.capacity for pool in pools}
    reserved = {pool.name: pool.reserved for pool in pools}
    yield _gauge_by("ippool", "ipam_ippool_size", "Addresses of a pool.", sizes)
    yield _gauge_by("ippool", "ipam_ippool_reserved", "Reserved of a pool.", reserved)
    yield from _older(in_use, borrowed, Counter(done.blocks))


def _older(in_use: Counts, borrowed: Counts, blocks: Counts) -> Iterator[Metric]:
    """The names of years ago, by node alone."""
    for name, what, counts in (
        ("ipam_allocations_per_node", "Addresses held.", in_use),
        ("ipam_allocations_borrowed_per_node", "Held from others' blocks.", borrowed),
        ("ipam_blocks_per_node", "Blocks.", blocks),
    ):
        by_node: Counter[str] = Counter()
        for (_, node), count in counts.items():
            by_node[node] += count
        yield _gauge_by("node", name, what, by_node)


def _gauge_by(label: str, name: str, what: str, counts: Mapping[str, int]) -> GaugeMetricFamily:
    family = GaugeMetricFamily(name, what, labels=[label])
    for value, count in sorted(counts.items()):
        family.add_metric([value], count)
    return family


def _gauge(
    name: str, what: str, counts: Counts, zeros: set[tuple[str, str]] | None = None
) -> GaugeMetricFamily:
    """A pool and node without any is 0, not absent: an alert needs something to look at."""
    family = GaugeMetricFamily(name, what, labels=_LABELS)
    for key in sorted((zeros or set()) | set(counts)):
        family.add_metric(list(key), counts[key])
    return family


def _pools(done: Pass) -> list[str]:
    return [one.pool.name for one in done.pools]


def _nodes(done: Pass) -> set[str]:
    return {node for _, node in done.blocks if node != "no_affinity"}


def _counted(done: Pass, counts: Callable[[Allocation], bool]) -> Counts:
    """How many addresses that count are of which pool and node."""
    pool_of = {usage.cidr: one.pool.name for one in done.pools for usage in one.blocks}
    return Counter(
        (pool_of.get(one.block, _NO_POOL), one.attributes.get("node", "") or _NO_NODE)
        for one in done.found.allocations
        if counts(one)
    )
