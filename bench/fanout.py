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
import random
import resource
import select
import socket
import ssl
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

sys.path.append(str(Path(__file__).parent.parent / "tests"))

from servers.pki import Pki
from tortie.api import ObjectMeta, Pod, PodSpec, PodStatus
from tortie.datastore.sqlite import SqliteDatastore
from tortie.fanout.certificates import Tls
from tortie.fanout.frames import FrameType
from tortie.fanout.messages import Hello, written
from tortie.fanout.server import FanoutServer
from tortie.fanout.server_settings import ServerSettings
from tortie.sync import Syncer

CLIENTS = [int(n) for n in os.environ.get("FANOUT_CLIENTS", "400,2000").split(",")]
OBJECTS = int(os.environ.get("FANOUT_OBJECTS", "100000"))
SECONDS = float(os.environ.get("FANOUT_SECONDS", "30"))
RATE = int(os.environ.get("FANOUT_RATE", "1000"))
PROCESSES = 2  # that hold clients
BOUND_SECONDS = 5.0
EVERY = 10  # writes of which one counts, to keep the sum short
TICK = os.sysconf("SC_CLK_TCK")
REVISION = b'{"revision":'


def tell(name: str, value: float, unit: str) -> None:
    print(json.dumps({"name": name, "value": round(value, 3), "unit": unit}), flush=True)


def pod(number: int, revision: str = "", stamp: str = "") -> Pod:
    node = f"node-{number % 1000}"
    labels = {"app": f"app-{number % 300}", "tier": "backend", "pod-template-hash": f"{number:x}"}
    return Pod(
        metadata=ObjectMeta(
            name=f"web-{number:06}-{hash_of(number)}",
            namespace=f"team-{number % 50}",
            labels={**labels, **({"stamp": stamp} if stamp else {})},
            resource_version=revision,
        ),
        spec=PodSpec(node_name=node, containers=(), service_account_name="default"),
        status=PodStatus(
            phase="Running", pod_ip=f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}"
        ),
    )


def hash_of(number: int) -> str:
    return f"{random.Random(number).getrandbits(40):010x}"


def main() -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
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
    with child("bare", str(clients), str(rate), str(int(size))) as sender:
        port = int(sender.stdout.readline())
        share = [clients // PROCESSES] * PROCESSES
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
        [sys.executable, "-m", "bench.fanout", *words],
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


async def serve(path: str) -> None:
    """The server; says its port once it has the whole picture."""
    files = json.loads(sys.stdin.readline())
    tls = Tls(files["ca"], files["server"], files["server_key"], "client")
    store = await SqliteDatastore.open(Path(path) / "store")
    never = 86_400.0  # the bench's clients answer no pings
    settings = ServerSettings(host="127.0.0.1", port=0, tls=tls, pong_timeout=never)
    server = FanoutServer(settings, {"felix": lambda admit: Syncer(store, admit=admit)})
    port = await server.start()
    running = asyncio.create_task(server.run())
    await server.upstream("felix").ready.wait()
    print(port, flush=True)
    await running


async def write(path: str) -> None:
    """Change random pods at a steady rate; prints [revision, time of the call] of each."""
    store = await SqliteDatastore.open(Path(path) / "store")
    chance, done, start = random.Random(1), [], time.monotonic()
    for number in range(int(SECONDS * RATE)):
        ahead = start + number / RATE - time.monotonic()
        if ahead > 0.001:
            await asyncio.sleep(ahead)
        at = time.monotonic()
        made = await store.update(pod(chance.randrange(OBJECTS), stamp=f"s{number}"))
        done.append((int(made.metadata.resource_version), at))
    for revision, at in done:
        print(json.dumps([revision, at]))
    await store.close()


class Holder:
    """One client: a socket, and what came on it."""

    __slots__ = ("bytes", "in_picture", "revisions", "sock", "tail", "times")

    def __init__(self, sock: Any) -> None:
        self.sock = sock
        self.tail = b""
        self.in_picture = True
        self.revisions: list[int] = []
        self.times: list[float] = []
        self.bytes = 0

    def read(self) -> bool:
        """Take what is there; whether the picture became whole by it."""
        whole = False
        try:
            while data := self.sock.recv(65536):
                whole |= self.saw(data)
        except (ssl.SSLWantReadError, BlockingIOError, ConnectionResetError):
            pass
        return whole

    def saw(self, data: bytes) -> bool:
        at = time.monotonic()
        self.bytes += 0 if self.in_picture else len(data)
        joint = self.tail + data
        found = joint.rfind(REVISION)
        self.tail = joint[-40:]
        if found < 0:
            return False
        end = joint.find(b"}", found)
        if end < 0:
            return False
        self.tail = joint[max(end + 1, len(joint) - 40) :]  # not to be found once more
        first, self.in_picture = self.in_picture, False
        if not first:
            self.revisions.append(int(joint[found + len(REVISION) : end]))
            self.times.append(at)
        return first


def hold(port: int, count: int, files: Any) -> None:
    """Connect so many clients at once, read for ever; on a line of input, print what came."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    context = client_context(files) if files else None
    poll, holders = select.epoll(), {}
    poll.register(sys.stdin.fileno(), select.EPOLLIN)
    started = time.monotonic()
    for _ in range(count):
        sock: Any = socket.create_connection(("127.0.0.1", port))
        if context:
            sock = context.wrap_socket(sock)
        with suppress(BrokenPipeError, ConnectionResetError):
            sock.sendall(written(FrameType.HELLO, Hello(versions=(1,), stream="felix")))
        sock.setblocking(False)
        holders[sock.fileno()] = Holder(sock)
        poll.register(sock.fileno(), select.EPOLLIN)
    whole = 0
    while True:
        for descriptor, _ in poll.poll():
            if descriptor == sys.stdin.fileno():
                return dump(holders)
            whole += holders[descriptor].read()
            if whole == count:
                print(json.dumps({"joined": time.monotonic() - started}), flush=True)
                whole = -1 << 60


def dump(holders: dict[int, Holder]) -> None:
    for holder in holders.values():
        came = {"revisions": holder.revisions, "times": holder.times, "bytes": holder.bytes}
        print(json.dumps(came))


def bare(clients: int, rate: float, size: int) -> None:
    """The bound: send, and nothing else."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    listening = socket.create_server(("127.0.0.1", 0), backlog=1024)
    print(listening.getsockname()[1], flush=True)
    socks = [listening.accept()[0] for _ in range(clients // PROCESSES * PROCESSES)]
    message = struct.pack("!I", 1) * (size // 4)
    used, start, sent = time.process_time(), time.monotonic(), 0
    while time.monotonic() - start < BOUND_SECONDS:
        for sock in socks:
            sock.sendall(message)
        sent += 1
        time.sleep(max(0.0, start + sent / rate - time.monotonic()))
    lasted = time.monotonic() - start
    print(100 * (time.process_time() - used) / lasted, flush=True)


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


def client_context(files: dict[str, str]) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.load_verify_locations(files["ca"])
    context.load_cert_chain(files["client"], files["client_key"])
    return context


def cpu(process: int) -> float:
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICK


def memory(process: int) -> float:
    for line in Path(f"/proc/{process}/status").read_text().splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1]) / 1024
    return 0.0


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["serve", path]:
            asyncio.run(serve(path))
        case ["write", path]:
            asyncio.run(write(path))
        case ["hold", port, count, files]:
            hold(int(port), int(count), json.loads(files))
        case ["bare", clients, rate, size]:
            bare(int(clients), float(rate), int(size))
        case _:
            main()
