"""The engine alone: resources in, deltas out. Prints one JSON object a line.

    python -m bench.engine [ENDPOINTS] [POLICIES]

The cluster: ENDPOINTS (20,000) endpoints with 5 labels of their own and one of 31 markers, in 100
namespaces whose labels come by profile, 200 of them local; POLICIES (1,000) GlobalNetworkPolicies
selected by `has(marker)` with 5 ingress rules that allow from `has(marker)`. The bounds to compare
with are what the same work costs when it is done over from the start, in the same process.
"""

import gc
import json
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import islice

from tortie.api import (
    EntityRule,
    GlobalNetworkPolicy,
    GlobalNetworkPolicySpec,
    Key,
    ObjectMeta,
    Profile,
    ProfileSpec,
    Resource,
    Rule,
    WorkloadEndpoint,
    WorkloadEndpointSpec,
)
from tortie.engine import Engine, NodeState
from tortie.net import format_address
from tortie.selectors import parse

LOCAL, NAMESPACES, MARKERS, RULES, BATCH = 200, 100, 31, 5, 1000
Update = tuple[Key, Resource | None]


def endpoint(number: int, node: str, extra: int = 0) -> WorkloadEndpoint:
    """The endpoint of a position; `extra` shifts its labels."""
    position = number + extra
    labels = {f"one-in-{n}": str(position % n) for n in (10, 11, 20, 30, 40)}
    labels[f"marker-{position % MARKERS}"] = "true"
    namespace = f"namespace-{number % NAMESPACES}"
    return WorkloadEndpoint(
        metadata=ObjectMeta(
            name=f"{node}-k8s-pod--{number}-eth0", namespace=namespace, labels=labels
        ),
        spec=WorkloadEndpointSpec(
            node=node,
            orchestrator="k8s",
            ip_networks=(f"{format_address(4, 0x0A000000 + number)}/32",),
            interface_name=f"cali{number}",
            profiles=(f"kns.{namespace}",),
        ),
    )


def policy(number: int, port: int = 80) -> GlobalNetworkPolicy:
    """The policy of a position."""
    allow = [
        Rule(
            action="Allow",
            protocol="TCP",
            source=EntityRule(selector=f"has(marker-{(number + n) % MARKERS})"),
            destination=EntityRule(ports=(port + n,)),
        )
        for n in range(RULES)
    ]
    return GlobalNetworkPolicy(
        metadata=ObjectMeta(name=f"policy-{number}"),
        spec=GlobalNetworkPolicySpec(
            order=float(number % 100),
            selector=f"has(marker-{number % MARKERS})",
            ingress=tuple(allow),
            types=("Ingress",),
        ),
    )


def profile(number: int, colour: str = "red") -> Profile:
    """The profile of a namespace."""
    name = f"namespace-{number}"
    labels = {"pcns.projectcalico.org/name": name, "pcns.colour": colour, "pcns.kind": "bench"}
    allow = (Rule(action="Allow"),)
    spec = ProfileSpec(ingress=allow, egress=allow, labels_to_apply=labels)
    return Profile(metadata=ObjectMeta(name=f"kns.{name}"), spec=spec)


def snapshot(endpoints: int, policies: int) -> Iterator[Resource]:
    """Everything, in the order in which it would arrive: policies first, local endpoints last."""
    yield from (policy(n) for n in range(policies))
    yield from (profile(n) for n in range(NAMESPACES))
    yield from (endpoint(n, f"node-{n % 500}") for n in range(endpoints - LOCAL))
    yield from (endpoint(n, "here") for n in range(endpoints - LOCAL, endpoints))


def batches(resources: Iterator[Resource]) -> Iterator[list[Update]]:
    """As sync hands them over; made as they are needed, so that only the engine keeps any."""
    while found := list(islice(resources, BATCH)):
        yield [(each.key, each) for each in found]


def emit(name: str, value: float, unit: str) -> None:
    """One line of results."""
    print(
        json.dumps({"name": f"engine_{name}", "value": round(value, 4), "unit": unit}), flush=True
    )


def seconds(work: Callable[[], object]) -> float:
    """CPU seconds of one call: the engine does nothing but compute."""
    start = time.process_time()
    work()
    return time.process_time() - start


def resident() -> float:
    """Resident memory of this process in MB."""
    with open("/proc/self/statm") as statm:
        return int(statm.read().split()[1]) * 4096 / 1e6


def load(engine: Engine, state: NodeState, resources: Iterator[Resource]) -> float:
    """Apply a snapshot; CPU seconds without the making of the inputs."""
    took = 0.0
    for batch in batches(resources):
        took += seconds(partial(_step, engine, state, batch))
    return took


def _step(engine: Engine, state: NodeState, batch: Sequence[Update]) -> None:
    state.fold(engine.apply(batch))


def per_update(engine: Engine, state: NodeState, updates: Sequence[Update]) -> float:
    """Seconds for one update, each applied by itself."""

    def work() -> None:
        for update in updates:
            state.fold(engine.apply([update]))

    return seconds(work) / len(updates)


def naive(endpoints: int) -> float:
    """Every selector asked of every endpoint, as a recompute without an index would."""
    selectors = [parse(f"has(marker-{n})") for n in range(MARKERS)]

    def ask(numbers: range) -> float:
        labels = [endpoint(n, "node").metadata.labels for n in numbers]
        return seconds(lambda: [sum(map(each.matches, labels)) for each in selectors])

    return sum(ask(range(first, first + BATCH)) for first in range(0, endpoints, BATCH))


def measure(endpoints: int, policies: int) -> None:
    """Run all measurements on one engine."""
    gc.collect()
    before = resident()
    engine, state = Engine("here"), NodeState()
    took = load(engine, state, snapshot(endpoints, policies))
    emit("snapshot", took, "s")
    emit("snapshot_endpoints", endpoints, "endpoints")
    emit("snapshot_policies", policies, "policies")
    emit("snapshot_memory", resident() - before, "MB")
    churn(engine, state, endpoints, policies)
    emit("bound_full_recompute", took, "s")
    emit("bound_every_selector_on_every_endpoint", naive(endpoints), "s")


def churn(engine: Engine, state: NodeState, endpoints: int, policies: int) -> None:
    """Single changes on the loaded engine."""

    def remote(first: int, count: int, extra: int) -> list[Update]:
        numbers = [n * 7 % (endpoints - LOCAL) for n in range(first, first + count)]
        found = [endpoint(n, f"node-{n % 500}", extra) for n in numbers]
        return [(each.key, each) for each in found]

    count = min(2000, endpoints // 4)
    relabelled = remote(0, count, 1)
    emit("relabel_remote", 1 / per_update(engine, state, relabelled), "updates/s")
    gone: list[Update] = [(key, None) for key, _ in remote(0, count, 1)]
    emit("delete_remote", 1 / per_update(engine, state, gone), "updates/s")
    emit("add_remote", 1 / per_update(engine, state, remote(0, count, 0)), "updates/s")
    batch = remote(0, count, 2)
    took = seconds(partial(_step, engine, state, batch))
    emit("relabel_remote_in_one_batch", len(batch) / took, "updates/s")
    here = [endpoint(n, "here", 1) for n in range(endpoints - LOCAL, endpoints)]
    took = per_update(engine, state, [(each.key, each) for each in here])
    emit("relabel_local", took * 1000, "ms")
    edits = [policy(n, 8080) for n in range(0, policies, max(1, policies // 100))]
    took = per_update(engine, state, [(each.key, each) for each in edits])
    emit("policy_edit_rules", took * 1000, "ms")
    elsewhere = [policy(n, 80) for n in range(100)]
    for number, each in enumerate(elsewhere):
        spec = GlobalNetworkPolicySpec(selector=f"has(nobody-{number})", ingress=each.spec.ingress)
        elsewhere[number] = GlobalNetworkPolicy(
            metadata=ObjectMeta(name=f"else-{number}"), spec=spec
        )
    took = per_update(engine, state, [(each.key, each) for each in elsewhere])
    emit("policy_without_local_match", took * 1000, "ms")
    blue = [profile(n, "blue") for n in range(10)]
    took = per_update(engine, state, [(each.key, each) for each in blue])
    emit("relabel_namespace", took * 1000, "ms")
    emit("relabel_namespace_endpoints", endpoints // NAMESPACES, "endpoints")


def main() -> None:
    """Measure at the sizes of the command line, or the usual ones."""
    sizes = [int(text) for text in sys.argv[1:3]]
    measure(*(sizes + [20_000, 1_000][len(sizes) :]))


if __name__ == "__main__":
    main()
