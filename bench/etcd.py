"""What etcd as datastore costs: prints JSON lines {"name", "value", "unit"}.

Writes from one process stand beside bare transactions of the same bytes by the same number of
callers. The first picture of 100,000 pods of 3 kB and 10,000 policies goes through `Syncer` in a
process of its own, whose peak memory is told; another process reads the same pages one after the
other and parses them into plain objects, nothing else: that is the bound of the ratio.
"""

import asyncio
import subprocess
import sys
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

from bench.sync import PODS, POLICIES, first_picture, pod, policy, tell
from servers.etcd import EtcdServer, etcd_server
from tortie.api import Key
from tortie.api.codec import decode
from tortie.datastore.etcd import EtcdDatastore, objects, requests
from tortie.datastore.etcd import rpc_pb2 as pb
from tortie.datastore.etcd.connection import Connection
from tortie.datastore.etcd.layout import paths_of, spans
from tortie.datastore.etcd.members import RANGE, TXN
from tortie.datastore.settings import EtcdSettings

WRITES, CALLERS, ROUNDS = 10_000, 32, 3
LOADED_AT_ONCE = 100  # etcd takes 128 operations in one transaction
PAGE = 500


async def by_callers(work: Callable[[int], Coroutine[Any, Any, object]], count: int) -> float:
    """How many a second `CALLERS` do, each one after the other."""
    numbers = iter(range(count))

    async def caller() -> None:
        for number in numbers:
            await work(number)

    start = time.perf_counter()
    await asyncio.gather(*(caller() for _ in range(CALLERS)))
    return count / (time.perf_counter() - start)


async def writes(settings: EtcdSettings) -> None:
    """Creates and read-change-writes, beside bare transactions of the same bytes."""
    store, bare = await EtcdDatastore.open(settings), Connection(settings)
    pods = [decode("Pod", msgspec.json.encode(pod(number))) for number in range(WRITES)]
    value = msgspec.json.encode(pod(0))

    async def put(number: int) -> object:
        request = requests.create(b"/bare/%d" % number, value)
        member = bare.member
        return await member.call(TXN)(request, timeout=10)

    async def change(number: int) -> object:
        return await store.update(await store.get(pods[number].key))

    made = await by_callers(lambda number: store.create(pods[number]), WRITES)
    plain = await by_callers(put, WRITES)
    tell("etcd_creates_one_process", made, "1/s")
    tell("etcd_bare_transactions_one_process", plain, "1/s")
    tell("etcd_creates_to_bare_transactions", made / plain, "ratio")
    tell("etcd_read_change_writes_one_process", await by_callers(change, WRITES), "1/s")
    await store.close()
    await bare.close()


async def load(settings: EtcdSettings) -> None:
    """All pods and policies, as another program would have written them."""
    connection = Connection(settings)
    bodies = [("Pod", pod(number)) for number in range(PODS)]
    bodies += [("KubernetesNetworkPolicy", policy(number)) for number in range(POLICIES)]

    async def put(number: int) -> object:
        part = bodies[number * LOADED_AT_ONCE : (number + 1) * LOADED_AT_ONCE]
        request = pb.TxnRequest(success=[_put(kind, body) for kind, body in part])
        return await connection.member.call(TXN)(request, timeout=30)

    await by_callers(put, -(-len(bodies) // LOADED_AT_ONCE))
    await connection.close()


def _put(kind: str, body: dict[str, Any]) -> pb.RequestOp:
    key = Key(kind, body["metadata"]["namespace"], body["metadata"]["name"])
    put = pb.PutRequest(key=paths_of(key)[0], value=msgspec.json.encode(body) + objects.mark())
    return pb.RequestOp(request_put=put)


async def picture(settings: EtcdSettings) -> None:
    """The child: a first picture through `Syncer`."""
    store = await EtcdDatastore.open(settings)
    assert await first_picture(store) >= PODS + POLICIES
    await store.close()


async def parsed(settings: EtcdSettings) -> None:
    """The child: the same bytes, parsed into plain objects and dropped page by page."""
    connection, count = Connection(settings), 0
    for kind in ("Pod", "KubernetesNetworkPolicy"):
        (span,) = spans(kind)
        start: bytes | None = span.start
        while start is not None:
            request = requests.page(span, start, PAGE, 0)
            answer = await connection.member.call(RANGE)(request, timeout=30)
            count += len([msgspec.json.decode(kv.value) for kv in answer.kvs])
            start = answer.kvs[-1].key + b"\0" if answer.more else None
    assert count == PODS + POLICIES
    await connection.close()


CHILDREN = {"picture": picture, "parsed": parsed, "nothing": None}


def child(name: str, endpoint: str) -> tuple[float, float]:
    """Seconds and peak MiB of a child."""
    done = subprocess.run(
        [sys.executable, "-m", "bench.etcd", name, endpoint],
        stdout=subprocess.PIPE,
        text=True,
        timeout=300,
        check=True,
    )
    seconds, peak = done.stdout.split()
    return float(seconds), float(peak)


def be_child(name: str, endpoint: str) -> None:
    """What `child` runs."""
    work = CHILDREN[name]
    start = time.perf_counter()
    if work is not None:
        asyncio.run(work(EtcdSettings(endpoints=(endpoint,))))
    took = time.perf_counter() - start
    status = Path("/proc/self/status").read_text()  # rusage would tell the parent's peak
    print(took, int(status.split("VmHWM:")[1].split()[0]) / 1024)


@contextmanager
def server() -> Iterator[EtcdServer]:
    """On the disk and with its flushes, with room for the pods."""
    with etcd_server(flags=("--quota-backend-bytes", str(8 << 30)), durable=True) as found:
        yield found


def main() -> None:
    with server() as etcd:
        asyncio.run(writes(etcd.client))
    with server() as etcd:
        asyncio.run(load(etcd.client))
        rounds = [
            (child("picture", etcd.endpoint), child("parsed", etcd.endpoint)) for _ in range(ROUNDS)
        ]
        _, empty = child("nothing", etcd.endpoint)
    took, bound = (min(each[side][0] for each in rounds) for side in (0, 1))
    tell("etcd_first_picture_110000", took, "s")
    tell("etcd_read_and_parse_only_110000", bound, "s")
    tell("etcd_first_picture_to_parse_only", took / bound, "ratio")
    tell("etcd_first_picture_peak", max(found[0][1] for found in rounds), "MiB")
    tell("etcd_parse_only_peak", max(found[1][1] for found in rounds), "MiB")
    tell("etcd_imports_only_peak", empty, "MiB")


if __name__ == "__main__":
    be_child(*sys.argv[1:]) if len(sys.argv) > 1 else main()
