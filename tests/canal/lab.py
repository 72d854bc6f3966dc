"""Nodes on a switch, in namespaces: real flanneld, real agents, containers by chains of plugins.

Nothing of the machine's own network is touched, and `close` takes everything away again.
"""

import itertools
import json
import os
import subprocess
import sys
from contextlib import ExitStack

from cni.chain import Chain
from cni.node import RealNode, until
from servers.flannel_build import cached
from servers.process import running, start, stop
from tortie.cni.install import install_plugin
from tortie.linux.links import Links
from tortie.linux.namespaces import create_named, delete_named, in_namespace
from tortie.linux.netlink.rtroute import KernelRoute
from tortie.linux.netlink.sockets import NetlinkSocket
from tortie.linux.routes import Routes
from tortie.net import Prefix, parse_address, parse_prefix

_numbers = itertools.count()
_NO_CHECK = 0x02  # IFA_F_NODAD


class Switch:
    """A namespace with a bridge, which nodes are plugged into. Its own address is .254."""

    def __init__(self):
        self.name = f"tt{os.getpid()}s{next(_numbers)}"
        self.path = create_named(self.name)
        self.run("ip", "link", "add", "br0", "type", "bridge")
        self.run("ip", "addr", "add", "172.31.0.254/24", "dev", "br0")
        self.run("ip", "link", "set", "br0", "up")
        self.run("ip", "link", "set", "lo", "up")

    def run(self, *words):
        """What a command inside prints."""
        command = ["nsenter", f"--net={self.path}", *words]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, f"{words}: {done.stderr}"
        return done.stdout

    def plug(self, netns, number, mtu):
        """Give a namespace eth0 with 172.31.0.NUMBER/24 and fd31::NUMBER/64, and default routes."""
        port = f"p{number}"
        with in_namespace(netns), NetlinkSocket() as sock:
            links = Links(sock)
            links.set_up("lo")
            descriptor = os.open(self.path, os.O_RDONLY)
            try:
                links.create_veth("eth0", port, descriptor, mtu=mtu)
            finally:
                os.close(descriptor)
            links.set_up("eth0")
            links.add_address("eth0", parse_prefix(f"172.31.0.{number}/24"))
            links.add_address("eth0", parse_prefix(f"fd31::{number}/64"), flags=_NO_CHECK)
            gateway = parse_address("172.31.0.254")[1]
            index = links.get("eth0").index
            Routes(sock).add(KernelRoute(Prefix(4, 0, 0), protocol=4, oif=index, gateway=gateway))
            gateway = parse_address("fd31::fe")[1]
            Routes(sock).add(KernelRoute(Prefix(6, 0, 0), protocol=4, oif=index, gateway=gateway))
        self.run("ip", "link", "set", port, "master", "br0", "up")

    def close(self):
        delete_named(self.name)


class Node(RealNode):
    """A node on a switch. Its CNI is a chain of plugins; nothing is in its datastore but what a
    test puts there."""

    def __init__(self, switch, folder, number, database, mtu=1500, settings=None, **environ):
        self.name = f"n{number}"
        self.number = number
        self.environ = environ
        self.database = database
        self._settings = settings or database
        self.run_dir = folder / f"run-{self.name}"
        self.log = folder / f"agent-{self.name}.log"
        self.folder = folder / self.name
        self.folder.mkdir()
        self.plugin = install_plugin(self.folder / "bin")
        self._prefix = f"tt{os.getpid()}c{next(_numbers)}"
        self.namespaces = []
        self.agent = None
        self.address = f"172.31.0.{number}"
        self.opened = ExitStack()
        self.netns = self.namespace("node")
        switch.plug(self.netns, number, mtu)

    @property
    def settings(self):
        return self._settings

    def close(self):
        self.opened.close()
        super().close()

    def run(self, *words):
        """What a command inside of the node prints."""
        command = ["nsenter", f"--net={self.netns}", *words]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, f"{words}: {done.stderr}"
        return done.stdout

    def routes(self):
        """The main table of IPv4, as iproute2 shows it."""
        return json.loads(self.run("ip", "-j", "-4", "route", "show"))

    def reach(self, *addresses):
        """Have these of the machine's own ports (127.0.0.1:PORT) be there inside of the node."""
        listed = ",".join(f"127.0.0.1/{port}" for port in addresses)
        command = [sys.executable, "-m", "tortie.lab.relay", listed, self.netns]
        log = self.folder / "relay.log"
        port = addresses[0]
        self.opened.enter_context(running(command, log, lambda: self._listens(port)))

    def _listens(self, port):
        return f":{port}" in self.run("ss", "-Hltn")

    def flannel(self, *options):
        """Start flanneld, and wait until it has written its subnet."""
        self.subnet_file = self.folder / "flannel" / "subnet.env"
        self.environ["TORTIE_FLANNEL_SUBNET_FILE"] = str(self.subnet_file)
        self._flannel_options = options
        self.flannel_log = self.folder / "flanneld.log"
        self.flanneld = None
        self.flannel_again()
        until(lambda: self._has_subnet(), f"flannel's subnet ({self.flannel_log})")

    def flannel_again(self):
        """The same anew, in the place of one that was ended."""
        command = [
            *("nsenter", f"--net={self.netns}", str(cached().daemon), "-iface=eth0", "-v=2"),
            *(f"-subnet-file={self.subnet_file}", "-ip-masq", *self._flannel_options),
        ]
        self.flanneld = start(["env", f"NODE_NAME={self.name}", *command], self.flannel_log)
        self.opened.callback(stop, self.flanneld)

    def _has_subnet(self):
        assert self.flanneld.poll() is None, self.flannel_log.read_text()[-3000:]
        return self.subnet_file.exists()

    def knows_others(self):
        """Whether flannel has made its ways to other nodes."""
        return any(route.get("dev") == "flannel.1" for route in self.routes())

    def conflist(self, name, *plugins, version="1.0.0"):
        """A chain, with each plugin's configuration as in a file of /etc/cni/net.d."""
        chain = Chain(self, name=name, version=version)
        chain.plugins = [
            {**one, "agent_socket": str(self.run_dir / "agent.sock")}
            if one["type"] == "calico"
            else one
            for one in plugins
        ]
        return chain


def with_flannels_plugin(node: Node) -> None:
    """Have the node's chains find flannel's own plugin."""
    target = node.plugin.parent / "flannel"
    if not target.exists():
        target.symlink_to(cached().plugin)
