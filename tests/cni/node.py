"""A node for tests: a network namespace, a datastore file, a real agent process, real containers.

Nothing of the machine's own network is touched; `close` takes everything away again, whatever
state it is in.
"""

import asyncio
import itertools
import json
import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress

from tortie.api import IPPool, IPPoolSpec, Namespace, ObjectMeta, Pod, PodSpec
from tortie.cni.install import install_plugin
from tortie.datastore import open_datastore
from tortie.lab.milestones import last_told
from tortie.linux.links import Links
from tortie.linux.namespaces import create_named, delete_named, in_namespace
from tortie.linux.netlink.rtroute import KernelRoute
from tortie.linux.netlink.sockets import NetlinkSocket
from tortie.linux.routes import Routes
from tortie.net import Prefix, parse_address, parse_prefix
from tortie.node.resource import ensure_node

BOUND = 90.0
_numbers = itertools.count()


def until(condition, what, bound=BOUND):
    """Wait for a condition; its value."""
    deadline = time.monotonic() + bound
    while not (found := condition()):
        assert time.monotonic() < deadline, f"{what} did not come within {bound} s"
        time.sleep(0.01)
    return found


class RealNode:
    """One node, named `name`, with its files under `folder`."""

    def __init__(
        self, folder, name="n1", pool="10.77.0.0/24", vxlan="", environ=None, database=None
    ):
        self.name = name
        self.environ = environ or {}
        self.run_dir = folder / f"run-{name}"
        self.database = database or f"sqlite:{folder / 'db' / 'tortie.db'}"
        self.log = folder / f"agent-{name}.log"
        self.plugin = install_plugin(folder / "bin")
        self._prefix = f"tt{os.getpid()}x{next(_numbers)}"
        self.namespaces = []
        self.agent = None
        self.netns = self.namespace("node")
        with in_namespace(self.netns):
            _uplink()
        self.prepare(name, pool, vxlan)

    def prepare(self, name, pool, vxlan):
        """Have the datastore hold what every node needs."""
        self.store(_first_resources(name, pool, vxlan))

    @property
    def settings(self):
        """What opens the datastore from a test; the agent gets `database`."""
        return self.database

    def namespace(self, name):
        """A new network namespace of this node's; its path."""
        path = create_named(f"{self._prefix}-{name}")
        self.namespaces.append(path)
        return str(path)

    def close(self):
        """End the agent, remove every namespace."""
        if self.agent is not None:
            self.kill()
        for path in self.namespaces:
            delete_named(path.name)

    def store(self, work):
        """Run `await work(store)` on the datastore; its result."""

        async def run():
            store = await open_datastore(self.settings)
            try:
                return await work(store)
            finally:
                await store.close()

        return asyncio.run(run())

    def put(self, *resources):
        """Create resources; the revision of the last."""

        async def work(store):
            return [await store.create(one) for one in resources][-1]

        return int(self.store(work).metadata.resource_version)

    def get(self, key):
        return self.store(lambda store: store.get(key))

    def command(self, *options):
        return [
            *("nsenter", f"--net={self.netns}", sys.executable, "-m", "tortie.cli", "agent"),
            *("--node", self.name, "--datastore", self.database),
            *("--run-dir", str(self.run_dir), *options),
        ]

    def start(self):
        """Start the agent, without waiting for anything."""
        environ = {**os.environ, **self.environ}
        with open(self.log, "ab") as log:
            self.agent = subprocess.Popen(self.command(), env=environ, stdout=log, stderr=log)

    def start_ready(self):
        """Start the agent and wait until it is ready."""
        self.start()
        until(self.is_ready, f"the agent's readiness (its log: {self.log})", 3 * BOUND)

    def is_ready(self):
        assert self.agent.poll() is None, self.log.read_text()
        with suppress(OSError, ValueError):
            return self.ask("status").get("ready")
        return False

    def ask(self, verb, **fields):
        """One request on the control socket."""
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(BOUND)
            client.connect(str(self.run_dir / "agent.sock"))
            client.sendall(json.dumps({"verb": verb, **fields}).encode() + b"\n")
            data = b""
            while not data.endswith(b"\n"):
                part = client.recv(65536)
                if not part:
                    raise ConnectionResetError(f"the agent hung up on {verb}")
                data += part
        return json.loads(data)

    def applied(self, revision):
        """Wait until a revision is in the kernel."""
        answer = self.ask("wait", revision=revision, timeout=BOUND)
        assert answer["ok"], answer

    def applied_all(self):
        """Wait until all that is in the datastore now is in the kernel."""
        self.applied(self.store(last_told))

    def kill(self, number=signal.SIGKILL):
        """End the agent by a signal; its exit status."""
        if self.agent.poll() is None:
            self.agent.send_signal(number)
        status = self.agent.wait(BOUND)
        self.agent = None
        return status

    def config(self, **values):
        return {
            "cniVersion": "1.0.0",
            "name": "k8s-pod-network",
            "type": "calico",
            "agent_socket": str(self.run_dir / "agent.sock"),
            "ipam": {"type": "calico-ipam"},
            **values,
        }

    def cni(self, command, container="c1", netns="", pod="", ifname="eth0", **config):
        """Run the plugin; the finished process."""
        started = self.cni_start(command, container, netns, pod, ifname, **config)
        out, err = started.communicate(timeout=120)
        return subprocess.CompletedProcess(started.args, started.returncode, out, err)

    def cni_start(self, command, container="c1", netns="", pod="", ifname="eth0", **config):
        """Start the plugin with its input; the running process."""
        environ = {
            "CNI_COMMAND": command,
            "CNI_CONTAINERID": container,
            "CNI_NETNS": netns,
            "CNI_IFNAME": ifname,
            "CNI_PATH": str(self.plugin.parent),
        }
        if pod:
            environ["CNI_ARGS"] = f"IgnoreUnknown=1;K8S_POD_NAMESPACE=default;K8S_POD_NAME={pod}"
        process = subprocess.Popen(
            [self.plugin],
            env=environ,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        process.stdin.write(json.dumps(self.config(**config)).encode())
        process.stdin.close()
        process.stdin = None
        return process

    def pod(self, name, **labels):
        """Store a Pod of this node."""
        metadata = ObjectMeta(name=name, namespace="default", labels=labels)
        return self.put(Pod(metadata=metadata, spec=PodSpec(node_name=self.name)))

    def attach(self, name, **labels):
        """A Pod with a namespace and an interface: (namespace, address)."""
        self.pod(name, **labels)
        netns = self.namespace(name)
        done = self.cni("ADD", f"id-{name}", netns, name)
        assert done.returncode == 0, done.stdout
        return netns, address_of(done)

    def links(self):
        """The names of the node's workload interfaces."""
        with in_namespace(self.netns), NetlinkSocket() as sock:
            return {link.name for link in Links(sock).list() if link.name.startswith("cali")}

    def route_to(self, address):
        """The node's own /32 route to an address, or None."""
        wanted = parse_prefix(address)
        with in_namespace(self.netns), NetlinkSocket() as sock:
            routes = Routes(sock).list(4)
        return next((route for route in routes if route.destination == wanted and route.oif), None)

    def ruleset(self):
        """The node's nftables rules."""
        listing = ["nsenter", f"--net={self.netns}", "nft", "-s", "list", "ruleset"]
        return subprocess.run(
            listing, capture_output=True, text=True, timeout=BOUND, check=True
        ).stdout


def address_of(done):
    """The address in a result of ADD."""
    return json.loads(done.stdout)["ips"][0]["address"]


def _uplink():
    """An interface with an address and a default route, as every node has."""
    with NetlinkSocket() as sock:
        links = Links(sock)
        links.set_up("lo")
        links.create_veth("eth0", "underlay")
        links.set_up("eth0")
        links.set_up("underlay")
        links.add_address("eth0", parse_prefix("172.31.0.2/24"))
        gateway = parse_address("172.31.0.1")[1]
        index = links.get("eth0").index
        Routes(sock).add(KernelRoute(Prefix(4, 0, 0), protocol=4, oif=index, gateway=gateway))


def _first_resources(node, pool, vxlan):
    async def work(store):
        spec = IPPoolSpec(cidr=pool, block_size=26, vxlan_mode=vxlan)
        await store.create(IPPool(metadata=ObjectMeta(name="pool"), spec=spec))
        await store.create(Namespace(metadata=ObjectMeta(name="default")))
        await ensure_node(store, node, "172.31.0.2/24")

    return work
