"""What a node asks at its start, to report, and for its plugin's token."""

import json
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from secrets import token_hex

from msgspec.structs import replace

from tortie.api import Key, ObjectMeta
from tortie.api.calico.felix_configuration import FelixConfiguration, FelixConfigurationSpec
from tortie.api.calico.node_status import (
    CalicoNodeStatus,
    CalicoNodeStatusSpec,
    CalicoNodeStatusStatus,
)
from tortie.datastore import Datastore, update_with
from tortie.datastore.kubernetes import KubernetesDatastore
from tortie.datastore.kubernetes.client import Request
from tortie.node.machine import Kubernetes
from tortie.node.start import Start
from tortie.node.start_settings import start_settings
from tortie.reports.kubernetes import KubernetesShelf
from tortie.reports.report import Report

ACCOUNT = "calico-cni-plugin"
NOW = "2026-01-01T00:00:00Z"


async def starting(admin: Datastore, store: Datastore, node: str) -> None:
    """A start in a cluster that has nothing yet, and another one where much is there."""
    assert isinstance(store, KubernetesDatastore)
    for key in (
        *(each.key for each in (await admin.list("IPPool")).resources),
        *(each.key for each in (await admin.list("FelixConfiguration")).resources),
        *(each.key for each in (await admin.list("Tier")).resources),
    ):
        await admin.delete(key)
    with tempfile.TemporaryDirectory() as folder:
        await _start(store, node, Path(folder))
        await admin.delete(Key("FelixConfiguration", "", "default"))
        await admin.create(
            FelixConfiguration(metadata=ObjectMeta(name="default"), spec=FelixConfigurationSpec())
        )
        await _start(store, node, Path(folder))
    assert (await admin.list("IPPool")).resources


async def _start(store: KubernetesDatastore, node: str, folder: Path) -> None:
    environ = {
        "IP": "172.16.1.1/24",
        "CALICO_IPV4POOL_CIDR": "10.66.0.0/16",
        "CALICO_NETWORKING_BACKEND": "none",
        "CLUSTER_TYPE": "k8s",
        "CALICO_NODENAME_FILE": str(folder / "nodename"),
        "CALICO_SHUTDOWN_TIMESTAMP_FILE": str(folder / "shutdown"),
    }
    api = Kubernetes(store._client.access)
    try:
        await Start(
            start_settings(environ, node, node), environ, store, api, "9.9.9", False, _say, _say
        ).run()
        await api.network_unavailable(node, False)
    finally:
        await api.close()


def _say(_: str) -> None:
    """Nobody listens."""


async def reporting(store: Datastore, node: str) -> None:
    """How the node is: the first time a Lease is made."""
    assert isinstance(store, KubernetesDatastore)
    name = f"{node}-{token_hex(4)}"  # Leases outlive a test
    report = Report(node=name, component="agent").stamped(datetime.now(UTC), 60)
    await KubernetesShelf(store._client, "kube-system").put(report)


async def reports(store: Datastore) -> None:
    """What nodes say of themselves, as `tortie status` reads it."""
    assert isinstance(store, KubernetesDatastore)
    await KubernetesShelf(store._client, "kube-system").all()


async def answering(admin: Datastore, store: Datastore, node: str) -> None:
    """BGP: somebody asks how the sessions are."""
    key = Key("CalicoNodeStatus", "", "asked")
    spec = CalicoNodeStatusSpec(node=node, classes=("BGP",))
    await admin.create(CalicoNodeStatus(metadata=ObjectMeta(name=key.name), spec=spec))

    def answered(current: object) -> CalicoNodeStatus:
        assert isinstance(current, CalicoNodeStatus)
        return replace(current, status=CalicoNodeStatusStatus(last_updated=NOW))

    await update_with(store, key, answered)


async def token(store: Datastore) -> None:
    """The plugin's token, as its installer asks for it."""
    assert isinstance(store, KubernetesDatastore)
    path = f"/api/v1/namespaces/kube-system/serviceaccounts/{ACCOUNT}/token"
    body = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}}
    answer = await store._client.send(
        Request("a token", path, method="POST", body=json.dumps(body).encode())
    )
    assert json.loads(answer)["status"]["token"]
