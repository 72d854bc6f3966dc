"""A node's namespace before anything of ours was there, and after it was cleaned: the same."""

import asyncio
import json
import os
import re
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path

import pytest

from tortie.api.manifests import read_manifests
from tortie.cli.commands.lab_up import bring_up
from tortie.lab import fabric
from tortie.lab.cluster import Lab, take_down
from tortie.lab.journal import Journal
from tortie.lab.nodes import role
from tortie.lab.plan import Encap, Families, plan_lab, shape_of
from tortie.lab.processes import kill
from tortie.lab.progress import Silent
from tortie.linux.namespaces import path_of

pytestmark = pytest.mark.root
WAIT = 60
POD = """---
apiVersion: v1
kind: Pod
metadata:
  name: {name}
  namespace: default
  annotations: {{qos.projectcalico.org/ingressBandwidth: 10M}}
spec:
  nodeName: {node}
  containers: [{{name: c, image: i}}]
---
apiVersion: projectcalico.org/v3
kind: GlobalNetworkPolicy
metadata: {{name: p-{name}}}
spec: {{selector: all(), ingress: [{{action: Allow, source: {{nets: [10.0.0.0/8]}}}}]}}
"""
SOMEBODYS = """
table inet somebody { chain c { type filter hook input priority 0; policy accept; accept; }; }
"""
MODES = {
    "vxlan, nftables": (Encap.VXLAN, Families.DUAL, {}),
    "wireguard, iptables-nft": (
        Encap.WIREGUARD,
        Families.IPV4,
        {"FELIX_NFTABLESMODE": "Disabled", "FELIX_IPTABLESBACKEND": "NFT"},
    ),
    "bgp, iptables-legacy": (
        Encap.BGP,
        Families.IPV4,
        {"FELIX_NFTABLESMODE": "Disabled", "FELIX_IPTABLESBACKEND": "Legacy"},
    ),
}


class Node:
    """The first node of a lab that is brought up in two steps: its network, then all of ours."""

    def __init__(self, encap, families, labs):
        self.name, self.labs = f"rs{os.getpid()}", Path(labs)
        self.shape = shape_of(2, encap, "Always", families)
        self.plan = plan_lab(self.name, self.shape)
        self.station = self.plan.nodes[0]
        self.journal = Journal(self.name, self.labs)

    def raise_network(self):
        async def up():
            lab = await Lab.create(self.name, self.shape, Silent(), self.labs)
            fabric.ensure_router(self.plan, lab.journal)
            fabric.ensure_node(self.plan, self.station, lab.journal)
            await lab.close()

        asyncio.run(up())

    def bring_up(self):
        pods = {"a": "node-1", "b": "node-1", "c": "node-2"}
        text = "".join(POD.format(name=name, node=node) for name, node in pods.items())

        async def up():
            lab = await Lab.load(self.name, Silent(), self.labs)
            try:
                failed = [
                    one
                    for one in await bring_up(lab, read_manifests("pods", text))
                    if one.result == "failed"
                ]
                assert not failed, failed
            finally:
                await lab.close()

        asyncio.run(up())

    @property
    def run_dir(self):
        return self.journal.node_dir(self.station.name)

    def kill_daemons(self):
        for each in (role(self.station), f"bgp-{self.station.name}"):
            if (process := self.journal.process(each)) is not None:
                kill([process])

    def inside(self, *command, text=None):
        net = f"--net={path_of(self.station.namespace)}"
        return subprocess.run(
            ["nsenter", net, *command],
            capture_output=True,
            text=True,
            input=text,
            timeout=WAIT,
            check=False,
        )

    def reset(self, *words):
        command = [sys.executable, "-m", "tortie.cli", "node", "reset", *words]
        return self.inside(*command, "--run-dir", str(self.run_dir))

    def make_foreign(self):
        """What others have on a node, of each kind that we remove ours of."""
        for words in (
            "ip link add somebody type veth peer name somebodys",
            "ip link set somebody up",
            "ip route add 198.51.100.0/24 dev somebody proto static",
            "ip rule add from 198.51.100.1 lookup 77 priority 77",
            "iptables-legacy -A FORWARD -s 198.51.100.2 -j ACCEPT",
            "iptables-nft -A FORWARD -s 198.51.100.3 -j ACCEPT",
            "ipset create somebody hash:ip",
        ):
            done = self.inside(*words.split())
            assert done.returncode == 0, (words, done.stderr)
        assert self.inside("nft", "-f", "-", text=SOMEBODYS).returncode == 0

    def picture(self):
        """All that can be seen of the namespace, without what the kernel counts."""
        found = {}
        for name, words in PICTURE.items():
            done = self.inside(*words.split())
            assert done.returncode == 0, (words, done.stderr)
            found[name] = sorted(_plain(done.stdout))
        return found


PICTURE = {
    "links": "ip -o link",
    "addresses": "ip -o address",
    "routes": "ip -4 route show table all",
    "routes of IPv6": "ip -6 route show table all",
    "rules": "ip rule",
    "rules of IPv6": "ip -6 rule",
    "nftables": "nft list ruleset",
    "iptables": "iptables-legacy-save",
    "ip6tables": "ip6tables-legacy-save",
    "sets": "ipset list -n",
    "queues": "tc qdisc",
}
_BASE = "PREROUTING|INPUT|FORWARD|OUTPUT|POSTROUTING"
_EMPTY_CHAIN = re.compile(rf"chain (?:{_BASE}) \{{\s*type [^\n]*policy accept;\s*\}}")
_EMPTY_TABLE = re.compile(r"table ip6? (?:filter|raw|nat|mangle) \{\s*\}")
_EMPTY_LEGACY = re.compile(rf"\*\w+\n|:(?:{_BASE}) ACCEPT[^\n]*\n|COMMIT\n")
_COUNTED = re.compile(
    r"\[\d+:\d+\]|# Generated.*|# Completed.*|# Warning.*|counter packets \d+ bytes \d+"
    r"|(valid|preferred)_lft \w+|expires \w+|mtu \d+ qdisc \w+|link-netns(id)? \S+|@\S+|qlen \d+"
)


def _plain(text):
    """Lines without counters, ages, and what iptables makes for itself and leaves empty."""
    text = _EMPTY_LEGACY.sub("", _COUNTED.sub("", text))
    text = _EMPTY_TABLE.sub("", _EMPTY_CHAIN.sub("", text))
    return [" ".join(line.split()) for line in text.splitlines() if line.strip()]


@contextmanager
def node_of(encap, families):
    with tempfile.TemporaryDirectory(prefix="tn-") as labs:
        node = Node(encap, families, labs)
        try:
            yield node
        finally:
            if node.journal.exists:
                take_down(node.journal)


@pytest.mark.parametrize("mode", MODES)
def test_a_node_that_was_cleaned_is_as_it_was_before(mode, monkeypatch):
    encap, families, settings = MODES[mode]
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    with node_of(encap, families) as node:
        node.raise_network()
        node.make_foreign()
        before = node.picture()
        node.bring_up()

        refused = node.reset("--yes")
        assert refused.returncode == 1
        assert "nothing is removed: another agent" in refused.stderr
        node.kill_daemons()
        working = node.picture()
        assert working != before

        looked = node.reset()
        assert looked.returncode == 0, looked.stderr
        assert "nothing is changed: say --yes" in looked.stdout
        assert node.picture() == working

        done = node.reset("--yes", "-o", "json")
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)["removed"] is True
        assert node.picture() == before
        assert list(node.run_dir.iterdir()) == []
        assert "nothing of ours is here" in node.reset("--yes").stdout


@pytest.mark.parametrize("where", ["/", "/run", "beside"])
def test_a_folder_that_is_no_agents_is_not_emptied(tmp_path, where):
    (tmp_path / "precious").write_text("x")
    folder = str(tmp_path) if where == "beside" else where
    command = [sys.executable, "-m", "tortie.cli", "node", "reset", "--run-dir", folder]
    done = subprocess.run(
        ["unshare", "--net", *command], capture_output=True, text=True, timeout=WAIT, check=False
    )
    assert done.returncode == 1, done.stdout
    assert "run directory" in done.stderr
    assert [each.name for each in tmp_path.iterdir()] == ["precious"]


def test_the_picture_would_show_what_is_left():
    """What compares must see one chain, one route, one device more."""
    assert _plain("table ip calico {\n}") != []
    assert _plain("table ip filter {\nchain FORWARD {\ntype a policy accept;\n}\n}") == []
    assert _plain("table ip filter {\nchain cali-x {\n}\n}") != []
    assert _plain("*filter\n:INPUT ACCEPT [1:2]\n-A INPUT -j x\nCOMMIT\n") != []
    assert _plain("*filter\n:INPUT ACCEPT [1:2]\nCOMMIT\n") == []
