"""The plugin's kubeconfig by a real API server: its token works, is renewed, and stays secret."""

import asyncio
import base64
import json
import os
import signal
import subprocess
import sys
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest

from cni.node import BOUND, until
from tortie.cni.installer.errors import InstallError
from tortie.cni.installer.service import Installer, remove
from tortie.cni.installer.settings import read_settings
from tortie.datastore import DatastoreError
from tortie.datastore.kubernetes.kubeconfig import read_kubeconfig

RBAC = "rbac.authorization.k8s.io/v1"
ACCOUNT = "calico-cni-plugin"


class Cluster:
    """An API server, and a folder as a pod of calico-node has it for its account there."""

    def __init__(self, server, folder):
        self.server, self.folder = server, folder
        self._allowed = False
        self.account = folder / "account"
        self.account.mkdir()
        (self.account / "namespace").write_text("calico-system")
        (self.account / "ca.crt").write_bytes(server.pki.ca)
        self.renew()
        server.account("calico-system", ACCOUNT)
        self.kubeconfig = folder / "net.d" / "calico-kubeconfig"

    def renew(self):
        (self.account / "token").write_text(self.server.token("calico-system", "calico-node"))

    def allow(self):
        about = {"name": "plugins-token", "namespace": "calico-system"}
        rule = {
            "apiGroups": [""],
            "resources": ["serviceaccounts/token"],
            "resourceNames": [ACCOUNT],
            "verbs": ["create"],
        }
        role = {"apiVersion": RBAC, "kind": "Role", "metadata": about, "rules": [rule]}
        subject = {"kind": "ServiceAccount", "name": "calico-node", "namespace": "calico-system"}
        group = RBAC.partition("/")[0]
        binding = {
            **{"apiVersion": RBAC, "kind": "RoleBinding", "metadata": about},
            "subjects": [subject],
            "roleRef": {"apiGroup": group, "kind": "Role", "name": "plugins-token"},
        }
        self.server.api.apply([role, binding])
        self._allowed = True

    def forbid(self):
        allowed, self._allowed = self._allowed, False
        for kind in ("Role", "RoleBinding") if allowed else ():
            about = {"name": "plugins-token", "namespace": "calico-system"}
            self.server.api.delete({"apiVersion": RBAC, "kind": kind, "metadata": about})

    def environ(self, **more):
        return {
            "KUBERNETES_SERVICE_HOST": "127.0.0.1",
            "KUBERNETES_SERVICE_PORT": str(self.server.port),
            **more,
        }

    @property
    def options(self):
        return {
            "bin_dir": str(self.folder / "bin"),
            "conf_dir": str(self.folder / "net.d"),
            "account": self.account,
        }

    def settings(self, **more):
        return read_settings(self.environ(**more), self.options, Path("/nowhere"))

    def install(self, **more):
        return asyncio.run(Installer(self.settings(**more)).install())

    @property
    def token(self):
        return read_kubeconfig(str(self.kubeconfig), "", "").token if self.there else ""

    @property
    def there(self):
        return self.kubeconfig.exists()

    def whose(self):
        """Whom the API server takes the token's owner for."""
        review = {
            "apiVersion": "authentication.k8s.io/v1",
            "kind": "TokenReview",
            "spec": {"token": self.token},
        }
        answer = self.server.api.request(
            "POST", "/apis/authentication.k8s.io/v1/tokenreviews", review
        )
        return answer["status"].get("user", {}).get("username")


@pytest.fixture
def cluster(kube, tmp_path):
    found = Cluster(kube, tmp_path)
    yield found
    found.forbid()


@contextmanager
def watching(cluster, **more):
    """The installer that stays, as a process; its log is a file."""
    words = [f"--{name.replace('_', '-')}={value}" for name, value in cluster.options.items()]
    log = cluster.folder / "log"
    with open(log, "wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "tortie.cli", "cni", "install", "--watch", *words],
            env={**os.environ, **cluster.environ(**more)},
            stdout=output,
            stderr=output,
        )
    try:
        yield log
        assert process.poll() is None, log.read_text()
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(BOUND) == 0


def test_the_token_is_the_plugins_own_accounts(cluster):
    cluster.allow()
    cluster.install()
    assert cluster.whose() == f"system:serviceaccount:calico-system:{ACCOUNT}"
    assert cluster.kubeconfig.stat().st_mode & 0o777 == 0o600
    config = json.loads((cluster.folder / "net.d/10-calico.conflist").read_text())
    assert config["plugins"][0]["kubernetes"] == {"kubeconfig": str(cluster.kubeconfig)}


def test_an_account_that_may_not_ask_is_told_what_it_lacks(cluster):
    with pytest.raises(InstallError, match=f"serviceaccounts/token of {ACCOUNT}"):
        cluster.install()
    names = {path.name for path in (cluster.folder / "net.d").glob("*")}
    assert "10-calico.conflist" not in names  # no runtime takes the node for ready


def test_an_account_that_is_not_there_is_told(cluster):
    cluster.allow()
    cluster.server.api.delete(
        {
            "apiVersion": "v1",
            "kind": "ServiceAccount",
            "metadata": {"namespace": "calico-system", "name": ACCOUNT},
        }
    )
    with pytest.raises(InstallError, match="make ServiceAccount"):
        cluster.install()


@pytest.mark.parametrize(("interval", "seconds"), [("", 600), ("60", 60), ("86400", 600)])
def test_a_token_is_renewed_at_half_of_its_life_or_sooner(cluster, interval, seconds):
    cluster.allow()
    more = {"CNI_TOKEN_LIFETIME": "1200", "CNI_TOKEN_REFRESH_INTERVAL": interval}
    installer = Installer(cluster.settings(**more))
    asyncio.run(installer.install())
    part = cluster.token.split(".")[1]
    claims = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    assert claims["exp"] - claims["iat"] == 1200
    given = datetime.fromtimestamp(claims["iat"], UTC)
    assert abs((installer.due - given).total_seconds() - seconds) < 200


def test_a_namespace_that_is_none_leads_nowhere_else(cluster):
    cluster.allow()
    (cluster.account / "namespace").write_text("../../nodes")
    with pytest.raises(InstallError, match="names no namespace"):
        cluster.install()


def test_everything_is_removed_with_the_token(cluster):
    cluster.allow()
    cluster.install()
    done = [Path(one.path).name for one in remove(cluster.settings()).done]
    assert done[:2] == ["10-calico.conflist", "calico-kubeconfig"]
    assert list((cluster.folder / "net.d").iterdir()) == []
    assert list((cluster.folder / "bin").iterdir()) == []


def test_a_server_with_another_authority_gets_nothing(cluster):
    cluster.allow()
    (cluster.account / "ca.crt").write_bytes(b"")
    with pytest.raises(DatastoreError, match="authority"):
        cluster.install()


def test_no_token_shows_in_what_is_told(cluster):
    cluster.allow()
    report = cluster.install()
    own = (cluster.account / "token").read_text()
    for text in (str(report), (cluster.folder / "net.d/.tortie-installed").read_text()):
        assert cluster.token not in text
        assert own not in text


def test_the_token_is_renewed_and_damage_is_mended(cluster):
    (cluster.folder / "net.d").mkdir()
    (cluster.folder / "net.d/05-other.conf").write_text("{}")
    with watching(cluster, CNI_TOKEN_REFRESH_INTERVAL="1") as log:
        until(lambda: "will retry" in log.read_text(), "the first refusal")
        cluster.allow()
        until(lambda: cluster.token, "the first token")
        before = cluster.token
        cluster.renew()  # as kubelet does
        until(lambda: cluster.token not in ("", before), "another token")
        (cluster.folder / "net.d/10-calico.conflist").unlink()
        until((cluster.folder / "net.d/10-calico.conflist").exists, "the configuration")
        cluster.kubeconfig.write_text("damaged")
        until(lambda: cluster.kubeconfig.read_text() != "damaged", "the kubeconfig")
        assert cluster.whose() == f"system:serviceaccount:calico-system:{ACCOUNT}"
        cluster.forbid()
        until(lambda: "no other token" in log.read_text(), "the refusal of another token")
        (cluster.folder / "net.d/10-calico.conflist").unlink()
        until((cluster.folder / "net.d/10-calico.conflist").exists, "the configuration, again")
        assert cluster.token not in log.read_text()
        assert log.read_text().count("05-other.conf sorts before") == 1  # not at each look
