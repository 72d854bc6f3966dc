"""Kubernetes has no transaction to refuse a former leader: the server's log says who wrote."""

import json
import signal
import time
from pathlib import Path

from controllers.daemons import daemons, until
from servers.kube import KubeServer
from servers.kube_audit import Audit, audited_server
from servers.kube_crds import install

NAMESPACE = "kube-system"
CONFIGURATION = {
    "apiVersion": "crd.projectcalico.org/v1",
    "kind": "KubeControllersConfiguration",
    "metadata": {"name": "default"},
    "spec": {
        "controllers": {"node": {"hostEndpoint": {"autoCreate": "Enabled"}}},
        "prometheusMetricsPort": 0,
    },
}


def allow_all(server: KubeServer, *accounts: str) -> None:
    for name in accounts:
        server.account(NAMESPACE, name)
    server.api.apply(
        [
            {
                "apiVersion": "rbac.authorization.k8s.io/v1",
                "kind": "ClusterRoleBinding",
                "metadata": {"name": "both"},
                "roleRef": {
                    "apiGroup": "rbac.authorization.k8s.io",
                    "kind": "ClusterRole",
                    "name": "cluster-admin",
                },
                "subjects": [
                    {"kind": "ServiceAccount", "name": name, "namespace": NAMESPACE}
                    for name in accounts
                ],
            }
        ]
    )


def writers(audit: Audit) -> list[str]:
    """Who changed something other than the lease, one by one in order."""
    entries = map(json.loads, audit.path.read_text().splitlines())
    return [
        entry["user"]["username"].rpartition(":")[2]
        for entry in entries
        if entry["verb"] in ("create", "update", "patch", "delete")
        and entry["responseStatus"]["code"] < 300
        and entry["objectRef"]["resource"] not in ("leases", "selfsubjectaccessreviews")
    ]


def churn(server: KubeServer, number: int) -> None:
    """A machine comes, and another's labels change."""
    meta = {"name": f"n{number}", "labels": {"round": str(number)}}
    server.api.create({"apiVersion": "v1", "kind": "Node", "metadata": meta})
    time.sleep(0.05)


def test_nobody_writes_after_the_next_leader_has_begun(needs_kube: None, tmp_path: Path) -> None:  # noqa: ARG001
    with audited_server() as (server, audit):
        install(server.api)
        allow_all(server, "a", "b")
        server.api.create(CONFIGURATION)
        some = []
        for name in ("a", "b"):
            (tmp_path / name).write_text(server.kubeconfig(token=server.token(NAMESPACE, name)))
            some.append(("--datastore", f"kubernetes:{tmp_path / name}", "--lease-seconds", "3"))
        with daemons(tmp_path, *some) as both:
            until(lambda: any(one.leads() for one in both), "somebody leads")
            (first,) = [one for one in both if one.leads()]
            (other,) = [one for one in both if one is not first]
            number = 0
            while not writers(audit) or number < 10:
                churn(server, number := number + 1)
            first.signal(signal.SIGSTOP)
            while not other.leads():
                churn(server, number := number + 1)
            first.signal(signal.SIGCONT)
            for _ in range(20):
                churn(server, number := number + 1)
            until(lambda: not first.leads(), "the first has noticed")
            path = "/apis/crd.projectcalico.org/v1/hostendpoints"
            until(lambda: len(server.api.get(path)["items"]) == number, "all have endpoints")
            found = writers(audit)
    begun = "ab"[both.index(other)]
    assert set(found) == {"a", "b"}
    assert set(found[found.index(begun) :]) == {begun}
