"""`tortie controllers` as processes, two of them beside each other where one is to lead."""

import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from servers.process import free_port, start, stop
from tortie.api import ObjectMeta
from tortie.api.calico.kube_controllers import (
    AutoHostEndpoints,
    Controllers,
    KubeControllersConfiguration,
    KubeControllersConfigurationSpec,
    NodeController,
)
from tortie.datastore import Datastore

PATIENCE = 90.0  # seconds, on a machine with much else to do


async def configured(store: Datastore) -> None:
    """Host endpoints by themselves, and no port of metrics that two processes would want."""
    made = AutoHostEndpoints(auto_create="Enabled")
    spec = KubeControllersConfigurationSpec(
        controllers=Controllers(node=NodeController(host_endpoint=made)),
        prometheus_metrics_port=0,
    )
    meta = ObjectMeta(name="default")
    await store.create(KubeControllersConfiguration(metadata=meta, spec=spec))


def page(port: int, path: str) -> str:
    """What a page says; nothing while nobody answers."""
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=2) as client:
        client.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        data = b""
        while part := client.recv(65536):
            data += part
        return data.decode()
    return ""


def until(condition: Callable[[], object], what: str, seconds: float = PATIENCE) -> None:
    """Wait for a condition."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
        time.sleep(0.02)


class Daemon:
    """One process. Both have one configuration, and so one port of metrics: its log is asked."""

    def __init__(
        self, process: subprocess.Popen[bytes], command: list[str], log: Path, port: int
    ) -> None:
        self.process, self.command, self.log, self.port = process, command, log, port

    def said(self, text: str) -> int:
        """How often its log has a text."""
        return self.log.read_text().count(text)

    def leads(self) -> bool:
        """Whether it said last that it leads."""
        told = re.findall(r'"leader": "([^"]*)"', self.log.read_text())
        return bool(told) and told[-1] == "this process"

    def readiness(self) -> str:
        """Its page."""
        return page(self.port, "/readiness")

    def signal(self, number: int) -> None:
        """Send it a signal."""
        self.process.send_signal(number)


@contextmanager
def daemons(
    folder: Path, *arguments: Sequence[str], environ: Mapping[str, str] | None = None
) -> Iterator[list[Daemon]]:
    """A process for each of these arguments; ended at the end."""
    found: list[Daemon] = []
    variables = [f"{name}={value}" for name, value in (environ or {}).items()]
    try:
        for number, some in enumerate(arguments):
            port, log = free_port(), folder / f"controllers-{number}.log"
            command = ["env", *variables, sys.executable, "-m", "tortie.cli", "controllers", *some]
            command += ["--health-port", str(port)]
            found.append(Daemon(start(command, log), command, log, port))
        yield found
    finally:
        for one in found:
            with suppress(ProcessLookupError):
                one.signal(signal.SIGCONT)
            stop(one.process)
