"""The three clusters, each in the order in which its resources arrive.

markers: many endpoints, policies whose selectors overlap (W1). sets: network sets of very different
sizes, all of them needed (W2). tenants: namespaces that know nothing of each other (W3).
"""

from collections.abc import Iterator
from random import Random

from bench.engine.making import HERE, endpoint, global_policy, namespace_profile
from tortie.api import (
    EntityRule,
    GlobalNetworkSet,
    NetworkPolicy,
    NetworkPolicySpec,
    NetworkSetSpec,
    ObjectMeta,
    Profile,
    Resource,
    Rule,
    WorkloadEndpoint,
)
from tortie.net import format_address

LOCAL = 200
NAMESPACES, MARKERS, RULES = 100, 31, 5
SET_SIZES = (1, 1, 1, 1, 2, 3, 4, 5, 100, 1000)
LOCAL_TENANTS = 100
_LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789"


def markers(remote: int = 250_000, policies: int = 10_000) -> Iterator[Resource]:
    """W1: endpoints with 5 labels and a marker, policies by `has(marker)` with 5 such sources."""
    yield from (marker_policy(n) for n in range(policies))
    yield from (marker_profile(n) for n in range(NAMESPACES))
    yield from (marked_endpoint(n, f"node-{n % 500}") for n in range(remote))
    yield from (marked_endpoint(n, HERE) for n in range(remote, remote + LOCAL))


def marker_policy(number: int, shift: int = 0) -> Resource:
    """The policy of a position; `shift` gives it other sources."""
    sources = [f"has(marker-{(number + shift + n) % MARKERS})" for n in range(RULES)]
    name, order = f"policy-{number}", float(number % 100)
    return global_policy(name, order, f"has(marker-{number % MARKERS})", *sources)


def marker_profile(number: int, colour: str = "red") -> Profile:
    """The profile of a namespace of W1."""
    return namespace_profile(f"namespace-{number}", {"colour": colour, "kind": "bench"})


def marked_endpoint(number: int, node: str, shift: int = 0) -> WorkloadEndpoint:
    """The endpoint of a position; `shift` gives it the labels of a later one."""
    position = number + shift
    labels = {f"one-in-{n}": str(position % n) for n in (10, 11, 20, 30, 40)}
    labels[f"marker-{position % MARKERS}"] = "true"
    return endpoint(number, node, f"namespace-{number % NAMESPACES}", labels)


def sets(count: int = 10_000, remote: int = 10_000) -> Iterator[Resource]:
    """W2: network sets of 1 to 1,000 members, each allowed by a policy on `all()`."""
    first = 0
    for number in range(count):
        size = SET_SIZES[number % len(SET_SIZES)]
        yield _network_set(number, first, size)
        first += size
    for number in range(count):
        source = f"set == 'set-{number}'"
        yield global_policy(f"policy-{number}", float(number), "all()", source)
    yield from (marker_profile(n) for n in range(NAMESPACES))
    yield from (marked_endpoint(n, f"node-{n % 500}") for n in range(remote))
    yield from (marked_endpoint(n, HERE) for n in range(remote, remote + LOCAL))


def _network_set(number: int, first: int, size: int) -> GlobalNetworkSet:
    nets = [f"{format_address(4, 0x30000000 + 2 * n)}/32" for n in range(first, first + size)]
    return GlobalNetworkSet(
        metadata=ObjectMeta(name=f"set-{number}", labels={"set": f"set-{number}"}),
        spec=NetworkSetSpec(nets=tuple(nets)),
    )


def tenants(count: int = 10_000) -> Iterator[Resource]:
    """W3: a namespace, a pod and a policy each; 100 of the pods are here, evenly spread."""
    random = Random(3)
    ids = ["".join(random.choices(_LETTERS, k=20)) for _ in range(count)]
    every = max(1, count // LOCAL_TENANTS)
    yield from (_tenant_policy(n) for n in range(count))
    yield from (_tenant_profile(n, ids[n]) for n in range(count))
    for number in range(count):
        node = HERE if number % every == 0 else f"node-{number % 500}"
        yield endpoint(number, node, f"tenant-{number}", _tenant_labels(number, random))


def _tenant_profile(number: int, identity: str) -> Profile:
    labels = {"name": f"tenant-{number}", "id": identity, "paid": str(number % 2 == 0).lower()}
    return namespace_profile(f"tenant-{number}", labels)


def _tenant_labels(number: int, random: Random) -> dict[str, str]:
    """15 labels: 5 unique, 4 of two values, 4 of three to five, 1 constant, 1 of 5,000 values."""
    labels = {f"unique-{n}": f"{number}-{n}" for n in range(5)}
    labels |= {f"binary-{n}": str(random.randrange(2)) for n in range(4)}
    labels |= {f"few-{n}": str(random.randrange(3 + n % 3)) for n in range(4)}
    return labels | {"constant": "same", "app": f"app-{number % 5000}"}


def _tenant_policy(number: int) -> NetworkPolicy:
    """All traffic within the tenant, and DNS to one address outside."""
    own = EntityRule(namespace_selector=f"name == 'tenant-{number}'")
    resolver = EntityRule(nets=(f"{format_address(4, 0x30000000 + number)}/32",), ports=(53,))
    return NetworkPolicy(
        metadata=ObjectMeta(name="isolate", namespace=f"tenant-{number}"),
        spec=NetworkPolicySpec(
            types=("Ingress", "Egress"),
            ingress=(Rule(action="Allow", source=own),),
            egress=(
                Rule(action="Allow", destination=own),
                Rule(action="Allow", protocol="UDP", destination=resolver),
            ),
        ),
    )
