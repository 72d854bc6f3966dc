"""Asking the cluster's servers, each question once, all at the same time, and bounded in time."""

import asyncio
import http.client
import json
import ssl
import time
from collections.abc import Sequence
from contextlib import closing
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from tortie.api import Key
from tortie.datastore import DatastoreError, NotFound, open_datastore
from tortie.datastore.settings import (
    DatastoreSettings,
    EtcdSettings,
    KubernetesSettings,
    name_of,
)
from tortie.requirements.cluster import reading
from tortie.requirements.cluster.facts import Cluster, Etcd, Kubernetes, Pool
from tortie.requirements.cluster.reading import Right

PATIENCE = 5.0  # seconds for all that one server is asked
_SYSTEM = "/api/v1/namespaces/kube-system"
_PATHS = {
    "version": "/version",
    "config_map": f"{_SYSTEM}/configmaps/kube-proxy",
    "daemon_set": "/apis/apps/v1/namespaces/kube-system/daemonsets/kube-proxy",
    "cidrs": "/apis/networking.k8s.io/v1/servicecidrs",
    "cidrs_before": "/apis/networking.k8s.io/v1beta1/servicecidrs",
    "kubeadm": f"{_SYSTEM}/configmaps/kubeadm-config",
    "servers": f"{_SYSTEM}/pods?labelSelector=component%3Dkube-apiserver",
    "nodes": "/api/v1/nodes?limit=500",
    "istio": "/apis/apps/v1/namespaces/istio-system/deployments/istiod",
}
_REVIEW = "/apis/authorization.k8s.io/v1/selfsubjectrulesreviews"


class _Dated(NamedTuple):
    """An answer to a request without credentials, and how far its server's clock is ahead."""

    body: bytes
    ahead: float | None


async def ask_cluster(
    settings: DatastoreSettings, kubernetes: KubernetesSettings | None, wanted: Sequence[Right]
) -> Cluster:
    """What the datastore, and the Kubernetes beside it, say. Never raises for what can't be had.

    `wanted` are the rights that our account should have in Kubernetes.
    """
    store, etcd, (kube, ahead) = await asyncio.gather(
        _stored(settings),
        _etcd(settings),
        _kubernetes(kubernetes, wanted),
    )
    facts, clock = etcd
    return store._replace(kubernetes=kube, etcd=facts, clock=clock if facts else ahead)


async def _stored(settings: DatastoreSettings) -> Cluster:
    """Our own resources."""
    name = name_of(settings)
    try:
        async with asyncio.timeout(PATIENCE):
            store = await open_datastore(settings)
            try:
                pools = (await store.list("IPPool")).resources
                wireguard = await _wireguard(store)
            finally:
                await store.close()
    except (DatastoreError, TimeoutError) as error:
        return Cluster(name, problem=str(error) or f"{name} does not answer")
    return Cluster(name, pools=tuple(map(_pool, pools)), wireguard=wireguard)


async def _wireguard(store: Any) -> bool:
    try:
        settings = await store.get(Key("FelixConfiguration", "", "default"))
    except NotFound:
        return False
    return bool(settings.spec.wireguard_enabled or settings.spec.wireguard_enabled_v6)


def _pool(pool: Any) -> Pool:
    spec = pool.spec
    return Pool(
        pool.metadata.name, spec.cidr, str(spec.ipip_mode or ""), str(spec.vxlan_mode or "")
    )


async def _etcd(settings: DatastoreSettings) -> tuple[Etcd | None, float | None]:
    if not isinstance(settings, EtcdSettings):
        return None, None
    from tortie.datastore.etcd.endpoints import tls_context

    facts = Etcd(
        settings.endpoints,
        encrypted=settings.endpoints[0].startswith("https:"),
        authenticated=bool(settings.username or settings.certificate),
    )
    try:
        context = tls_context(settings)
        asked = [asyncio.to_thread(_get, f"{one}/version", context) for one in settings.endpoints]
        said = await asyncio.gather(*asked, return_exceptions=True)
        answers = [one for one in said if isinstance(one, _Dated)]
        if not answers:
            raise next(one for one in said if isinstance(one, BaseException))
        version = str(json.loads(answers[0].body).get("etcdserver", ""))
    except (OSError, DatastoreError, ValueError, http.client.HTTPException) as error:
        return facts._replace(problem=_why(error, "etcd")), None
    silent = tuple(
        one for one, came in zip(settings.endpoints, said, strict=True) if came not in answers
    )
    return facts._replace(version=version, silent=silent), answers[0].ahead


async def _kubernetes(
    settings: KubernetesSettings | None, wanted: Sequence[Right]
) -> tuple[Kubernetes | None, float | None]:
    if settings is None:
        return None, None
    from tortie.datastore.kubernetes.client import Client
    from tortie.datastore.kubernetes.locating import find_access
    from tortie.datastore.kubernetes.tls import tls_context

    try:
        access = find_access(settings)
        client = Client(access, settings.qps, settings.burst)
    except (DatastoreError, OSError) as error:
        return Kubernetes("", problem=str(error)), None
    try:
        async with asyncio.timeout(PATIENCE):
            context = tls_context(access, None)
            clock = asyncio.to_thread(_ahead, f"{access.server}/version", context)
            version, ahead = await asyncio.gather(_body(client, "version"), clock)
            facts = Kubernetes(access.server, version=str(version.get("gitVersion", "")))
            return await _asked(client, facts, wanted), ahead
    except (DatastoreError, TimeoutError) as error:
        return Kubernetes(access.server, problem=_why(error, access.server)), None
    finally:
        await client.close()


async def _asked(client: Any, facts: Kubernetes, wanted: Sequence[Right]) -> Kubernetes:
    names = [name for name in _PATHS if name != "version"]
    bodies = await asyncio.gather(*(_maybe(client, name) for name in names), _rules(client))
    said = dict(zip((*names, "rules"), bodies, strict=True))
    return facts._replace(
        proxy=reading.proxy_of(said["config_map"], said["daemon_set"]),
        service_ranges=reading.service_ranges(
            said["cidrs"] or said["cidrs_before"], said["kubeadm"], said["servers"]
        ),
        node_addresses=reading.node_addresses(said["nodes"]),
        istio=reading.istio_version(said["istio"]),
        denied=reading.denied(wanted, said["rules"]),
    )


async def _maybe(client: Any, name: str) -> reading.Object | None:
    """An answer; None where there is no such object, or where we may not see it."""
    try:
        return await _body(client, name)
    except DatastoreError:
        return None


async def _body(client: Any, name: str) -> reading.Object:
    from tortie.datastore.kubernetes.client import Request

    path, _, query = _PATHS[name].partition("?")
    pair = tuple(query.replace("%3D", "=").split("=", 1)) if query else ()
    parameters = ((pair[0], pair[1]),) if pair else ()
    found: reading.Object = json.loads(await client.send(Request(name, path, parameters)))
    return found


async def _rules(client: Any) -> reading.Object | None:
    """What our account may do, as the server itself says."""
    from tortie.datastore.kubernetes.client import Request

    body = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectRulesReview",
        "spec": {"namespace": "kube-system"},
    }
    request = Request("our rights", _REVIEW, (), "POST", json.dumps(body).encode())
    try:
        found: reading.Object = json.loads(await client.send(request))
    except DatastoreError:
        return {"status": {"incomplete": True}}
    return found


def _ahead(url: str, context: ssl.SSLContext) -> float | None:
    """Of any answer, even a refusal: the clock needs no credentials."""
    try:
        return _get(url, context).ahead
    except (OSError, http.client.HTTPException):
        return None


def _get(url: str, context: ssl.SSLContext | None) -> _Dated:
    """One plain request. Raises OSError, HTTPException."""
    parts = urlsplit(url)
    host, port = parts.hostname or "", parts.port
    connection: http.client.HTTPConnection
    if parts.scheme == "https":
        assert context is not None
        context.set_alpn_protocols(["http/1.1"])
        connection = http.client.HTTPSConnection(host, port, timeout=PATIENCE, context=context)
    else:
        connection = http.client.HTTPConnection(host, port, timeout=PATIENCE)
    with closing(connection):
        before = time.time()
        connection.request("GET", parts.path)
        answer = connection.getresponse()
        after = time.time()
        ahead = reading.clock_difference(answer.headers.get("Date"), before, after)
        return _Dated(answer.read(64 * 1024), ahead)


def _why(error: Exception, whom: str) -> str:
    return str(error) or f"{whom} does not answer within {PATIENCE:g} s"
