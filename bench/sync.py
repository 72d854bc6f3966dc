"""What the first picture costs beside reading: prints JSON lines {"name", "value", "unit"}.

100,000 pods as an API server gives them and 10,000 policies go through decoding, conversion and
`Syncer`, from a store that has their bytes in memory. The bound is msgspec parsing the same bytes
into plain objects, page by page as well; no server is asked, so no time of reading flatters the
ratio. `peak` is what the process grew by while it held nothing of the stream.
"""

import asyncio
import json
import resource
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing

import msgspec

from tortie.api import Key
from tortie.cli.lean import collect_seldom
from tortie.datastore import Listing
from tortie.datastore.memory import MemoryDatastore
from tortie.datastore.values import from_value
from tortie.sync import InSync, Syncer

PODS, POLICIES, PAGE, ROUNDS = 100_000, 10_000, 500, 3
REVISION = 1_000_000
collect_seldom()  # as an agent does; the rival has the same


def tell(name: str, value: float, unit: str) -> None:
    print(json.dumps({"name": name, "value": round(value, 4), "unit": unit}), flush=True)


def pod(number: int) -> dict[str, object]:
    """A pod of about 3 kB, as an API server has it."""
    address = f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}"
    seen = "2026-01-01T00:00:00Z"
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": f"web-{number:06d}-7c9d8b6f5-{number % 997:03d}",
            "generateName": "web-7c9d8b6f5-",
            "namespace": f"team-{number % 200}",
            "uid": f"0f3c1e2a-{number & 0xFFFF:04x}-4a5b-8c7d-{number:012x}",
            "creationTimestamp": seen,
            "labels": {
                "app": f"web-{number % 500}",
                "version": "v1",
                "pod-template-hash": "7c9d8b6f5",
                "team": f"team-{number % 200}",
            },
            "annotations": {
                "cni.projectcalico.org/containerID": f"{number:064x}",
                "cni.projectcalico.org/podIP": f"{address}/32",
                "cni.projectcalico.org/podIPs": f"{address}/32",
            },
            "ownerReferences": [
                {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "web", "uid": "a"}
            ],
        },
        "spec": {
            "nodeName": f"node-{number % 1000}",
            "serviceAccountName": "default",
            "restartPolicy": "Always",
            "dnsPolicy": "ClusterFirst",
            "schedulerName": "default-scheduler",
            "terminationGracePeriodSeconds": 30,
            "containers": [_container()],
            "volumes": [{"name": "token", "projected": {"sources": [{"path": "token"}] * 3}}],
            "tolerations": [
                {"key": f"node.kubernetes.io/{key}", "operator": "Exists", "effect": "NoExecute"}
                for key in ("not-ready", "unreachable")
            ],
        },
        "status": {
            "phase": "Running",
            "podIP": address,
            "podIPs": [{"ip": address}],
            "hostIP": "192.168.0.1",
            "qosClass": "Burstable",
            "conditions": [
                {"type": name, "status": "True", "lastProbeTime": seen, "lastTransitionTime": seen}
                for name in ("Initialized", "Ready", "ContainersReady", "PodScheduled")
            ],
            "containerStatuses": [
                {"name": "web", "ready": True, "imageID": "a" * 71, "containerID": "b" * 77}
            ],
        },
    }


def _container() -> dict[str, object]:
    return {
        "name": "web",
        "image": "registry.example.com/shop/web:1.2.3",
        "ports": [{"name": "http", "containerPort": 8080, "protocol": "TCP"}],
        "env": [{"name": f"SETTING_{each}", "value": "some value"} for each in range(8)],
        "resources": {"limits": {"cpu": "500m", "memory": "256Mi"}},
        "livenessProbe": {"httpGet": {"path": "/healthz", "port": 8080}, "periodSeconds": 10},
        "volumeMounts": [{"name": "token", "mountPath": "/var/run/secrets/kubernetes.io/account"}],
    }


def policy(number: int) -> dict[str, object]:
    """A policy of a namespace with two rules."""
    peer = {"podSelector": {"matchLabels": {"app": f"web-{number % 500}"}}}
    ports = [{"protocol": "TCP", "port": 8080}]
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": f"policy-{number}", "namespace": f"team-{number % 200}", "uid": "x"},
        "spec": {
            "podSelector": {"matchLabels": {"app": f"web-{number % 500}"}},
            "policyTypes": ["Ingress", "Egress"],
            "ingress": [{"from": [peer], "ports": ports}],
            "egress": [{"to": [peer], "ports": ports}],
        },
    }


class Stored(MemoryDatastore):
    """Bytes that are decoded a page at a time, as a server's are."""

    def __init__(self, objects: dict[str, list[tuple[Key, bytes]]]) -> None:
        super().__init__()
        self.objects = objects

    async def pages(
        self, kind: str, namespace: str | None = None, size: int = PAGE
    ) -> AsyncGenerator[Listing, None]:
        assert namespace is None
        found = self.objects.get(kind, [])
        for start in range(0, max(1, len(found)), size):
            page = found[start : start + size]
            resources = [from_value(key, value, REVISION) for key, value in page]
            yield Listing(tuple(resources), (), REVISION)  # type: ignore[arg-type] # all are sound


def stored() -> Stored:
    """All of them."""
    pods = [_entry("Pod", pod(number)) for number in range(PODS)]
    policies = [_entry("KubernetesNetworkPolicy", policy(number)) for number in range(POLICIES)]
    return Stored({"Pod": pods, "KubernetesNetworkPolicy": policies})


def _entry(kind: str, body: dict[str, object]) -> tuple[Key, bytes]:
    metadata = body["metadata"]
    assert isinstance(metadata, dict)
    return Key(kind, metadata["namespace"], metadata["name"]), msgspec.json.encode(body)


async def first_picture(store: Stored) -> int:
    """Read the stream until it is in sync; how many updates there were."""
    count = 0
    async with aclosing(Syncer(store).stream()) as batches:
        async for batch in batches:
            count += len(batch)
            if any(isinstance(item, InSync) for item in batch):
                break
    return count


def parse_only(store: Stored) -> None:
    for found in store.objects.values():
        for start in range(0, len(found), PAGE):
            _ = [msgspec.json.decode(value) for _, value in found[start : start + PAGE]]


def main() -> None:
    store = stored()
    size = sum(len(value) for found in store.objects.values() for _, value in found)
    tell("sync_bytes_per_object", size / (PODS + POLICIES), "B")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    took, parsed = [], []
    grown = 0
    for _ in range(ROUNDS):
        start = time.process_time()
        assert asyncio.run(first_picture(store)) >= PODS + POLICIES
        took.append(time.process_time() - start)
        grown = grown or resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
        start = time.process_time()
        parse_only(store)
        parsed.append(time.process_time() - start)
    tell("sync_first_picture_110000", min(took), "s")
    tell("sync_parse_only_110000", min(parsed), "s")
    tell("sync_first_picture_to_parse_only", min(took) / min(parsed), "ratio")
    tell("sync_first_picture_peak_growth", grown / 1024, "MiB")


if __name__ == "__main__":
    main()
