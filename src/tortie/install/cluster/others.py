"""Who else connects pods in a cluster, by what is known of other networks. Pure."""

import re
from collections.abc import Iterable

from tortie.api.crds import Release
from tortie.install.manifests.choices import Choices, Networking
from tortie.install.manifests.objects import MANAGED_BY, OURS, Object

OLDEST = Release(1, 21)
"""Of Kubernetes (row B1): EndpointSlices, PodDisruptionBudgets of policy/v1."""
_NUMBERS = re.compile(r"v?([0-9]{1,3})\.([0-9]{1,3})", re.ASCII)
_FLANNEL = "flannel"
_KNOWN = {
    "antrea-agent": "Antrea",
    "aws-node": "Amazon's plugin",
    "azure-cni": "Azure's plugin",
    "azure-npm": "Azure's policy manager",
    "cilium": "Cilium",
    "kindnet": "kindnet",
    "kube-flannel": _FLANNEL,
    "kube-flannel-ds": _FLANNEL,
    "kube-ovn-cni": "Kube-OVN",
    "kube-router": "kube-router",
    "netd": "Google's plugin",
    "ovnkube-node": "OVN-Kubernetes",
    "weave-net": "Weave",
}
_CLOUDS = {"Amazon's plugin", "Azure's plugin", "Google's plugin"}
_CALICO = ("calico-node", "canal")


def release_of(version: str) -> Release:
    """The release of an API server that calls itself so. Raises ValueError with what to do."""
    found = _NUMBERS.match(version)
    if found is None or found[1] == "0":
        raise ValueError(
            f"the API server calls itself {version!r}, which is no release of Kubernetes: "
            "say with --kubernetes which one it is"
        )
    release = Release(int(found[1]), int(found[2]))
    if release < OLDEST:
        raise ValueError(
            f"the API server is Kubernetes {version}: {OLDEST} or later is needed, which has "
            "EndpointSlices and PodDisruptionBudgets in their final versions: upgrade it first"
        )
    return release


def calico_itself(found: Iterable[Object]) -> str:
    """Why we can't take over the pods of another Calico; "" where there are none.

    Applied over it, containers of both would end up in one pod.
    """
    for each in found:
        metadata = each["metadata"]
        labels = metadata.get("labels") or {}
        if metadata["name"] in _CALICO and labels.get(MANAGED_BY) != OURS[MANAGED_BY]:
            where = f"{metadata['namespace']}/{metadata['name']}"
            return (
                f"the DaemonSet {where} is not Tortie's: it is another installation of Calico. "
                f"Remove it first (kubectl -n {metadata['namespace']} delete daemonset "
                f"{metadata['name']}); policy stays in force on the nodes until ours takes over"
            )
    return ""


def beside(found: Iterable[Object], made: Choices) -> list[str]:
    """A warning for each other network whose pods run here and that does not go with `made`."""
    return [
        f"{name} runs in this cluster ({metadata['namespace']}/{metadata['name']}): "
        "two networks that both connect pods undo each other" + _advice(name)
        for each in found
        if (metadata := each["metadata"])
        and (name := _KNOWN.get(metadata["name"]))
        and not _goes_with(name, made)
    ]


def _goes_with(name: str, made: Choices) -> bool:
    if made.networking is Networking.FLANNEL:
        return name == _FLANNEL and not made.flannel_image
    return made.networking is Networking.POLICY_ONLY and name in _CLOUDS


def _advice(name: str) -> str:
    if name == _FLANNEL:
        return "; --flannel brings our policy to its network"
    if name in _CLOUDS:
        return "; --policy-only brings our policy to its network"
    return "; remove it, or do not install"
