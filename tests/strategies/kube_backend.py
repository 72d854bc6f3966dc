"""A real API server for the contract's tests, one for the run; it is empty at each test's start."""

import base64
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from servers.kube import KubeServer
from strategies.datastore import NAMESPACES, Ability
from tortie.api import Key
from tortie.datastore import Datastore
from tortie.datastore.kubernetes import KubernetesDatastore
from tortie.datastore.kubernetes.custom import METADATA
from tortie.datastore.kubernetes.places import place_of
from tortie.datastore.settings import CRD_V1


class Kubernetes:
    """Stores in an API server, in the group `api_group`."""

    cannot: Mapping[Ability, str] = {
        Ability.RAW_BYTES: "the API server can't read what is no JSON, and answers 500",
        Ability.UNKNOWN_FIELDS: "the API server drops what a definition lacks outside of spec",
        Ability.FALSE_NAMES: "an object's own name is the only one that the API server tells",
        Ability.COMPACTION: "an API server has a history in memory that only a restart forgets",
        Ability.ORDER_ACROSS_KINDS: "each kind has a watch of its own",
    }

    def __init__(self, server: KubeServer, api_group: str = CRD_V1) -> None:
        self.server = server
        self.group = api_group
        if api_group != CRD_V1:
            reason = "the API server judges the spec and mends the metadata of this group"
            self.cannot = {**self.cannot, Ability.RAW_OBJECTS: reason}
        for name in NAMESPACES:
            server.namespace(name)
        for kind in ("NetworkSet", "GlobalNetworkSet", "Tier"):
            # A server's history of a kind begins when it is first asked for it.
            server.api.get(place_of(kind, api_group, False).collection())

    async def open(self) -> Datastore:
        return await KubernetesDatastore.open(self.server.client(self.group))

    async def damage(self, store: Datastore, key: Key, value: bytes) -> None:  # noqa: ARG002
        """Past the API server, which would refuse it. Labels stand where this group has them."""
        place = place_of(key.kind, self.group, False)
        head = {"apiVersion": place.group_version, "kind": key.kind}
        body = {**head, "spec": {}, **json.loads(value)}
        original = json.dumps({"labels": body["metadata"].get("labels", {})})
        body["metadata"] = {
            "name": key.name,
            "namespace": key.namespace,
            "annotations": {METADATA: original},
        }
        group = place.group_version.partition("/")[0]
        parts = (group, place.plural, key.namespace, key.name)
        name = "/registry/" + "/".join(filter(None, parts))
        _put(self.server, name, json.dumps(body).encode())

    async def stored(self, store: Datastore, key: Key) -> bytes:  # noqa: ARG002
        path = place_of(key.kind, self.group, False).path(key)
        return json.dumps(self.server.api.get(path)).encode()

    async def compact(self, store: Datastore) -> None:
        raise NotImplementedError(self.cannot[Ability.COMPACTION])


def _put(server: KubeServer, name: str, value: bytes) -> None:
    body = {"key": _encoded(name.encode()), "value": _encoded(value)}
    answer = httpx.post(f"{server.etcd.endpoint}/v3/kv/put", json=body, trust_env=False)
    answer.raise_for_status()


def _encoded(data: bytes) -> str:
    return base64.b64encode(data).decode()


@contextmanager
def backend(request: pytest.FixtureRequest, folder: Path) -> Iterator[Kubernetes]:  # noqa: ARG001
    """The run's API server, without objects; CALICO_API_GROUP chooses the group."""
    group = os.environ.get("CALICO_API_GROUP", CRD_V1)
    yield Kubernetes(request.getfixturevalue("kube"), group)
