"""The fan-out server under load: JSON lines {"name", "value", "unit"}.

Four processes: a writer that changes pods in a SQLite store at a steady rate; the server, with TLS;
two that hold raw TLS sockets, one for each client, and note when each revision came. Latency is
from the call of the write until a client has read the end of the batch that has it, for every write
and every client. Beside the server's CPU stands a bound of the same run: a bare loop in one process
that sends as many messages of as many bytes to as many plain sockets, encoding nothing.

FANOUT_CLIENTS ("400,2000"), FANOUT_OBJECTS (100000), FANOUT_SECONDS (30), FANOUT_RATE (1000).
"""

import asyncio
import bisect
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

sys.path.append(str(Path(__file__).parent.parent / "tests"))

from bench._fanout_load import OBJECTS, many_files, pod
from servers.pki import Pki
from tortie.datastore.sqlite import SqliteDatastore

CLIENTS = [int(n) for n in os.environ.get("FANOUT_CLIENTS", "400,2000").split(",")]
PROCESSES = 2  # that hold clients
EVERY = 10  # writes of which one counts, to keep the sum short
TICK = os.sysconf("SC_CLK_TCK")


def tell(name: str, value: float, unit: str) -> None:
    print(json.dumps({"name": name, "value": round(value, 3), "unit": unit}), flush=True)


def main() -> None:
    many_files()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder)
        pki = Pki(path)
        asyncio.run(fill(path / "store"))
        for clients in CLIENTS:
            measure(path, pki, clients)


async def fill(path: Path) -> None:
    store = await SqliteDatastore.open(path)
    for number in range(OBJECTS):
        await store.create(pod(number))
    await store.close()


# The whole of one run


def measure(path: Path, pki: Pki, clients: int) -> None:
    name = f"fanout.{clients}_clients"
    with child("serve", str(path)) as server:
        server.stdin.write(json.dumps(tls_files(pki)) + "\n")
        server.stdin.flush()
        port = int(server.stdout.readline())
        empty = memory(server.pid)
        tell(f"{name}.server_resident_before_clients", empty, "MiB")
        with child("hold", str(port), "1", tls_json(pki)) as single:
            tell(f"{name}.snapshot_to_one_client", joined(single), "s")
        share = [clients // PROCESSES] * PROCESSES
        started, used = time.monotonic(), cpu(server.pid)
        holders = [spawn("hold", str(port), str(n), tls_json(pki)) for n in share]
        try:
            for holder in holders:
                joined(holder)
            tell(f"{name}.all_join_at_once", time.monotonic() - started, "s")
            tell(f"{name}.all_join_server_cpu", cpu(server.pid) - used, "s")
            load(name, path, server, holders, sum(share), empty)
        finally:
            for holder in holders:
                holder.kill()
                holder.wait()
    bound(name, clients)


def load(
    name: str, path: Path, server: Any, holders: list[Any], clients: int, empty: float
) -> None:
    used, at = cpu(server.pid), time.monotonic()
    with child("write", str(path)) as writer:
        writes = [json.loads(line) for line in writer.stdout]
    spent, lasted = cpu(server.pid) - used, time.monotonic() - at
    time.sleep(2.0)
    last = writes[-1][0]
    seen: list[list[list[float]]] = []
    for holder in holders:
        holder.stdin.write("stop\n")
        holder.stdin.flush()
        seen += [json.loads(line) for line in holder.stdout]
    messages, size = volume(seen)
    tell(f"{name}.writes", len(writes) / (writes[-1][1] - writes[0][1]), "1/s")
    report(name, writes, seen, last)
    tell(f"{name}.server_cpu", 100 * spent / lasted, "%")
    tell(f"{name}.server_resident", memory(server.pid), "MiB")
    tell(f"{name}.memory_for_each_client", (memory(server.pid) - empty) * 1024 / clients, "KiB")
    tell(f"{name}.batches", messages / lasted, "1/s")
    VOLUME[name] = (messages / lasted, size, 100 * spent / lasted)


VOLUME: dict[str, tuple[float, float, float]] = {}


def report(name: str, writes: list[list[float]], seen: list[Any], last: int) -> None:
    delays = []
    missing = 0
    for client in seen:
        revisions, times = client["revisions"], client["times"]
        missing += not revisions or revisions[-1] < last
        for revision, at in writes[::EVERY]:
            found = bisect.bisect_left(revisions, revision)
            if found < len(times):
                delays.append(times[found] - at)
    delays.sort()
    tell(f"{name}.clients_that_missed_the_end", missing + (len(seen) == 0), "")
    tell(f"{name}.write_to_client_p50", 1e3 * delays[len(delays) // 2], "ms")
    tell(f"{name}.write_to_client_p99", 1e3 * delays[int(len(delays) * 0.99)], "ms")
    tell(f"{name}.write_to_client_most", 1e3 * delays[-1], "ms")


def volume(seen: list[Any]) -> tuple[float, float]:
    """Messages to one client, and bytes of one on average."""
    messages = max(len(client["times"]) for client in seen)
    return messages, max(client["bytes"] for client in seen) / max(1, messages)


def bound(name: str, clients: int) -> None:
    rate, size, server = VOLUME[name]
    share = [clients // PROCESSES] * PROCESSES
    with child("bare", str(sum(share)), str(rate), str(int(size))) as sender:
        port = int(sender.stdout.readline())
        holders = [spawn("hold", str(port), str(n), "null") for n in share]
        try:
            percent = float(sender.stdout.readline())
        finally:
            for holder in holders:
                holder.kill()
                holder.wait()
    tell(f"{name}.bare_sending_of_the_same_cpu", percent, "%")
    tell(f"{name}.server_cpu_to_bare_sending", server / percent, "ratio")


def joined(holder: Any) -> float:
    return float(json.loads(holder.stdout.readline())["joined"])


# The processes


def spawn(*words: str) -> Any:
    return subprocess.Popen(
        [sys.executable, "-m", "bench._fanout_load", *words],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


@contextmanager
def child(*words: str) -> Iterator[Any]:
    process = spawn(*words)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


# Small change


def tls_files(pki: Pki) -> dict[str, str]:
    server, client = pki.server(), pki.issue("client")
    return {
        "ca": str(pki.ca_file),
        "server": str(server.certificate_file),
        "server_key": str(server.key_file),
        "client": str(client.certificate_file),
        "client_key": str(client.key_file),
    }


def tls_json(pki: Pki) -> str:
    return json.dumps(tls_files(pki))


def cpu(process: int) -> float:
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICK


def memory(process: int) -> float:
    for line in Path(f"/proc/{process}/status").read_text().splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1]) / 1024
    return 0.0


if __name__ == "__main__":
    main()
