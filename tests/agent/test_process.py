"""The agent as a process on a node of its own: start, stop, kill -9, bad input, and packets."""

import argparse
import json
import os
import random
import socket
import sqlite3
import subprocess
from pathlib import Path

import pytest

from cni.node import BOUND, until
from cni.traffic import Flow, reaches
from tortie.api import (
    EntityRule,
    GlobalNetworkPolicy,
    GlobalNetworkPolicySpec,
    Key,
    ObjectMeta,
    Rule,
)
from tortie.api.calico.felix_configuration import FelixConfiguration, FelixConfigurationSpec
from tortie.cli.daemons import run_agent
from tortie.linux.namespaces import in_namespace

pytestmark = pytest.mark.root

RESTARTS = 20
RESIDENT_LIMIT = 100 << 20  # bytes


def only_port(port, name="server", clients="app == 'client'"):
    """Clients may reach the server on one UDP port, nobody anything else."""
    allow = Rule(
        action="Allow",
        protocol="UDP",
        source=EntityRule(selector=clients),
        destination=EntityRule(ports=(port,)),
    )
    spec = GlobalNetworkPolicySpec(selector="app == 'server'", types=("Ingress",), ingress=(allow,))
    return GlobalNetworkPolicy(metadata=ObjectMeta(name=name), spec=spec)


def page(node, port, path):
    """A page of the agent: (status line, body)."""
    with in_namespace(node.netns):
        client = socket.create_connection(("127.0.0.1", port), timeout=BOUND)
    with client:
        client.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        data = b""
        while part := client.recv(65536):
            data += part
    head, _, body = data.partition(b"\r\n\r\n")
    return head.split(b"\r\n")[0].decode(), body.decode()


def test_restarts_under_traffic_lose_no_allowed_packet_and_let_no_denied_one_through(node):
    node.start_ready()
    node.applied(node.put(only_port(5000)))
    client = node.attach("client", app="client")
    stranger = node.attach("stranger", app="stranger")
    server = node.attach("server", app="server")
    until(lambda: reaches(client, server, 5000), "the allowed packets")
    allowed = Flow(client, server, 5000)
    wrong_port = Flow(client, server, 5001)
    wrong_client = Flow(stranger, server, 5002)
    chance = random.Random(7)
    for _ in range(RESTARTS):
        node.kill()
        node.start()
        if chance.random() < 0.5:
            until(node.is_ready, "readiness")
        else:  # killed again in the middle of its start
            sent = allowed.sent
            until(lambda start=sent: allowed.sent > start + chance.randrange(1, 600), "packets")
    if node.agent is not None:
        until(node.is_ready, "readiness")
    for flow in (allowed, wrong_port, wrong_client):
        flow.stop()
    assert allowed.sent > 1000
    assert wrong_port.sent > 1000
    assert wrong_client.sent > 1000
    assert allowed.refused == 0
    assert allowed.lost == set()
    assert wrong_port.arrived == set()
    assert wrong_client.arrived == set()
    assert node.get(Key("GlobalNetworkPolicy", "", "server"))


def test_what_changed_while_the_agent_was_away_is_in_force_once_it_is_ready(node):
    node.start_ready()
    node.put(only_port(5000))
    client, server = node.attach("client", app="client"), node.attach("server", app="server")
    assert reaches(client, server, 5000)
    node.kill()
    node.store(lambda store: store.delete(Key("GlobalNetworkPolicy", "", "server")))
    node.put(only_port(6000, "other"))
    assert reaches(client, server, 5000)
    node.start_ready()
    assert not reaches(client, server, 5000, attempts=1)
    assert reaches(client, server, 6000)


def test_a_pod_that_went_while_the_agent_was_away_leaves_no_rule_and_no_route(node):
    node.start_ready()
    netns, address = node.attach("web")
    (interface,) = node.links()
    node.kill()
    node.store(lambda store: store.delete(Key("Pod", "default", "web")))
    assert interface in node.ruleset()
    node.start_ready()
    assert interface not in node.ruleset()
    assert node.route_to(address) is None
    assert netns


def test_sigterm_ends_it_cleanly_and_leaves_policy_in_force(node):
    node.start_ready()
    node.put(only_port(5000))
    client, server = node.attach("client", app="client"), node.attach("server", app="server")
    before = node.ruleset()
    assert node.kill(15) == 0
    assert "Traceback" not in node.log.read_text()
    assert node.ruleset() == before
    assert reaches(client, server, 5000)
    assert not reaches(client, server, 5001, attempts=1)
    assert not (node.run_dir / "agent.sock").exists()


def test_a_second_agent_on_the_same_run_directory_refuses_in_one_line(node):
    node.start_ready()
    done = subprocess.run(
        node.command(), capture_output=True, text=True, timeout=BOUND, check=False
    )
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert f"(process {node.agent.pid})" in line
    assert node.is_ready()


def test_a_second_agent_in_the_same_network_namespace_refuses_in_one_line(node, tmp_path):
    node.start_ready()
    command = [*node.command(), "--run-dir", str(tmp_path / "another")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=BOUND, check=False)
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert f"(process {node.agent.pid})" in line
    assert "network namespace" in line
    node.kill()  # a killed one leaves nothing behind that hinders the next
    node.start_ready()


def test_settings_that_it_must_not_run_with_stop_the_start_and_are_all_named(node):
    environ = {
        "FELIX_INTERFACEPREFIX": "a/b",
        "FELIX_DEFAULTENDPOINTTOHOSTACTION": "maybe",
        "PATH": "/usr/bin",
    }
    done = subprocess.run(
        node.command(), env=environ, capture_output=True, text=True, timeout=BOUND, check=False
    )
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert "the environment: InterfacePrefix='a/b': use a text that matches" in done.stderr
    assert "the environment: DefaultEndpointToHostAction='maybe': use one of" in done.stderr


def test_a_run_directory_with_too_long_a_name_is_told_in_one_line(node, tmp_path):
    done = subprocess.run(
        node.command("--run-dir", str(tmp_path / ("x" * 100))),
        capture_output=True,
        text=True,
        timeout=BOUND,
        check=False,
    )
    assert done.returncode == 1
    assert "use a shorter --run-dir" in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr


def test_without_root_it_says_so_and_does_nothing(monkeypatch, capsys):
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    arguments = argparse.Namespace(
        node="x", datastore="memory:", run_dir="/proc/none", address=None
    )
    assert run_agent(arguments) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.endswith("run it as root")


def test_without_a_capability_that_it_needs_it_names_it(node):
    done = subprocess.run(
        ["setpriv", "--bounding-set", "-net_admin", *node.command()],
        capture_output=True,
        text=True,
        timeout=BOUND,
        check=False,
    )
    assert done.returncode == 1
    assert "it lacks CAP_NET_ADMIN" in done.stderr.splitlines()[-1]


def test_a_malformed_object_in_the_datastore_stops_nothing(node):
    node.put(only_port(5000), only_port(5000, "damaged"))
    _damage(node, "damaged")
    node.start_ready()
    client, server = node.attach("client", app="client"), node.attach("server", app="server")
    assert reaches(client, server, 5000)
    warnings = node.ask("status")["warnings"]
    assert any("damaged" in warning for warning in warnings), warnings


def test_a_policy_that_can_not_be_lowered_closes_and_is_named(node):
    node.start_ready()
    bad = only_port(5000, clients="app ==")
    node.applied(node.put(bad))
    client, server = node.attach("client", app="client"), node.attach("server", app="server")
    assert not reaches(client, server, 5000, attempts=1)
    assert any("server" in warning for warning in node.ask("status")["warnings"])
    assert node.is_ready()


def test_pages_tell_health_and_numbers(node):
    node.start_ready()
    node.attach("web")
    assert page(node, 9099, "/liveness") == ("HTTP/1.1 200 OK", "live\n")
    assert page(node, 9099, "/readiness") == ("HTTP/1.1 200 OK", "ready\n")
    status, body = page(node, 9091, "/metrics")
    assert status == "HTTP/1.1 200 OK"
    numbers = dict(line.rsplit(" ", 1) for line in body.splitlines() if not line.startswith("#"))
    assert numbers["felix_active_local_endpoints"] == "1.0"
    assert numbers["felix_cluster_num_hosts"] == "1.0"
    assert numbers["felix_resync_state"] == "3.0"
    assert float(numbers["process_resident_memory_bytes"]) < RESIDENT_LIMIT


def test_where_the_file_with_the_mtu_is_required_a_node_without_it_is_not_ready(node):
    (node.run_dir / "mtu").mkdir(parents=True)  # nothing replaces a folder by a file
    node.start_ready()
    required = FelixConfigurationSpec(require_mtu_file=True)
    node.put(FelixConfiguration(metadata=ObjectMeta(name="default"), spec=required))
    until(lambda: "mtu-file: " in page(node, 9099, "/readiness")[1], "the file to be missed")
    assert page(node, 9099, "/liveness")[1] == "live\n"
    (node.run_dir / "mtu").rmdir()
    # What may change the MTU is another try; else it comes in half a minute.
    other = FelixConfigurationSpec(vxlan_mtu=1400)
    node.put(FelixConfiguration(metadata=ObjectMeta(name="node.n1"), spec=other))
    until(node.is_ready, "the file to be written")
    assert (node.run_dir / "mtu").read_text() == "1500\n"


def test_its_log_is_json(node):
    node.start_ready()
    node.kill(15)
    lines = [json.loads(line) for line in node.log.read_text().splitlines()]
    assert [line["event"] for line in lines][:2] == ["the datastore", "started"]
    assert all({"level", "timestamp"} <= line.keys() for line in lines)


def test_a_log_on_a_full_disk_costs_the_log_and_nothing_else(node):
    node.log = Path("/dev/full")
    node.start_ready()
    client, server = node.attach("client", app="client"), node.attach("server", app="server")
    node.applied(node.put(only_port(5000)))
    assert reaches(client, server, 5000)
    assert not reaches(client, server, 5001, attempts=1)
    _, body = page(node, 9091, "/metrics")
    numbers = dict(line.rsplit(" ", 1) for line in body.splitlines() if not line.startswith("#"))
    assert float(numbers["felix_logs_dropped"]) > 0
    assert node.kill(15) in (0, 120)  # 120: Python could not flush its last line either


def test_a_lost_datastore_keeps_policy_in_force_and_is_told(node):
    node.start_ready()
    node.applied(node.put(only_port(5000)))
    client, server = node.attach("client", app="client"), node.attach("server", app="server")
    database = Path(node.database.removeprefix("sqlite:"))
    away = database.parent.with_name("away")
    database.parent.rename(away)
    until(lambda: not node.ask("status")["ready"], "the loss to be noticed")
    assert page(node, 9099, "/liveness")[0] == "HTTP/1.1 200 OK"
    status, body = page(node, 9099, "/readiness")
    assert status == "HTTP/1.1 503 Service Unavailable"
    assert body.startswith("datastore: ")
    assert reaches(client, server, 5000)
    assert not reaches(client, server, 5001, attempts=1)
    away.rename(database.parent)
    until(node.is_ready, "readiness")
    node.applied(node.put(only_port(5001, "more")))
    assert reaches(client, server, 5001)


def test_an_empty_store_in_place_of_the_real_one_is_not_followed(node):
    """It would read as "all policy was deleted"."""
    node.start_ready()
    node.applied(node.put(only_port(5000)))
    client, server = node.attach("client", app="client"), node.attach("server", app="server")
    node.kill()
    database = Path(node.database.removeprefix("sqlite:"))
    database.parent.rename(database.parent.with_name("away"))
    refused = subprocess.run(node.command(), capture_output=True, text=True, timeout=BOUND)
    assert refused.returncode == 1
    assert "Traceback" not in refused.stderr
    reason = refused.stderr.splitlines()[-1]
    assert "is not the datastore that this node's policy came from" in reason
    assert reaches(client, server, 5000)
    assert not reaches(client, server, 5001, attempts=1)


def test_a_flushed_firewall_is_shut_even_where_the_datastore_is_damaged(node):
    node.start_ready()
    node.applied(node.put(only_port(5000)))
    client, server = node.attach("client", app="client"), node.attach("server", app="server")
    node.kill()
    subprocess.run(["nsenter", f"--net={node.netns}", "nft", "flush", "ruleset"], check=True)
    assert reaches(client, server, 5001)
    database = Path(node.database.removeprefix("sqlite:"))
    for leftover in database.parent.glob(database.name + "-[sw]*"):  # -shm, -wal
        leftover.unlink()
    database.write_bytes(b"no database" * 1000)
    refused = subprocess.run(node.command(), capture_output=True, text=True, timeout=BOUND)
    assert refused.returncode == 1
    assert not reaches(client, server, 5001, attempts=1)


def _damage(node, name):
    """Put bytes that are no resource in the place of a stored object."""
    with sqlite3.connect(node.database.removeprefix("sqlite:")) as database:
        query = "update objects set value = ? where name = ?"
        changed = database.execute(query, (b"{broken", name)).rowcount
    database.close()
    assert changed == 1
