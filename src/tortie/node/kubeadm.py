"""What kubeadm and Rancher keep of a cluster in kube-system. Pure.

The ConfigMap "kubeadm-config" holds documents of YAML; in the one of kind ClusterConfiguration
`networking.podSubnet` and `networking.serviceSubnet` are ranges with commas between.
"""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from tortie.api.documents import YamlError, read_documents
from tortie.net import Prefix, parse_network

KUBEADM = "kubeadm-config"
RANCHER = "full-cluster-state"
NAMESPACE = "kube-system"


class Subnets(NamedTuple):
    """The ranges of pods and of services."""

    pods: tuple[Prefix, ...] = ()
    services: tuple[Prefix, ...] = ()


def subnets(data: Mapping[str, str]) -> Subnets:
    """Of the ConfigMap's data; what can't be read counts as not said."""
    for networking in _networking(data):
        pods = _ranges(networking.get("podSubnet"))
        services = _ranges(networking.get("serviceSubnet"))
        if pods or services:
            return Subnets(pods, services)
    return Subnets()


def _networking(data: Mapping[str, str]) -> Iterator[Mapping[str, Any]]:
    for text in data.values():
        for document in read_documents(text):
            if isinstance(document, YamlError):
                continue
            found = document.data.get("networking") if isinstance(document.data, dict) else None
            if isinstance(found, dict):
                yield found


def _ranges(text: object) -> tuple[Prefix, ...]:
    if not isinstance(text, str):
        return ()
    found = []
    for part in text.split(","):
        try:
            found.append(parse_network(part.strip()))
        except ValueError:
            continue
    return tuple(found)
