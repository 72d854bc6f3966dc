"""A switch in a network namespace, and machines on it: nodes with our daemon, routers with BIRD.

Nothing is seen of it on the machine itself, and nothing is left of it at the end.
"""

import asyncio
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

from bgp.pictures import resources
from tortie.api import Key, Resource
from tortie.bgp.control import BirdAway, BirdControl
from tortie.bgp.places import FOLDER, SOCKET
from tortie.bgp.processes import SOCKET as BIRD_SOCKET
from tortie.bgp.replies import Reply
from tortie.bgp.running import end_left
from tortie.datastore import AlreadyExists
from tortie.datastore.sqlite import SqliteDatastore
from tortie.linux.namespaces import create_named, delete_named, path_of

BIRD = shutil.which("bird", path="/usr/sbin:/usr/bin:/usr/local/sbin")
PATIENCE = 60.0  # seconds; a bound, not an expectation
SUBNET4, SUBNET6 = "172.16.0", "fd16:"
_Found = TypeVar("_Found")


def until(what: Callable[[], _Found | None], seconds: float = PATIENCE, said: str = "") -> _Found:
    """What `what` gives once it gives anything; asks again and again, up to a bound."""
    deadline = time.monotonic() + seconds
    while True:
        found = what()
        if found:
            return found
        assert time.monotonic() < deadline, f"not within {seconds:g} s: {said or what!r}"
        time.sleep(0.02)


def same_moment(one: str, other: str) -> bool:
    """Whether two of BIRD's times say the same. It reckons them anew each time, from how long ago
    that was: the last digit differs. A session that was lost is up again a second later at best.
    """
    apart = datetime.fromisoformat(one) - datetime.fromisoformat(other)
    return abs(apart.total_seconds()) < 0.1


class Machine:
    """One namespace on the switch; its address is SUBNET4.number."""

    def __init__(self, network: "Network", name: str, number: int) -> None:
        self.network = network
        self.name = name
        self.namespace = f"{network.prefix}-{name}"
        self.address = f"{SUBNET4}.{number}"
        self.address6 = f"{SUBNET6}:{number:x}"
        self.folder = network.folder / name
        self.folder.mkdir(mode=0o755, exist_ok=True)
        self.port = f"p-{name}"[:15]
        self.daemon: subprocess.Popen[bytes] | None = None
        create_named(self.namespace)
        network.namespaces.append(self.namespace)
        self.ip("link set lo up")
        self.ip(f"link add eth0 type veth peer name {self.port} netns {network.switch}")
        network.ip(f"link set {self.port} master br0 up")
        self.ip(f"addr add {self.address}/24 dev eth0")
        self.ip(f"addr add {self.address6}/64 dev eth0 nodad")
        self.ip("link set eth0 up")
        self.run("sysctl", "-qw", "net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1")
        self.run("sysctl", "-qw", "net.ipv4.conf.all.rp_filter=0")

    def command(self, *words: str) -> list[str]:
        """A command inside of the namespace."""
        return ["nsenter", f"--net={path_of(self.namespace)}", *words]

    def run(self, *words: str) -> str:
        """What a command inside prints."""
        done = subprocess.run(self.command(*words), capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{words}: {done.stderr}"
        return done.stdout

    def ip(self, words: str) -> str:
        """iproute2 inside."""
        return self.run("ip", *words.split())

    def routes(self, version: int = 4, protocol: str = "bird") -> dict[str, dict[str, Any]]:
        """The kernel's routes of a protocol, by destination."""
        text = self.ip(f"-j -{version} route show proto {protocol}")
        return {route["dst"]: route for route in json.loads(text or "[]")}

    def workload(self, address: str, name: str = "", metric: int = 1024) -> None:
        """A local workload: a link with its address behind it, and the agent's route to it."""
        link = name or "cali" + re.sub(r"\W", "", address)[-10:]
        self.ip(f"link add {link} type veth peer name w{link[4:]}")
        self.ip(f"link set {link} up")
        self.ip(f"link set w{link[4:]} up")
        version = 6 if ":" in address else 4
        self.ip(f"-{version} route add {address} dev {link} metric {metric}")

    def owns(self, address: str) -> None:
        """An address of the machine itself, to answer pings at."""
        self.ip(f"addr add {address} dev lo")

    def cut(self) -> None:
        """Take its cable out."""
        self.network.ip(f"link set {self.port} down")

    def mend(self) -> None:
        """Put it in again."""
        self.network.ip(f"link set {self.port} up")


class Node(Machine):
    """A machine with `tortie bgp`."""

    def start(self, datastore: str = "", **environ: str) -> None:
        """Start the daemon, in the place of one that was ended."""
        datastore = datastore or f"sqlite:{self.network.store}"
        command = [sys.executable, "-m", "tortie.cli", "bgp", "--node", self.name]
        command += ["--run-dir", str(self.folder), "--datastore", datastore]
        with (self.folder / "log").open("ab") as log:
            self.daemon = subprocess.Popen(
                self.command(*command),
                env={**os.environ, **environ},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    def stop(self, number: int = signal.SIGTERM) -> None:
        """End the daemon."""
        if self.daemon is not None:
            self.daemon.send_signal(number)
            self.daemon.wait(PATIENCE)
            self.daemon = None

    @property
    def log(self) -> str:
        """What the daemon and its BIRD wrote."""
        return (self.folder / "log").read_text()

    def asks(self, verb: str = "status") -> dict[str, Any] | None:
        """The daemon's answer; None while it has no socket yet."""
        return asyncio.run(_ask(self.folder / SOCKET, verb))

    def sessions(self) -> dict[str, dict[str, Any]]:
        """The sessions by name; none while the daemon does not answer."""
        return {each["name"]: each for each in (self.asks() or {"sessions": []})["sessions"]}

    def wait_up(self, *names: str) -> dict[str, dict[str, Any]]:
        """Wait until these sessions are up."""

        def up() -> dict[str, dict[str, Any]] | None:
            found = self.sessions()
            good = all(found.get(each, {}).get("state") == "Established" for each in names)
            return found if found and good else None

        return until(up, said=f"{names} of {self.name} up")

    @property
    def bird_folder(self) -> Path:
        """Where its BIRD is."""
        return self.folder / FOLDER / "bird"

    def bird_process(self) -> int:
        """The process id of its BIRD; 0 for none."""
        return asyncio.run(_process(str(self.bird_folder / BIRD_SOCKET)))

    def bird(self, command: str) -> Reply:
        """Ask its BIRD."""
        return asyncio.run(_bird(str(self.bird_folder / BIRD_SOCKET), command))

    def known(self, prefix: str) -> str:
        """All that its BIRD knows of a prefix; "" for nothing."""
        return _text(self.bird(f"show route all {prefix}"))


class Router(Machine):
    """A machine outside of the cluster, with a BIRD of its own."""

    process: "subprocess.Popen[bytes] | None" = None

    def start(self, protocols: str) -> None:
        """Start BIRD with these protocols, or have it take them."""
        assert BIRD is not None
        text = f"log stderr all;\nrouter id {self.address};\nprotocol device {{ }}\n"
        text += 'protocol direct { ipv4; ipv6; interface "eth*"; }\n'
        text += "protocol kernel k4 { merge paths on; ipv4 { export all; }; }\n"
        text += "protocol kernel k6 { merge paths on; ipv6 { export all; }; }\n"
        (self.folder / "bird.conf").write_text(text + protocols)
        if self.process is not None:
            assert not self.bird("configure").failed
            return
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                self.command(BIRD, "-f", "-c", "bird.conf", "-s", "bird.ctl"),
                cwd=self.folder,
                stderr=log,
            )
        until(lambda: (self.folder / "bird.ctl").exists())

    def bird(self, command: str) -> Reply:
        """Ask its BIRD."""
        return asyncio.run(_bird(str(self.folder / "bird.ctl"), command))

    def known(self, prefix: str) -> str:
        """All that its BIRD knows of a prefix; "" for nothing."""
        return _text(self.bird(f"show route all {prefix}"))


class Network:
    """The switch, its machines, and the cluster's datastore."""

    _made = 0

    def __init__(self, folder: Path) -> None:
        Network._made += 1
        self.prefix = f"tb{os.getpid()}-{Network._made}"
        self.folder = folder
        self.store = folder / "store.db"
        self.switch = f"{self.prefix}-switch"
        self.namespaces: list[str] = []
        self.machines: list[Machine] = []

    def __enter__(self) -> "Network":
        create_named(self.switch)
        self.namespaces.append(self.switch)
        self.ip("link add br0 type bridge mcast_snooping 0")
        self.ip("link set br0 up")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for machine in self.machines:
            if isinstance(machine, Node):
                machine.stop()
                asyncio.run(end_left(str(machine.bird_folder)))
            if isinstance(machine, Router) and machine.process is not None:
                machine.process.kill()
                machine.process.wait()
        for name in self.namespaces:
            delete_named(name)

    def ip(self, words: str) -> None:
        """iproute2 in the switch."""
        command = ["nsenter", f"--net={path_of(self.switch)}", "ip", *words.split()]
        subprocess.run(command, check=True)

    def node(self, name: str, number: int, **more: str) -> Node:
        """A node, and its Node resource; not started."""
        found = Node(self, name, number)
        self.machines.append(found)
        fields = "".join(f", {field}: {value}" for field, value in more.items())
        self.apply(
            f"""
            apiVersion: projectcalico.org/v3
            kind: Node
            metadata: {{name: {name}, labels: {{name: {name}}}}}
            spec:
              bgp: {{ipv4Address: {found.address}/24, ipv6Address: "{found.address6}/64"{fields}}}
            """
        )
        return found

    def block(self, node: str, cidr: str) -> None:
        """A block of a node's."""
        name = re.sub(r"\W+", "-", f"{node}-{cidr}")
        self.apply(
            f"""
            apiVersion: projectcalico.org/v3
            kind: BlockAffinity
            metadata: {{name: {name}}}
            spec: {{cidr: "{cidr}", node: {node}, state: confirmed, deleted: false}}
            """
        )

    def router(self, name: str, number: int) -> Router:
        """A router outside of the cluster; not started."""
        found = Router(self, name, number)
        self.machines.append(found)
        return found

    def apply(self, *texts: str) -> None:
        """Store resources."""
        asyncio.run(_store(self.store, resources(*texts)))

    def delete(self, kind: str, name: str) -> None:
        """Remove a resource."""
        asyncio.run(_remove(self.store, Key(kind, "", name)))

    def read(self, kind: str, name: str) -> Resource:
        """A resource as it is stored."""
        return asyncio.run(_read(self.store, Key(kind, "", name)))


async def _store(path: Path, found: list[Resource]) -> None:
    store = await SqliteDatastore.open(str(path))
    try:
        for resource in found:
            try:
                await store.create(resource)
            except AlreadyExists:
                await store.update(resource)
    finally:
        await store.close()


async def _remove(path: Path, key: Key) -> None:
    store = await SqliteDatastore.open(str(path))
    try:
        await store.delete(key)
    finally:
        await store.close()


async def _read(path: Path, key: Key) -> Resource:
    store = await SqliteDatastore.open(str(path))
    try:
        return await store.get(key)
    finally:
        await store.close()


async def _ask(path: Path, verb: str) -> dict[str, Any] | None:
    try:
        reader, writer = await asyncio.open_unix_connection(path, limit=1 << 24)
    except OSError:
        return None
    writer.write(json.dumps({"verb": verb}).encode() + b"\n")
    line = await reader.readline()
    writer.close()
    return json.loads(line) if line else None


async def _bird(path: str, command: str) -> Reply:
    async with await BirdControl.open(path) as control:
        return await control.ask(command)


def _text(reply: Reply) -> str:
    return "" if reply.failed else "\n".join(line.text for line in reply.lines)


async def _process(path: str) -> int:
    try:
        async with await BirdControl.open(path) as control:
            return control.process
    except BirdAway:
        return 0
