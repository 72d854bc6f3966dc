"""`tortie fanout` as a process: pages, signals, bad settings, no privileges."""

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
from contextlib import ExitStack, contextmanager, suppress

import pytest

from fanout.serving import caught_up, following, nets, until
from servers.process import PortTaken, free_port, running
from tortie.datastore.sqlite import SqliteDatastore
from tortie.fanout.certificates import Tls
from tortie.fanout.settings import FanoutClientSettings

COMMAND = [sys.executable, "-m", "tortie.cli", "fanout"]


def get(port, path):
    """A page: (status, body); nothing while nobody answers."""
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=10) as client:
        client.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        data = b""
        while part := client.recv(65536):
            data += part
        head, _, body = data.partition(b"\r\n\r\n")
        return int(head.split()[1]), body.decode()
    return 0, ""


class Daemon:
    """The settings of one, and where it is."""

    def __init__(self, folder, pki):
        self.log = folder / "log"
        self.store = folder / "store"
        self.store.mkdir()
        server, client = pki.issue("typha-server"), pki.issue("typha-client")
        self.environ = {
            "PATH": os.environ["PATH"],
            "TORTIE_DATASTORE": str(self.store / "db"),
            "TYPHA_SERVERHOST": "127.0.0.1",
            "TYPHA_HEALTHENABLED": "true",
            "TYPHA_HEALTHHOST": "127.0.0.1",
            "TYPHA_PROMETHEUSMETRICSENABLED": "true",
            "TYPHA_PROMETHEUSMETRICSHOST": "127.0.0.1",
            "TYPHA_CAFILE": str(pki.ca_file),
            "TYPHA_SERVERCERTFILE": str(server.certificate_file),
            "TYPHA_SERVERKEYFILE": str(server.key_file),
            "TYPHA_CLIENTCN": "typha-client",
            "TYPHA_SHUTDOWNCONNECTIONDROPINTERVALMAXSECS": "0.05",
        }
        self.take_ports()
        self.client = FanoutClientSettings(
            tls=Tls(
                str(pki.ca_file),
                str(client.certificate_file),
                str(client.key_file),
                "typha-server",
            )
        )

    def take_ports(self):
        """Have ports that nobody has now."""
        self.port, self.health, self.metrics = free_port(), free_port(), free_port()
        self.environ["TYPHA_SERVERPORT"] = str(self.port)
        self.environ["TYPHA_HEALTHPORT"] = str(self.health)
        self.environ["TYPHA_PROMETHEUSMETRICSPORT"] = str(self.metrics)

    @contextmanager
    def running(self, *before):
        """The process, once it is ready; with other ports where somebody was quicker."""
        with ExitStack() as stack:
            for _ in range(5):
                with suppress(PortTaken):
                    command = [*before, *self.command]
                    yield stack.enter_context(running(command, self.log, self.ready))
                    return
                self.log.unlink()
                self.take_ports()
            raise AssertionError("each time somebody took a port of it")

    @property
    def command(self):
        variables = [f"{name}={value}" for name, value in self.environ.items()]
        return ["env", "-i", *variables, *COMMAND]

    def ready(self):
        return get(self.health, "/readiness")[0] == 200

    def lines(self):
        return [json.loads(line) for line in self.log.read_text().splitlines() if line[:1] == "{"]


@pytest.fixture
def daemon(tmp_path, pki):
    return Daemon(tmp_path, pki)


def metric(page, name):
    (found,) = [line for line in page.splitlines() if line.startswith(f"{name} ")]
    return float(found.split()[-1])


def test_it_serves_and_tells_what_it_does_and_stops_when_told(daemon):
    async def go(process):
        store = await SqliteDatastore.open(daemon.store / "db")
        await store.create(nets("a"))
        async with following(daemon.port, daemon.client, node="node-1") as client:
            await caught_up(client, store)
            page = await asyncio.to_thread(get, daemon.metrics, "/metrics")
            check_metrics(page[1])
            assert (await asyncio.to_thread(get, daemon.health, "/liveness"))[0] == 200
            process.send_signal(signal.SIGTERM)
            await until(lambda: process.poll() is not None, "it does not stop")
            assert process.returncode == 0
            await until(lambda: client.follower.outage)
        await store.close()

    with daemon.running() as process:
        asyncio.run(go(process))
    events = [line["event"] for line in daemon.lines()]
    assert events[0] == "started"
    assert events[-1] == "stopped"
    (gone,) = [line for line in daemon.lines() if line["event"] == "client gone"]
    assert (gone["node"], gone["reason"]) == ("node-1", "sent away")


NAMES = [
    "typha_breadcrumb_block",
    "typha_breadcrumb_non_block",
    "typha_breadcrumb_seq_number",
    "typha_breadcrumb_size_count",
    "typha_cache_size",
    "typha_client_latency_secs_count",
    "typha_client_snapshot_send_secs_count",
    "typha_client_write_latency_secs_count",
    "typha_connections_accepted",
    "typha_connections_active",
    "typha_connections_dropped",
    "typha_connections_grace_used",
    "typha_connections_streaming",
    "typha_kvs_per_msg_count",
    "typha_log_errors",
    "typha_logs_dropped",
    "typha_next_breadcrumb_latency_secs_count",
    "typha_ping_latency_count",
    "typha_snapshot_compressed_bytes",
    "typha_snapshot_raw_bytes",
    "typha_snapshots_generated",
    "typha_snapshots_reused",
    "typha_updates_skipped",
    "typha_updates_total",
]


def check_metrics(page):
    found = {line.split("{")[0].split()[0] for line in page.splitlines() if line[:1] != "#"}
    assert set(NAMES) <= found
    assert metric(page, "typha_connections_active") == 1
    assert metric(page, 'typha_connections_streaming{syncer="felix"}') == 1
    assert metric(page, 'typha_cache_size{syncer="felix"}') >= 1
    assert metric(page, 'typha_snapshots_generated{syncer="felix"}') == 1
    assert "process_resident_memory_bytes" in found


def test_a_second_signal_ends_it_at_once(daemon):
    daemon.environ["TYPHA_SHUTDOWNCONNECTIONDROPINTERVALMAXSECS"] = "300"

    async def go(process):
        store = await SqliteDatastore.open(daemon.store / "db")
        async with following(daemon.port, daemon.client) as client:
            await until(lambda: client.in_syncs)
            process.send_signal(signal.SIGTERM)
            await until(lambda: "stopping" in daemon.log.read_text())
            await asyncio.sleep(0)
            assert process.poll() is None
            process.send_signal(signal.SIGTERM)
            await until(lambda: process.poll() is not None, "it does not stop")
        await store.close()

    with daemon.running() as process:
        asyncio.run(go(process))
        assert process.returncode == 0


@pytest.mark.root
def test_it_needs_no_privileges(daemon):
    bare = ["setpriv", "--bounding-set=-all", "--inh-caps=-all"]
    with daemon.running(*bare) as process:
        with open(f"/proc/{process.pid}/status") as status:
            held = [line.split()[1] for line in status if line.startswith(("CapEff", "CapPrm"))]
        assert held == ["0" * 16] * 2


@pytest.mark.parametrize(
    ("variable", "value", "says"),
    [
        ("TYPHA_SERVERPORT", "many", "TYPHA_SERVERPORT='many': use a whole number"),
        ("TYPHA_CAFILE", "/there/is/none", "TYPHA_CAFILE='/there/is/none': can't be read"),
        ("TORTIE_DATASTORE", "carrier:pigeon", "carrier"),
    ],
)
def test_a_wrong_setting_is_one_clear_line(daemon, variable, value, says):
    daemon.environ[variable] = value
    ended = subprocess.run(daemon.command, capture_output=True, text=True, timeout=60)
    assert ended.returncode == 1
    (line,) = [one for one in ended.stderr.splitlines() if one[:1] != "{"]
    assert line.startswith("tortie fanout: ")
    assert says in line


def test_a_port_in_use_is_one_clear_line(daemon):
    with socket.create_server(("127.0.0.1", daemon.port)):
        ended = subprocess.run(daemon.command, capture_output=True, text=True, timeout=60)
    assert ended.returncode == 1
    assert "in use" in ended.stderr.splitlines()[-1]
