"""Real etcd servers: one alone on 127.0.0.1, plain or with TLS, fresh in 0.1 s."""

import http.client
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from servers.pki import Pki
from servers.process import PortTaken, free_port, start, stop, wait_ready
from tortie.datastore.settings import EtcdSettings

ATTEMPTS = 5  # with other ports, where somebody took ours

MISSING = "" if shutil.which("etcd") else "no etcd here: apt-get install etcd-server"
"""Why tests of etcd are skipped; empty where they run."""


class EtcdServer:
    """A running etcd. `endpoint` is what clients use; `kill`, `restart` for tests of faults."""

    def __init__(self, folder: Path, tls: Pki | None, flags: tuple[str, ...]) -> None:
        self.folder = folder
        self.log = folder / "etcd.log"
        self.cluster_token = "tortie"  # of a fresh store: another gives it another number
        self._tls = tls
        self._flags = flags
        self._ports = (0, 0, 0)
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def endpoint(self) -> str:
        """Where clients reach it."""
        return f"{'https' if self._tls else 'http'}://127.0.0.1:{self._ports[0]}"

    @property
    def client(self) -> EtcdSettings:
        """Settings that reach it, as the user `root` where it wants certificates."""
        if self._tls is None:
            return EtcdSettings(endpoints=(self.endpoint,))
        pair = self._tls.issue("root")
        return EtcdSettings(
            endpoints=(self.endpoint,),
            ca=self._tls.ca,
            certificate=pair.certificate,
            key=pair.key,
        )

    def start(self) -> None:
        """Run it until it is healthy, on the ports it had or on new ones."""
        for attempt in range(ATTEMPTS):
            if not any(self._ports):
                self._ports = (free_port(), free_port(), free_port())
            self._process = start(self._command(), self.log)
            try:
                wait_ready(self._process, self.log, self._healthy)
                return
            except PortTaken:
                if attempt == ATTEMPTS - 1:
                    raise
                self.kill()
                self._ports = (0, 0, 0)
                self.log.unlink()

    def kill(self) -> None:
        """End it as a crash does; its data stay."""
        if self._process is not None:
            stop(self._process)

    @property
    def pid(self) -> int:
        """Its process."""
        assert self._process is not None
        return self._process.pid

    @contextmanager
    def silent(self) -> Iterator[None]:
        """Stopped meanwhile: it takes connections, as its kernel does, and answers nothing."""
        os.kill(self.pid, signal.SIGSTOP)
        try:
            deadline = time.monotonic() + 10
            while not _is_stopped(self.pid):
                assert time.monotonic() < deadline, "it does not stop"
                time.sleep(0.001)
            yield
        finally:
            os.kill(self.pid, signal.SIGCONT)

    def restart(self) -> None:
        """Once more with the same data at the same address."""
        self.kill()
        self.log.unlink()
        self.start()

    def _command(self) -> list[str]:
        _, peer, metrics = self._ports
        peers = f"http://127.0.0.1:{peer}"
        return [
            "etcd",
            *("--name", "one", "--data-dir", str(self.folder / "data")),
            *("--listen-client-urls", self.endpoint, "--advertise-client-urls", self.endpoint),
            *("--listen-peer-urls", peers, "--initial-advertise-peer-urls", peers),
            *("--initial-cluster", f"one={peers}"),
            *("--initial-cluster-token", self.cluster_token),
            *("--listen-metrics-urls", f"http://127.0.0.1:{metrics}"),
            *("--heartbeat-interval", "10", "--election-timeout", "100"),
            *self._secured(),
            *self._flags,
        ]

    def _secured(self) -> tuple[str, ...]:
        if self._tls is None:
            return ()
        pair = self._tls.server()
        return (
            *("--cert-file", str(pair.certificate_file), "--key-file", str(pair.key_file)),
            *("--trusted-ca-file", str(self._tls.ca_file), "--client-cert-auth"),
        )

    def _healthy(self) -> bool:
        connection = http.client.HTTPConnection("127.0.0.1", self._ports[2], timeout=1)
        try:
            connection.request("GET", "/health")
            return b"true" in connection.getresponse().read()
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()


def _is_stopped(pid: int) -> bool:
    """Whether each of its threads has come to the signal."""
    threads = Path(f"/proc/{pid}/task").glob("*/stat")
    return all(stat.read_text().rpartition(") ")[2].startswith("T") for stat in threads)


@contextmanager
def etcd_server(
    tls: Pki | None = None, flags: tuple[str, ...] = (), durable: bool = False
) -> Iterator[EtcdServer]:
    """A fresh etcd of its own, gone at the end with its data.

    With `tls` it has a certificate of that authority and asks clients for one. `durable`: on the
    disk and with its flushes, where crashes are the point; otherwise in memory where there is room.
    """
    memory = Path("/dev/shm")
    where = None if durable or not memory.is_dir() else memory
    fast = () if durable else ("--unsafe-no-fsync",)
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="tortie-etcd-", dir=where))
        server = EtcdServer(Path(folder), tls, (*fast, *flags))
        stack.callback(server.kill)
        server.start()
        yield server
