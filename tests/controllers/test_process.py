"""`tortie controllers` as a process: it collects, tells of it, and ends when it is asked to."""

import asyncio
import signal
import socket
import sys
from contextlib import suppress
from pathlib import Path

from servers.process import free_port, running
from strategies.ipam import pool
from tortie.api import Node, NodeSpec, ObjectMeta
from tortie.api.calico.kube_controllers import (
    Controllers,
    KubeControllersConfiguration,
    KubeControllersConfigurationSpec,
    NodeController,
)
from tortie.datastore.sqlite import SqliteDatastore
from tortie.ipam import IPAM, AssignRequest


def page(port: int, path: str) -> str:
    """What a page says; nothing while nobody answers."""
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=10) as client:
        client.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        data = b""
        while part := client.recv(65536):
            data += part
        return data.decode()
    return ""


async def filled(path: Path, metrics: int) -> None:
    """A node, an address of a pod that is not there, and settings that hurry."""
    store = await SqliteDatastore.open(path)
    await store.create(pool("p", "10.0.0.0/24", block_size=28))
    await store.create(Node(metadata=ObjectMeta(name="n1"), spec=NodeSpec()))
    about = {"namespace": "shop", "pod": "web", "node": "n1"}
    await IPAM(store).auto_assign(AssignRequest(node="n1", handle="net.web", attributes=about))
    spec = KubeControllersConfigurationSpec(
        controllers=Controllers(node=NodeController(leak_grace_period="100ms")),
        prometheus_metrics_port=metrics,
    )
    await store.create(KubeControllersConfiguration(metadata=ObjectMeta(name="default"), spec=spec))
    await store.close()


async def held(path: Path) -> int:
    store = await SqliteDatastore.open(path)
    try:
        return len(await IPAM(store).addresses_of("net.web"))
    finally:
        await store.close()


def test_the_daemon_collects_and_tells_of_it(tmp_path: Path) -> None:
    path, health, metrics = tmp_path / "store.db", free_port(), free_port()
    asyncio.run(filled(path, metrics))
    command = [sys.executable, "-m", "tortie.cli", "controllers", "--datastore", str(path)]
    command += ["--health-port", str(health)]
    collected = 'ipam_allocations_gc_reclamations_total{ippool="p",node="n1"} 1.0'
    with running(
        command, tmp_path / "log", lambda: collected in page(metrics, "/metrics")
    ) as process:
        assert asyncio.run(held(path)) == 0
        assert page(health, "/readiness").startswith("HTTP/1.1 200")
        assert 'ipam_ippool_size{ippool="p"} 256.0' in page(metrics, "/metrics")
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=30) == 0
    assert "10.0.0." in (tmp_path / "log").read_text()
