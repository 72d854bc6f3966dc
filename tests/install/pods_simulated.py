"""What Kubernetes' controllers and kubelets would say of pods: none run beside the API server.

Only the status of DaemonSets and Deployments is simulated, as if each pod came up at once, or as
far as a test says.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from servers.kube_api import MERGE_PATCH, KubeApi, Refused

_LOOK_SECONDS = 0.1
_ROOT = "/apis/apps/v1/namespaces/kube-system"


def status_of(kind: str, generation: int, wanted: int, ready: int) -> dict:
    """The status of a DaemonSet or a Deployment of which `ready` of `wanted` pods are ready."""
    common = {"observedGeneration": generation}
    if kind == "daemonsets":
        return common | {
            "desiredNumberScheduled": wanted,
            "currentNumberScheduled": wanted,
            "updatedNumberScheduled": wanted,
            "numberMisscheduled": 0,
            "numberReady": ready,
        }
    return common | {"replicas": wanted, "updatedReplicas": wanted, "readyReplicas": ready}


def settle(api: KubeApi, nodes: int, ready: int) -> None:
    """Have all of them say so once."""
    for kind in ("daemonsets", "deployments"):
        for each in api.get(f"{_ROOT}/{kind}")["items"]:
            metadata = each["metadata"]
            wanted = nodes if kind == "daemonsets" else each["spec"]["replicas"]
            status = status_of(kind, metadata["generation"], wanted, min(wanted, ready))
            if all(each.get("status", {}).get(name) == value for name, value in status.items()):
                continue
            path = f"{_ROOT}/{kind}/{metadata['name']}/status"
            with suppress(Refused):  # it is gone
                api.request("PATCH", path, {"status": status}, content=MERGE_PATCH)


@contextmanager
def pods_come_up(api: KubeApi, nodes: int = 3) -> Iterator[None]:
    """Until the end of the block, on so many nodes."""
    over = threading.Event()

    def run() -> None:
        while not over.wait(_LOOK_SECONDS):
            settle(api, nodes, nodes)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
