"""A real kube-apiserver with an etcd of its own on 127.0.0.1: TLS, RBAC, nobody anonymous.

No controllers run beside it: pods are not scheduled, namespaces that are deleted stay, and a
namespace has no account `default` unless the test makes one.
"""

import os
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from servers.etcd import EtcdServer, etcd_server
from servers.kube_api import KubeApi, Refused
from servers.kube_build import cached
from servers.kube_etcd import Registry
from servers.kube_identity import ISSUER, Signer, kubeconfig
from servers.pki import Pair, Pki
from servers.process import PortTaken, free_port, start, stop, wait_ready
from tortie.datastore.settings import CRD_V1, KubernetesSettings

ADMIN = "kubernetes-admin"
ADMINS = "system:masters"
_ATTEMPTS = 5
_START_SECONDS = 120.0  # on a machine with much else to do


class KubeServer:
    """A running API server. `api` has an administrator's rights, for the tests' own hands."""

    def __init__(self, folder: Path, etcd: EtcdServer, flags: tuple[str, ...]) -> None:
        self.folder = folder
        self.log = folder / "kube-apiserver.log"
        self.etcd = etcd
        self.pki = Pki(folder)
        self.port = 0
        self._signer = Signer(folder)
        self._flags = flags
        self._pair = self.pki.server()
        self._admin = self.pki.issue(ADMIN, organizations=(ADMINS,))
        self._process: subprocess.Popen[bytes] | None = None
        self._api: KubeApi | None = None

    @property
    def endpoint(self) -> str:
        """Where clients reach it."""
        return f"https://127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        """Its process."""
        assert self._process is not None
        return self._process.pid

    @property
    def api(self) -> KubeApi:
        """Requests as an administrator."""
        assert self._api is not None
        return self._api

    # Who asks

    def certificate(self, user: str, *groups: str) -> Pair:
        """A client certificate of `user` in `groups`."""
        return self.pki.issue(user, organizations=groups)

    def token(self, namespace: str, account: str, seconds: float = 3600) -> str:
        """A token of a service account, which is made where it is not there.

        Refused after `seconds` (at once if negative), where it was taken before 10 seconds later.
        """
        return self._signer.token(self.account(namespace, account), seconds)

    def account(self, namespace: str, name: str) -> dict[str, Any]:
        """The ServiceAccount, made with its namespace where it is not there."""
        self.namespace(namespace)
        meta = {"namespace": namespace, "name": name}
        self._ensure({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": meta})
        return self.api.get(f"/api/v1/namespaces/{namespace}/serviceaccounts/{name}")

    def namespace(self, name: str) -> None:
        """See that there is such a namespace."""
        self._ensure({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})

    def api_as(self, *, token: str = "", pair: Pair | None = None) -> KubeApi:
        """Requests with a token or a certificate; whoever asks closes it."""
        files = (pair.certificate_file, pair.key_file) if pair else None
        return KubeApi(self.endpoint, self.pki.ca_file, certificate=files, token=token)

    # How the code that is tested reaches it

    def client(self, api_group: str = CRD_V1, pair: Pair | None = None) -> KubernetesSettings:
        """Settings with a client certificate, an administrator's if no other is given."""
        pair = pair or self._admin
        return KubernetesSettings(
            api_endpoint=self.endpoint,
            ca=self.pki.ca,
            certificate=pair.certificate,
            key=pair.key,
            api_group=api_group,
            qps=10_000.0,
            burst=10_000,
        )

    def client_of(
        self, namespace: str, account: str, api_group: str = CRD_V1
    ) -> KubernetesSettings:
        """Settings with the token of a service account and no other rights than its own."""
        return KubernetesSettings(
            api_endpoint=self.endpoint,
            ca=self.pki.ca,
            token=self.token(namespace, account),
            api_group=api_group,
            qps=10_000.0,
            burst=10_000,
        )

    def kubeconfig(self, pair: Pair | None = None, token: str = "", token_file: str = "") -> str:
        """The text of a kubeconfig: an administrator's, or of whom is given."""
        if token or token_file:
            user = {"token": token} if token else {"tokenFile": token_file}
        else:
            pair = pair or self._admin
            user = {
                "client-certificate": str(pair.certificate_file),
                "client-key": str(pair.key_file),
            }
        return kubeconfig(self.endpoint, self.pki.ca_file, user)

    # What is in it

    @property
    def registry(self) -> Registry:
        """Its objects behind its back, in etcd."""
        return Registry(self.etcd.endpoint)

    def wipe(self) -> None:
        """Remove all objects but those that a new server has, custom resources' kinds, and RBAC.

        Other than by the API: at once, and without anybody to clear namespaces or finalizers.
        """
        self.registry.wipe(self.api)

    def compact(self) -> None:
        """Forget etcd's history: lists that go on from an earlier page get 410.

        Watches are served from the server's own memory; `restart` makes that forget too.
        """
        self.registry.compact()

    # Faults

    def kill(self) -> None:
        """End it as a crash does; its etcd goes on."""
        if self._process is not None:
            stop(self._process)

    def restart(self) -> None:
        """Once more at the same address, with nothing in its memory."""
        self.kill()
        self.log.unlink()
        self.start()

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Let it stand still: connections stay, nothing is answered."""
        os.kill(self.pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(self.pid, signal.SIGCONT)

    # Start and end

    def start(self) -> None:
        """Run it until it is ready, at the port that it had or a new one. Raises NotStarted."""
        for attempt in range(_ATTEMPTS):
            self.port = self.port or free_port()
            self._process = start(self._command(), self.log)
            self._connect()
            try:
                wait_ready(self._process, self.log, self.api.ready, _START_SECONDS)
                return
            except PortTaken:
                if attempt == _ATTEMPTS - 1:
                    raise
                self.port = 0

    def close(self) -> None:
        """End it for good."""
        self.kill()
        if self._api is not None:
            self._api.close()

    def _connect(self) -> None:
        if self._api is not None:
            self._api.close()
        self._api = self.api_as(pair=self._admin)

    def _ensure(self, body: dict[str, Any]) -> None:
        try:
            self.api.create(body)
        except Refused as error:
            if error.status != 409:
                raise

    def _command(self) -> list[str]:
        key = str(self._signer.file)
        return [
            str(cached()),
            *("--etcd-servers", self.etcd.endpoint, "--etcd-compaction-interval=0"),
            *("--bind-address=127.0.0.1", "--secure-port", str(self.port)),
            *("--cert-dir", str(self.folder), "--client-ca-file", str(self.pki.ca_file)),
            *("--tls-cert-file", str(self._pair.certificate_file)),
            *("--tls-private-key-file", str(self._pair.key_file)),
            *("--service-account-issuer", ISSUER, "--service-account-key-file", key),
            *("--service-account-signing-key-file", key),
            *("--service-cluster-ip-range=10.96.0.0/16", "--endpoint-reconciler-type=none"),
            *("--authorization-mode=RBAC", "--anonymous-auth=false", "--profiling=false"),
            "--allow-privileged=true",  # as everywhere: network agents need it
            # Only what needs controllers beside it; namespaces must be there, as everywhere.
            "--disable-admission-plugins=ServiceAccount,TaintNodesByCondition",
            "--feature-gates=CustomResourceFieldSelectors=true",  # on by default one release later
            *self._flags,
        ]


@contextmanager
def kube_server(flags: tuple[str, ...] = ()) -> Iterator[KubeServer]:
    """A fresh API server, gone at the end with all it had. Raises NotBuilt, NotStarted."""
    cached()
    with ExitStack() as stack:
        etcd = stack.enter_context(etcd_server())
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="tortie-kube-"))
        server = KubeServer(Path(folder), etcd, flags)
        stack.callback(server.close)
        server.start()
        yield server
