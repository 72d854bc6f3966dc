"""Kinds that an API server is taught for tests: Calico's two groups, Kubernetes' admin policies."""

import time
from collections.abc import Collection, Iterable, Mapping
from functools import partial
from typing import Any

from servers.kube import KubeServer
from servers.kube_api import KubeApi
from tortie.api import KINDS, Kind
from tortie.api.crds import GROUPS, NATIVE, Release, definitions
from tortie.api.schemas import schema_of

RELEASE = Release(1, 30)  # what tests/servers/kube_apiserver/go.mod pins
ROOT = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
_ADMIN_KINDS = {
    "KubernetesAdminNetworkPolicy": ("anp",),
    "KubernetesBaselineAdminNetworkPolicy": ("banp",),
    "KubernetesClusterNetworkPolicy": ("cnp",),
}
_APPROVAL = "https://github.com/kubernetes-sigs/network-policy-api"  # k8s.io groups must have one


def install(api: KubeApi, groups: Iterable[str] = GROUPS, seconds: float = 60.0) -> None:
    """Define the kinds of these groups and the admin policies; return when all are served."""
    wanted = [each for group in groups for each in definitions(group, release=RELEASE)]
    wanted += [admin_definition(KINDS[name]) for name in _ADMIN_KINDS]
    for each in wanted:
        api.request("POST", ROOT, each)
    wait_established(api, {each["metadata"]["name"] for each in wanted}, seconds)


def store_whole(server: KubeServer, seconds: float = 30.0) -> None:
    """Let the server judge by all rules of the native group, also those of a younger release.

    A server compiles rules that are stored with all functions it knows, new ones only with those
    that the release before it knew too. So what 1.31 takes can be tried on 1.30.
    """
    whole = {each["metadata"]["name"]: each for each in definitions(NATIVE)}
    for name, each in whole.items():
        schema = each["spec"]["versions"][0]["schema"]
        place = f"apiextensions.k8s.io/customresourcedefinitions/{name}"
        server.registry.change(place, partial(_with_schema, schema=schema))
    deadline = time.monotonic() + seconds
    pool = {"apiVersion": "projectcalico.org/v3", "kind": "IPPool", "metadata": {"name": "a"}}
    path = "/apis/projectcalico.org/v3/ippools?dryRun=All"
    while server.api.answer("POST", path, {**pool, "spec": {"cidr": "10.0.0.1/8"}})[0] != 422:
        assert time.monotonic() < deadline, "the rules that were stored are not used"
        time.sleep(0.02)


def _with_schema(definition: dict[str, Any], schema: dict[str, Any]) -> None:
    definition["spec"]["validation"] = schema  # stored as v1beta1, which had one for all versions


def admin_definition(kind: Kind) -> dict[str, Any]:
    """The definition of a kind of `policy.networking.k8s.io`, with the fields that our type has.

    The upstream definitions check more; Tortie applies none of these, clusters bring them.
    """
    group, _, version = kind.api_version.partition("/")
    plural = f"{kind.manifest_kind.lower().removesuffix('y')}ies"
    schema = schema_of(kind)
    properties = {**schema["properties"], "metadata": {"type": "object"}}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {
            "name": f"{plural}.{group}",
            "annotations": {"api-approved.kubernetes.io": _APPROVAL},
        },
        "spec": {
            "group": group,
            "scope": "Cluster",
            "names": {
                "kind": kind.manifest_kind,
                "listKind": f"{kind.manifest_kind}List",
                "plural": plural,
                "singular": kind.manifest_kind.lower(),
                "shortNames": list(_ADMIN_KINDS[kind.name]),
            },
            "versions": [
                {
                    "name": version,
                    "served": True,
                    "storage": True,
                    "schema": {"openAPIV3Schema": {**schema, "properties": properties}},
                }
            ],
        },
    }


def wait_established(api: KubeApi, names: Collection[str], seconds: float = 60.0) -> None:
    """Until the definitions of these names are established and their kinds answer."""
    deadline = time.monotonic() + seconds
    while pending := _pending(api, names):
        assert time.monotonic() < deadline, f"not established in {seconds} s: {pending}"
        time.sleep(0.02)


def _pending(api: KubeApi, names: Collection[str]) -> list[str]:
    found = {each["metadata"]["name"]: each for each in api.get(ROOT)["items"]}
    return [name for name in sorted(names) if not _serves(api, found[name])]


def _serves(api: KubeApi, definition: Mapping[str, Any]) -> bool:
    if conditions_of(definition).get("Established") != "True":
        return False
    spec = definition["spec"]
    path = f"/apis/{spec['group']}/{spec['versions'][0]['name']}/{spec['names']['plural']}?limit=1"
    return api.answer("GET", path)[0] == 200


def conditions_of(definition: Mapping[str, Any]) -> dict[str, str]:
    """The status of each of its conditions, by type."""
    found = definition.get("status", {}).get("conditions") or ()
    return {each["type"]: each["status"] for each in found}
