"""Under traffic and churn: a full disk of the log, a datastore that stands still or dies, lost
notifications, and an object that the firewall refuses. Nothing denied passes, nothing allowed is
lost, and the end is what a fresh agent makes of it.

TORTIE_EVERY_FIREWALL=1: each with each firewall. Others' damage to rules, sets and routes is in
`tests/agent/test_drift.py` and `tests/dataplane/iptables/test_iptables_{watch,drift}.py`.
"""

import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from agent.test_process import page
from cni.node import RealNode, until
from cni.traffic import reaches
from dataplane.proof.firewalls import Firewall, chosen
from dataplane.proof.nodes import inside, node_of, policy, siege
from servers.etcd import MISSING, EtcdServer
from tortie.api import EntityRule, GlobalNetworkPolicy, Rule
from tortie.datastore.settings import EtcdSettings

pytestmark = [pytest.mark.root, pytest.mark.timeout(600)]


@contextmanager
def full_disk(folder: Path) -> Iterator[Path]:
    """A file on a file system of its own that has no room left."""
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "full", folder], check=True)
    try:
        with suppress(OSError), open(folder / "ballast", "wb", buffering=0) as file:
            while True:
                file.write(bytes(4096))
        yield folder / "agent.log"
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


@pytest.mark.parametrize("firewall", chosen(Firewall.LEGACY))
def test_a_full_disk_of_the_log(tmp_path: Path, firewall: Firewall) -> None:
    with full_disk(tmp_path / "full") as log:
        node = node_of(tmp_path, firewall)
        node.log = log
        with siege(node, firewall, 1) as under:
            under.wait_for_packets(500)
            node.kill()
            node.start_ready()
            under.wait_for_packets(500)
            under.ends_well()
            assert "felix_logs_dropped" in page(node, 9091, "/metrics")[1]


class OnEtcd(RealNode):
    """A node whose datastore is an etcd beside it, reached through a relay in its namespace."""

    server: EtcdServer

    def __init__(self, folder: Path, environ: dict[str, str]) -> None:
        super().__init__(folder, environ=environ, database=f"etcd:{self.server.endpoint}")
        words = self.server.endpoint.removeprefix("http://").replace(":", "/")
        self._relay = subprocess.Popen(
            [sys.executable, "-m", "tortie.lab.relay", words, self.netns]
        )

    @property
    def settings(self) -> EtcdSettings:
        return self.server.client

    def close(self) -> None:
        self._relay.kill()
        self._relay.wait()
        super().close()


@pytest.mark.skipif(bool(MISSING), reason=MISSING)
@pytest.mark.parametrize("firewall", chosen(Firewall.NFTABLES))
def test_a_datastore_that_stands_still_and_then_dies(
    tmp_path: Path, firewall: Firewall, etcd: EtcdServer
) -> None:
    class Made(OnEtcd):
        server = etcd

    node = node_of(tmp_path, firewall, Made)
    with siege(node, firewall, 2) as under:
        with etcd.silent():
            under.wait_for_packets(500)
            node.kill()
            node.start()  # it waits for its datastore, and policy holds
            under.wait_for_packets(1500)
        until(node.is_ready, "readiness once the datastore answers")
        etcd.kill()
        until(lambda: not node.ask("status")["ready"], "the loss to be noticed")
        under.wait_for_packets(500)
        etcd.restart()
        under.ends_well()


def dropped(node: RealNode) -> int:
    """How many notifications the kernel could not give to processes of this namespace."""
    lines = inside(node, "cat", "/proc/net/netlink").splitlines()
    place = lines[0].split().index("Drops")
    return sum(int(line.split()[place]) for line in lines[1:])


@pytest.mark.parametrize("firewall", chosen(Firewall.NFTABLES))
def test_notifications_that_are_lost(tmp_path: Path, firewall: Firewall) -> None:
    node = node_of(tmp_path, firewall)
    with siege(node, firewall, 3) as under:
        _, address = node.attach("extra")
        before = dropped(node)
        node.agent.send_signal(signal.SIGSTOP)
        try:
            until(lambda: _overflowed(node, before), "the kernel to lose notifications", 120.0)
            inside(node, "ip", "route", "delete", address.partition("/")[0])
        finally:
            node.agent.send_signal(signal.SIGCONT)
        until(lambda: node.route_to(address), "the route that went unheard")
        under.ends_well()


def _overflowed(node: RealNode, before: int) -> bool:
    """Whether it did after this storm of another's changes to routes that look like ours."""
    lines = [
        f"route {verb} 198.18.{n >> 8}.{n & 255} dev eth0 proto 80"
        for verb in ("add", "delete")
        for n in range(20_000)
    ]
    subprocess.run(
        ["nsenter", f"--net={node.netns}", "ip", "-batch", "-"],
        input="\n".join(lines),
        text=True,
        check=True,
    )
    return dropped(node) > before


PLANTED = """
    from msgspec.structs import replace
    from tortie.engine.engine import Engine
    from tortie.policy.program import PeerMatch

    engine_apply = Engine.apply

    def apply(self, updates):
        delta = engine_apply(self, updates)
        return replace(delta, policies={name: _read(one) for name, one in delta.policies.items()})

    def _read(policy):
        damned = [rule.destination.ports[:1] == ((6666, 6666),) for rule in policy.ingress]
        if not any(damned):
            return policy
        nowhere = PeerMatch(sets=("s:never-given",))
        rules = tuple(replace(one, source=nowhere) for one in policy.ingress)
        return replace(policy, ingress=rules)

    Engine.apply = apply
    from tortie.cli.main import main
    raise SystemExit(main())
"""


class Planted(RealNode):
    """A node whose engine names a set that it never gave, in policies about port 6666."""

    def command(self, *options: str) -> list[str]:
        plain = super().command(*options)
        place = plain.index("-m")
        return [*plain[:place], "-c", textwrap.dedent(PLANTED), *plain[place + 2 :]]


def opened(name: str, order: float, port: int) -> GlobalNetworkPolicy:
    """A policy that opens one port of the server."""
    rule = Rule(action="Allow", protocol="UDP", destination=EntityRule(ports=(port,)))
    return policy(name, order, rule)


@pytest.mark.parametrize("firewall", chosen(Firewall.NFTABLES, Firewall.NFT))
def test_an_object_that_the_firewall_refuses(tmp_path: Path, firewall: Firewall) -> None:
    node = node_of(tmp_path, firewall, Planted)
    with siege(node, firewall, 4) as under:
        batch = [opened(f"many-{n}", 300.0 + n, 7000 + n) for n in range(150)]
        node.agent.send_signal(signal.SIGSTOP)  # so that it gets them as one
        node.put(
            *batch[:75], opened("damned", 350.5, 6666), *batch[75:], opened("late", 250.0, 8001)
        )
        node.agent.send_signal(signal.SIGCONT)
        until(lambda: "damned" in str(node.ask("status")["failures"]), "the refused policy's name")
        until(lambda: reaches(under.client, under.server, 8001), "the rest of the batch")
        assert {one["subject"] for one in node.ask("status")["failures"]} == {
            "GlobalNetworkPolicy(damned)"
        }
        assert "damned" in node.log.read_text()
        body = page(node, 9091, "/metrics")[1]
        numbers = dict(one.rsplit(" ", 1) for one in body.splitlines() if not one.startswith("#"))
        assert float(numbers["felix_int_dataplane_failures"]) > 0
        node.store(lambda store: store.delete(opened("damned", 0.0, 0).key))
        node.put(opened("damned", 350.5, 6667))
        until(lambda: not node.ask("status")["failures"], "its repair once it is mended")
        under.ends_well()
