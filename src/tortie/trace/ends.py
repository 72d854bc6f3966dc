"""What people call the ends of a connection, and the addresses that these are.

shop/web-1       a pod, or a workload of another orchestrator
10.0.0.7         an address: of a workload or node that has it, else somebody outside
node-1           a node, by its main addresses
shop/web         a service, where there is no pod of that name
service/shop/web, web.shop.svc     a service, whatever else has its name
10.96.0.10       a service, by its cluster IP
outside          somebody of whom no policy speaks
"""

from collections.abc import Mapping
from difflib import get_close_matches
from typing import NamedTuple

from tortie.net import Prefix, format_address, parse_address
from tortie.policy.program import EndpointId
from tortie.trace.cluster import Backend, Cluster

OUTSIDE = "outside"
OUTSIDE_ADDRESSES = (  # of documentation (RFC 5737, RFC 3849): nobody has them
    Prefix.single(4, 203 << 24 | 113 << 8 | 1),
    Prefix.single(6, 0x20010DB8 << 96 | 1),
)
_SERVICE = "service/"
_LIKE = 3  # names that an error suggests


class UnknownEnd(ValueError):
    """Text that names nothing of the cluster; the message says what is like it."""


class End(NamedTuple):
    """One end: `addresses` is one a family; `endpoint` is None where no workload has them.

    `node` is where it is, "" for somebody outside.
    """

    name: str
    addresses: tuple[Prefix, ...]
    endpoint: EndpointId | None = None
    node: str = ""

    def __str__(self) -> str:
        shown = format_address(self.addresses[0].version, self.addresses[0].address)
        return self.name if self.name == shown else f"{self.name} ({shown})"


class ServiceEnd(NamedTuple):
    """A service: a connection to it goes to one of its backends."""

    name: str
    backends: tuple[Backend, ...]

    def __str__(self) -> str:
        return f"service {self.name}"


def end_named(cluster: Cluster, text: str) -> End:
    """The end of this name or address. Raises UnknownEnd; so it does for a service."""
    found = end_or_service(cluster, text)
    if isinstance(found, ServiceEnd):
        raise UnknownEnd(f"{text!r} is a service: connections go to one, never come from it")
    return found


def end_or_service(cluster: Cluster, text: str) -> End | ServiceEnd:
    """The same, or a service. Raises UnknownEnd."""
    service = _service_named(text)
    if service is not None:
        return _service(cluster, service, text)
    if text in cluster.workloads:
        return _workload(cluster, text)
    if text in cluster.services:
        return _service(cluster, text, text)
    if text in cluster.hosts:
        return _host(cluster, text)
    return End(OUTSIDE, OUTSIDE_ADDRESSES) if text == OUTSIDE else _at(cluster, text)


def _at(cluster: Cluster, text: str) -> End | ServiceEnd:
    try:
        version, address = parse_address(text)
    except ValueError:
        raise _unknown(cluster, text) from None
    single = Prefix.single(version, address)
    if single in cluster.service_addresses:
        return _service(cluster, cluster.service_addresses[single], text)
    return _address(cluster, single)


def _service_named(text: str) -> str | None:
    """ "shop/web" of "service/shop/web", "svc/shop/web" or "web.shop.svc"; None for others."""
    for prefix in (_SERVICE, "svc/"):
        if text.startswith(prefix) and text.count("/") == 2:
            return text.removeprefix(prefix)
    host = text.removesuffix(".cluster.local").removesuffix(".svc")
    if host != text and host.count(".") == 1:
        name, _, namespace = host.partition(".")
        return f"{namespace}/{name}"
    return None


def _service(cluster: Cluster, name: str, text: str) -> ServiceEnd:
    if name not in cluster.services:
        raise UnknownEnd(f"there is no service {name!r}{_like(name, cluster.services)}")
    if not cluster.services[name]:
        raise UnknownEnd(f"service {text!r} leads nowhere: no endpoint is behind it")
    return ServiceEnd(name, cluster.services[name])


def _workload(cluster: Cluster, name: str) -> End:
    found = cluster.workloads[name]
    if not found.addresses:
        raise UnknownEnd(f"{name} has no address (any more), so nothing reaches it or comes of it")
    return End(name, found.addresses, found.endpoint, found.node)


def _host(cluster: Cluster, name: str) -> End:
    if not cluster.hosts[name].addresses:
        raise UnknownEnd(f"node {name} has no address in its resource; ask by an address")
    return End(name, cluster.hosts[name].addresses, node=name)


def _address(cluster: Cluster, address: Prefix) -> End:
    workload = cluster.workload_at(address)
    if workload is not None:
        return End(workload.name, (address,), workload.endpoint, workload.node)
    host = cluster.host_at(address)
    return End(host or format_address(address.version, address.address), (address,), node=host)


def _unknown(cluster: Cluster, text: str) -> UnknownEnd:
    names = [*cluster.workloads, *cluster.services, *cluster.hosts]
    return UnknownEnd(
        f"{text!r} is no workload (namespace/pod), service, node or address here"
        f"{_like(text, dict.fromkeys(names))}"
    )


def _like(name: str, names: Mapping[str, object]) -> str:
    """The likeliest names, also those that differ by a namespace only."""
    tails = [each for each in names if each.rpartition("/")[2] == name.rpartition("/")[2]]
    near = list(dict.fromkeys([*tails, *get_close_matches(name, names, n=_LIKE)]))[:_LIKE]
    if near:
        return f"; did you mean {' or '.join(near)}?"
    shown = ", ".join(sorted(names)[:_LIKE])
    return f"; there are {len(names)}, such as {shown}" if shown else "; there is none at all"
