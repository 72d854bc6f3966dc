"""Endpoints of workloads follow their Pods, where the plugin has stored them: labels, and the end.

The plugin writes an endpoint once, when the pod starts; what changes on the Pod later comes from
here. All of a pod's endpoints are meant, also those of further interfaces. Pods are Kubernetes', or
the datastore's own where there is no Kubernetes.
"""

from collections import defaultdict
from collections.abc import Hashable, Iterable, Mapping

from msgspec.structs import replace

from tortie.api import Key, Pod, WorkloadEndpoint
from tortie.api.codec import with_metadata
from tortie.controllers.controller import Context, Controller, Side
from tortie.controllers.feed import Feed
from tortie.controllers.reconciling import Job, Watched, reconcile_all
from tortie.datastore import Datastore, NotFound
from tortie.kubernetes.names import NETWORK_LABEL, ORCHESTRATOR, POD_UID
from tortie.kubernetes.pods import has_ended, is_pod, pod_labels

_NAME = "labels of pods"


def followed(endpoint: WorkloadEndpoint, pod: Pod) -> WorkloadEndpoint | None:
    """The endpoint as its Pod wants it; None where nothing differs.

    A pod that has ended has no addresses any more: they may be another's soon.
    """
    uid = endpoint.metadata.annotations.get(POD_UID, "")
    if endpoint.spec.node != pod.spec.node_name or not is_pod(pod, uid):
        return None  # of another pod of that name: the picture is behind, or the endpoint to go
    labels = {**_kept(endpoint.metadata.labels), **pod_labels(pod)}
    spec = endpoint.spec
    if has_ended(pod):
        spec = replace(spec, ip_networks=(), ip_nats=())
    changed = with_metadata(replace(endpoint, spec=spec), labels=labels)
    return None if changed == endpoint else changed


def _kept(labels: Mapping[str, str]) -> dict[str, str]:
    return {key: value for key, value in labels.items() if key == NETWORK_LABEL}


class Endpoints:
    """The endpoints of each Pod, as far as a feed has told."""

    def __init__(self, feed: Feed) -> None:
        self._feed = feed
        self._pod: dict[Key, Key] = {}
        self._of: defaultdict[Key, set[Key]] = defaultdict(set)
        for key in feed.objects("WorkloadEndpoint"):
            self.note(key)

    def note(self, key: Key) -> tuple[Key, ...]:
        """An endpoint has changed; gives the Pod to look at."""
        found = self._feed.get(key)
        if (before := self._pod.pop(key, None)) is not None:
            self._of[before].discard(key)
            if not self._of[before]:
                del self._of[before]
        if not isinstance(found, WorkloadEndpoint) or found.spec.orchestrator != ORCHESTRATOR:
            return ()
        pod = Key("Pod", key.namespace, found.spec.pod)
        self._pod[key] = pod
        self._of[pod].add(key)
        return (pod,)

    def pods(self) -> Iterable[Key]:
        """All Pods that have any."""
        return list(self._of)

    def of(self, pod: Key) -> list[WorkloadEndpoint]:
        """A Pod's."""
        found = (self._feed.get(key) for key in sorted(self._of.get(pod, ())))
        return [one for one in found if isinstance(one, WorkloadEndpoint)]


async def follow(key: Key, endpoints: Endpoints, data: Side, pods: Side) -> None:
    """Have a Pod's endpoints be as it wants them. Raises DatastoreError."""
    found, seen = endpoints.of(key), pods.feed.get(key)
    pod = seen if isinstance(seen, Pod) else None
    if pod is not None and has_ended(pod) and any(map(_has_addresses, found)):
        pod = await _asked(pods.store, key)
    if pod is None:
        return
    for endpoint in found:
        if changed := followed(endpoint, pod):
            await data.store.update(changed)


def _has_addresses(endpoint: WorkloadEndpoint) -> bool:
    return bool(endpoint.spec.ip_networks or endpoint.spec.ip_nats)


async def _asked(store: Datastore, key: Key) -> Pod | None:
    """The Pod as the store has it now. The picture's may be an earlier one of that name, which has
    ended, while the endpoint is its successor's already: nobody would give back the addresses.
    """
    try:
        found = await store.get(key)
    except NotFound:
        return None
    assert isinstance(found, Pod)
    return found


async def _run(context: Context) -> None:
    data, pods = context.datastore, context.kubernetes or context.datastore
    endpoints = Endpoints(data.feed)

    async def reconcile(item: Hashable) -> None:
        assert isinstance(item, Key)
        await follow(item, endpoints, data, pods)

    job = Job(
        name=_NAME,
        watched=(
            Watched(pods, ("Pod",), lambda key: (key,)),
            Watched(data, ("WorkloadEndpoint",), endpoints.note),
        ),
        everything=endpoints.pods,
        reconcile=reconcile,
        period=lambda: context.settings.current.periods.get("workloadendpoint", 0.0),
    )
    await reconcile_all(context, job)


CONTROLLER = Controller(
    name=_NAME,
    switch="workloadendpoint",
    run=_run,
    follows=("WorkloadEndpoint", "Pod"),
    follows_kubernetes=("Pod",),
    belongs=lambda sides: sides.backend != "kubernetes",
)
