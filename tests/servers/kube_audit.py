"""What an API server was asked, by whom, and with which right: its own audit log."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from servers.kube import KubeServer, kube_server

_POLICY = {
    "apiVersion": "audit.k8s.io/v1",
    "kind": "Policy",
    "omitStages": ["RequestReceived"],
    "rules": [
        {"level": "Metadata", "userGroups": ["system:serviceaccounts"]},
        {"level": "None"},
    ],
}


class Right(NamedTuple):
    """One verb on one resource (with its part, as "nodes/status"); of one object where named."""

    group: str
    resource: str
    verb: str
    name: str = ""


class Asked(NamedTuple):
    """One request: the right that it needs (with the object's name), and how it was answered."""

    right: Right
    status: int


class Audit:
    """The log of one server."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def of(self, user: str) -> list[Asked]:
        """What `user` asked so far."""
        entries = map(json.loads, self.path.read_text().splitlines())
        return [_asked(entry) for entry in entries if entry["user"]["username"] == user]


def _asked(entry: dict) -> Asked:
    target = entry.get("objectRef", {})
    part = f"/{target['subresource']}" if target.get("subresource") else ""
    right = Right(
        target.get("apiGroup", ""),
        target.get("resource", "") + part,
        entry["verb"],
        target.get("name", ""),
    )
    return Asked(right, entry.get("responseStatus", {}).get("code", 0))


@contextmanager
def audited_server() -> Iterator[tuple[KubeServer, Audit]]:
    """A server that writes down what service accounts ask."""
    with TemporaryDirectory(prefix="tortie-audit-") as folder:
        policy, log = Path(folder) / "policy.json", Path(folder) / "audit.log"
        policy.write_text(json.dumps(_POLICY))
        log.touch()
        flags = (f"--audit-policy-file={policy}", f"--audit-log-path={log}")
        with kube_server((*flags, "--audit-log-mode=blocking")) as server:
            yield server, Audit(log)
