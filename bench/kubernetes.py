"""What the Kubernetes API as datastore costs: prints JSON lines {"name", "value", "unit"}.

The first picture of 100,000 pods and 10,000 policies goes from a real API server through `Syncer`
in a process of its own, whose peak memory is told. Another process reads the same pages one after
the other and parses them into plain objects, nothing else: that is the bound of the ratio.

Pods are written straight into the API server's etcd: one is made through the API, the others are
its stored bytes with other names, addresses and UIDs of the same lengths.
`python -m bench.kubernetes --pods 10000 --policies 1000` is a smaller one.
"""

import argparse
import asyncio
import ssl
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import aclosing
from pathlib import Path
from typing import Any

import grpc.aio
import httpx
import msgspec

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

from bench.sync import first_picture, pod, policy, tell
from servers.kube import KubeServer, kube_server
from servers.kube_crds import install
from tortie.api import NetworkSet, NetworkSetSpec, ObjectMeta
from tortie.datastore.etcd import rpc_pb2 as pb
from tortie.datastore.kubernetes import KubernetesDatastore
from tortie.datastore.kubernetes.client import Client
from tortie.datastore.settings import KubernetesSettings

ROUNDS, PAGE, LOADED_AT_ONCE = 3, 500, 100
WRITES, CALLERS = 500, 16
_LISTS = ("/api/v1/pods", "/apis/networking.k8s.io/v1/networkpolicies")


def template_pod() -> dict[str, Any]:
    """A pod of which each part that differs has a text and a length of its own."""
    body: dict[str, Any] = pod(0)
    body["metadata"] |= {"name": "web-000000", "namespace": "team-100"}
    body["metadata"].pop("uid")
    body["metadata"]["ownerReferences"][0]["uid"] = "5f1d9a52-7c9d-4a5b-8c7d-000000000001"
    for name in ("podIP", "podIPs"):
        body["metadata"]["annotations"][f"cni.projectcalico.org/{name}"] = "10.100.100.100/32"
    body["spec"]["nodeName"] = "node-100"
    body["spec"]["volumes"] = [{"name": "token", "emptyDir": {}}]
    body["status"] |= {"podIP": "10.100.100.100", "podIPs": [{"ip": "10.100.100.100"}]}
    return body


def pods_like(value: bytes, uid: str, count: int) -> Iterator[tuple[bytes, bytes]]:
    """Names in the registry and stored bytes of `count` pods."""
    for number in range(count):
        name, team = b"web-%06d" % number, b"team-%d" % (100 + number % 100)
        parts = (100 + number // 10_000 % 100, 100 + number // 100 % 100, 100 + number % 100)
        body = value.replace(b"web-000000", name).replace(b"team-100", team)
        body = body.replace(b"10.100.100.100", b"10.%d.%d.%d" % parts)
        body = body.replace(b"node-100", b"node-%d" % (100 + number % 900))
        body = body.replace(uid.encode(), uid[:24].encode() + b"%012x" % number)
        yield b"/registry/pods/%s/%s" % (team, name), body


def policies_like(value: bytes, uid: str, count: int) -> Iterator[tuple[bytes, bytes]]:
    """As `pods_like`."""
    for number in range(count):
        name, team = b"policy-%05d" % number, b"team-%d" % (100 + number % 100)
        body = value.replace(b"policy-00000", name).replace(b"team-100", team)
        body = body.replace(uid.encode(), uid[:24].encode() + b"%012x" % number)
        yield b"/registry/networkpolicies/%s/%s" % (team, name), body


async def load(server: KubeServer, pods: int, policies: int) -> None:
    """Fill the server."""
    for number in range(100):
        server.namespace(f"team-{100 + number}")
    server.account("team-100", "default")
    body = template_pod()
    made = server.api.request("POST", "/api/v1/namespaces/team-100/pods", body)
    status = {**made, "status": body["status"]}
    path = "/api/v1/namespaces/team-100/pods/web-000000/status"
    server.api.request("PUT", path, status)
    rule: dict[str, Any] = policy(0)
    rule["metadata"] = {"name": "policy-00000", "namespace": "team-100"}
    where = "/apis/networking.k8s.io/v1/namespaces/team-100/networkpolicies"
    written = server.api.request("POST", where, rule)
    async with grpc.aio.insecure_channel(server.etcd.endpoint.removeprefix("http://")) as etcd:
        stored = await _value(etcd, b"/registry/pods/team-100/web-000000")
        await _put(etcd, pods_like(stored, made["metadata"]["uid"], pods))
        stored = await _value(etcd, b"/registry/networkpolicies/team-100/policy-00000")
        await _put(etcd, policies_like(stored, written["metadata"]["uid"], policies))


async def _value(etcd: grpc.aio.Channel, key: bytes) -> bytes:
    read = etcd.unary_unary(
        "/etcdserverpb.KV/Range",
        pb.RangeRequest.SerializeToString,
        pb.RangeResponse.FromString,
    )
    value: bytes = (await read(pb.RangeRequest(key=key), timeout=10)).kvs[0].value
    return value


async def _put(etcd: grpc.aio.Channel, objects: Iterator[tuple[bytes, bytes]]) -> None:
    write = etcd.unary_unary(
        "/etcdserverpb.KV/Txn", pb.TxnRequest.SerializeToString, pb.TxnResponse.FromString
    )

    async def caller() -> None:
        while part := [found for _, found in zip(range(LOADED_AT_ONCE), objects, strict=False)]:
            puts = [
                pb.RequestOp(request_put=pb.PutRequest(key=key, value=value)) for key, value in part
            ]
            await write(pb.TxnRequest(success=puts), timeout=60)

    await asyncio.gather(*(caller() for _ in range(4)))


async def picture(settings: KubernetesSettings) -> int:
    """The child: a first picture through `Syncer`."""
    store = await KubernetesDatastore.open(settings)
    count = await first_picture(store)  # type: ignore[arg-type] # any store will do
    await store.close()
    return count


async def parsed(settings: KubernetesSettings) -> int:
    """The child: the same bytes, parsed into plain objects and dropped page by page."""
    return _parsed(settings)


def _parsed(settings: KubernetesSettings) -> int:
    with tempfile.NamedTemporaryFile() as file:
        file.write(settings.certificate + settings.key)
        file.flush()
        trusted = ssl.create_default_context(cadata=settings.ca.decode())
        trusted.load_cert_chain(file.name)
    count = 0
    headers = {"Accept-Encoding": "identity"}
    with httpx.Client(verify=trusted, headers=headers, timeout=60, trust_env=False) as http:
        for path in _LISTS:
            following: str | None = ""
            while following is not None:
                asked = {"limit": PAGE} | ({"continue": following} if following else {})
                answer = http.get(settings.api_endpoint + path, params=asked)
                body = msgspec.json.decode(answer.content)
                count += len(body["items"])
                following = body["metadata"].get("continue") or None
    return count


async def read(settings: KubernetesSettings) -> int:
    """The child: the bytes only, by our client: what is not decoding."""
    from tortie.datastore.kubernetes.client import Request
    from tortie.datastore.kubernetes.locating import find_access

    client, count = Client(find_access(settings), settings.qps, settings.burst), 0
    for path in _LISTS:
        following: str | None = ""
        while following is not None:
            asked = [("limit", str(PAGE))] + ([("continue", following)] if following else [])
            body = await client.send(Request(path, path, tuple(asked)))
            count += len(body)
            head = msgspec.json.decode(body, type=_Head)
            following = head.metadata.get("continue") or None
    await client.close()
    return count


class _Head(msgspec.Struct):
    metadata: dict[str, Any]


async def nothing(_: KubernetesSettings) -> int:
    """The child: imports only."""
    return 0


Work = Callable[[KubernetesSettings], Awaitable[int]]
CHILDREN: dict[str, Work] = {
    "picture": picture,
    "parsed": parsed,
    "read": read,
    "nothing": nothing,
}


def child(name: str, settings: KubernetesSettings) -> tuple[float, float, int]:
    """Seconds, peak MiB and what it counted."""
    done = subprocess.run(
        [sys.executable, "-m", "bench.kubernetes", "--child", name],
        input=msgspec.json.encode(settings),
        stdout=subprocess.PIPE,
        timeout=400,
        check=True,
    )
    seconds, peak, count = done.stdout.split()
    return float(seconds), float(peak), int(count)


def be_child(name: str) -> None:
    """What `child` runs."""
    settings = msgspec.json.decode(sys.stdin.buffer.read(), type=KubernetesSettings)
    start = time.perf_counter()
    count = asyncio.run(CHILDREN[name](settings))  # type: ignore[arg-type]
    took = time.perf_counter() - start
    status = Path("/proc/self/status").read_text()  # rusage would tell the parent's peak
    print(took, int(status.split("VmHWM:")[1].split()[0]) / 1024, count)


async def latencies(settings: KubernetesSettings) -> None:
    """Writes, how long until a watch of another store has them, and until it is complete."""
    store = await KubernetesDatastore.open(settings)
    watcher = await KubernetesDatastore.open(settings)
    kinds = ("NetworkSet", "Tier", "IPPool", "Node", "Namespace", "GlobalNetworkPolicy")
    for kind in kinds:
        await store.list(kind)
    since = await store.revision()
    event_after, complete_after = [], []
    async with aclosing(watcher.watch(kinds, since)) as batches:
        for number in range(100):
            start = time.perf_counter()
            made = await store.create(_set(f"latency-{number}"))
            told = False
            async for batch in batches:
                if batch.events and not told:
                    told = True
                    event_after.append(time.perf_counter() - start)
                if batch.revision >= int(made.metadata.resource_version):
                    complete_after.append(time.perf_counter() - start)
                    break
    tell("kubernetes_write_to_event_p50", 1000 * statistics.median(event_after), "ms")
    tell("kubernetes_write_to_complete_p50", 1000 * statistics.median(complete_after), "ms")
    await watcher.close()
    numbers = iter(range(WRITES))

    async def caller() -> None:
        for number in numbers:
            await store.create(_set(f"many-{number}"))

    start = time.perf_counter()
    await asyncio.gather(*(caller() for _ in range(CALLERS)))
    tell("kubernetes_creates_one_process", WRITES / (time.perf_counter() - start), "1/s")
    await store.close()


def _set(name: str) -> NetworkSet:
    return NetworkSet(metadata=ObjectMeta(name=name, namespace="default"), spec=NetworkSetSpec())


def main(pods: int, policies: int) -> None:
    with kube_server() as server:
        install(server.api)
        asyncio.run(latencies(server.client()))
        start = time.perf_counter()
        asyncio.run(load(server, pods, policies))
        print(f"loaded in {time.perf_counter() - start:.0f} s", file=sys.stderr)
        settings = server.client()
        size = child("read", settings)
        rounds = [(child("picture", settings), child("parsed", settings)) for _ in range(ROUNDS)]
        _, empty, _ = child("nothing", settings)
    assert all(ours[2] >= plain[2] == pods + policies for ours, plain in rounds), rounds
    took, bound = (min(each[side][0] for each in rounds) for side in (0, 1))
    total = f"{(pods + policies)}"
    tell("kubernetes_bytes_per_object", size[2] / (pods + policies), "B")
    tell(f"kubernetes_read_only_{total}", size[0], "s")
    tell(f"kubernetes_first_picture_{total}", took, "s")
    tell(f"kubernetes_read_and_parse_only_{total}", bound, "s")
    tell("kubernetes_first_picture_to_parse_only", took / bound, "ratio")
    tell("kubernetes_first_picture_peak", max(found[0][1] for found in rounds), "MiB")
    tell("kubernetes_parse_only_peak", max(found[1][1] for found in rounds), "MiB")
    tell("kubernetes_imports_only_peak", empty, "MiB")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--child", choices=CHILDREN)
    parser.add_argument("--pods", type=int, default=100_000)
    parser.add_argument("--policies", type=int, default=10_000)
    options = parser.parse_args()
    be_child(options.child) if options.child else main(options.pods, options.policies)
