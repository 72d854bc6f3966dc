"""What the lab reads in Pods: names, ports, addresses, and where each is to run. Pure."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from tortie.api import Pod, WorkloadEndpoint
from tortie.kubernetes import convert
from tortie.lab.matrix import Party, Port


def name_of(pod: Pod) -> str:
    """namespace/name."""
    return f"{pod.metadata.namespace}/{pod.metadata.name}"


def ports_of(pod: Pod) -> tuple[Port, ...]:
    """The ports that it declares and a probe can try: TCP and UDP."""
    return tuple(
        Port((port.protocol or "TCP").lower(), port.container_port)
        for container in pod.spec.containers
        for port in container.ports
        if port.protocol != "SCTP"
    )


def addresses_of(pod: Pod) -> tuple[str, ...]:
    """Its addresses as text, without lengths; none before the CNI plugin gave it one."""
    endpoint = convert(pod)
    if not isinstance(endpoint, WorkloadEndpoint):
        return ()
    return tuple(network.partition("/")[0] for network in endpoint.spec.ip_networks)


def parties(pods: Iterable[Pod], outside: Mapping[str, str], version: int = 4) -> list[Party]:
    """Everybody who takes part in probes: pods that have an address, then hosts (name: address).

    Of pods an address of this IP version counts. A host outside answers on every port that any pod
    declares, so that each can be tried there.
    """
    inside = [
        Party(name_of(pod), addresses[0], ports_of(pod))
        for pod in pods
        if (addresses := [one for one in addresses_of(pod) if (":" in one) is (version == 6)])
    ]
    every_port = tuple(sorted({port for party in inside for port in party.ports}))
    return [*inside, *(Party(name, address, every_port) for name, address in outside.items())]


def schedule(pods: Iterable[Pod], nodes: Sequence[str]) -> dict[str, str]:
    """A node for each pod without one (by namespace/name): the one with the fewest pods so far."""
    pods = list(pods)
    load = Counter(dict.fromkeys(nodes, 0))
    load.update(pod.spec.node_name for pod in pods if pod.spec.node_name)
    chosen = {}
    for pod in pods:
        if not pod.spec.node_name:
            node = min(nodes, key=lambda candidate: load[candidate])
            load[node] += 1
            chosen[name_of(pod)] = node
    return chosen
