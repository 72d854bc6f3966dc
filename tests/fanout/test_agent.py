"""The node agent behind fan-out servers: policy is enforced, and stays so whatever servers do."""

import os
import signal
import subprocess
import sys
from contextlib import suppress

import pytest

from cni.node import BOUND, RealNode, until
from cni.traffic import reaches
from tortie.api import (
    EntityRule,
    GlobalNetworkPolicy,
    GlobalNetworkPolicySpec,
    ObjectMeta,
    Rule,
)

pytestmark = pytest.mark.root


@pytest.fixture
def node(tmp_path, pki):
    """A node whose agent follows a server that is not started yet, by TLS."""
    pair = pki.issue("typha-client")
    environ = {
        "FELIX_TYPHAADDR": "127.0.0.1:5473",
        "FELIX_TYPHACAFILE": str(pki.ca_file),
        "FELIX_TYPHACERTFILE": str(pair.certificate_file),
        "FELIX_TYPHAKEYFILE": str(pair.key_file),
        "FELIX_TYPHACN": "typha-server",
    }
    found = RealNode(tmp_path, environ=environ)
    yield found
    found.close()


class Server:
    """`tortie fanout` on the node itself."""

    def __init__(self, node, pki):
        pair = pki.issue("typha-server")
        self._command = [
            *("nsenter", f"--net={node.netns}", sys.executable, "-m", "tortie.cli", "fanout"),
            *("--datastore", node.database),
        ]
        self._environ = {
            **os.environ,
            "TYPHA_CAFILE": str(pki.ca_file),
            "TYPHA_SERVERCERTFILE": str(pair.certificate_file),
            "TYPHA_SERVERKEYFILE": str(pair.key_file),
            "TYPHA_CLIENTCN": "typha-client",
        }
        self._process = None

    def start(self):
        self._process = subprocess.Popen(
            self._command, env=self._environ, stderr=subprocess.DEVNULL
        )

    def end(self, number=signal.SIGKILL):
        if self._process is not None:
            self._process.send_signal(number)
            self._process.wait(BOUND)
            self._process = None


@pytest.fixture
def server(node, pki):
    """The server that the node's agent looks for."""
    found = Server(node, pki)
    yield found
    found.end()


def only_port(port, name="server"):
    """Clients may reach the server on one UDP port, nobody anything else."""
    allow = Rule(
        action="Allow",
        protocol="UDP",
        source=EntityRule(selector="app == 'client'"),
        destination=EntityRule(ports=(port,)),
    )
    spec = GlobalNetworkPolicySpec(selector="app == 'server'", types=("Ingress",), ingress=(allow,))
    return GlobalNetworkPolicy(metadata=ObjectMeta(name=name), spec=spec)


def waiting_for(node):
    """What it says; nothing before it answers."""
    with suppress(OSError, ValueError):
        return " ".join(node.ask("status")["waiting_for"])
    return ""


def test_policy_comes_through_servers_and_stays_when_they_are_gone(node, server):
    node.start()
    until(lambda: "fan-out server" in waiting_for(node), "the agent to say what it waits for")
    server.start()
    until(node.is_ready, "readiness")
    node.applied(node.put(only_port(5000)))
    client, web = node.attach("client", app="client"), node.attach("web", app="server")
    assert reaches(client, web, 5000)
    assert not reaches(client, web, 5001, attempts=1)
    server.end()
    until(lambda: "fan-out server" in waiting_for(node), "the loss to be noticed")
    later = node.put(only_port(5001, "more"))
    assert reaches(client, web, 5000)
    assert not reaches(client, web, 5001, attempts=1)
    server.start()
    until(node.is_ready, "readiness")
    node.applied(later)
    assert reaches(client, web, 5001)
    server.end(signal.SIGTERM)
    until(lambda: "fan-out server" in waiting_for(node), "the loss to be noticed")
    assert reaches(client, web, 5001)
