"""The processes of `bench.fanout` beside it: the server, a writer, clients, and a bare sender.

serve PATH                   the server, over the store at PATH; TLS files come by its input
write PATH                   changes random pods, FANOUT_RATE a second for FANOUT_SECONDS
hold PORT COUNT TLS          so many clients; "stop" by its input has it print what came
bare CLIENTS RATE SIZE       sends as many messages of as many bytes, encoding nothing
"""

import asyncio
import json
import os
import random
import resource
import select
import socket
import ssl
import struct
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from tortie.api import ObjectMeta, Pod, PodSpec, PodStatus
from tortie.datastore.sqlite import SqliteDatastore
from tortie.fanout.certificates import Tls
from tortie.fanout.frames import FrameType
from tortie.fanout.messages import Hello, written
from tortie.fanout.server import FanoutServer
from tortie.fanout.server_settings import ServerSettings
from tortie.sync import Syncer

OBJECTS = int(os.environ.get("FANOUT_OBJECTS", "100000"))
SECONDS = float(os.environ.get("FANOUT_SECONDS", "30"))
RATE = int(os.environ.get("FANOUT_RATE", "1000"))
BOUND_SECONDS = 5.0
REVISION = b'{"revision":'


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


def many_files() -> None:
    """As many open sockets as the system lets one process have."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


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
    many_files()
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
    many_files()
    listening = socket.create_server(("127.0.0.1", 0), backlog=1024)
    print(listening.getsockname()[1], flush=True)
    socks = [listening.accept()[0] for _ in range(clients)]
    message = struct.pack("!I", 1) * (size // 4)
    used, start, sent = time.process_time(), time.monotonic(), 0
    while time.monotonic() - start < BOUND_SECONDS:
        for sock in socks:
            sock.sendall(message)
        sent += 1
        time.sleep(max(0.0, start + sent / rate - time.monotonic()))
    lasted = time.monotonic() - start
    print(100 * (time.process_time() - used) / lasted, flush=True)


def client_context(files: dict[str, str]) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.load_verify_locations(files["ca"])
    context.load_cert_chain(files["client"], files["client_key"])
    return context


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
        case words:
            sys.exit(f"bench: unknown words {words}")
