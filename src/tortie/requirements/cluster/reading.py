"""From the answers of an API server and of etcd to facts. Pure: values of JSON in, facts out."""

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Any, NamedTuple

from tortie.net import Prefix, parse_address, parse_network
from tortie.requirements.cluster.facts import KubeProxy

Object = Mapping[str, Any]
_MODE = re.compile(r'^\s*mode:\s*"?([a-zA-Z]*)"?\s*$', re.MULTILINE)
_MASQUERADE = re.compile(r"^\s*masqueradeAll:\s*true\s*$", re.MULTILINE)
_SUBNET = re.compile(r'^\s*serviceSubnet:\s*"?([^"\s]+)"?\s*$', re.MULTILINE)
_RANGE = "--service-cluster-ip-range"


class Right(NamedTuple):
    """Something that an account has to be allowed to do."""

    verb: str
    group: str
    resource: str
    name: str = ""


def at(value: Any, *path: str | int) -> Any:
    """What a path leads to in an object; None where it ends before."""
    for step in path:
        if isinstance(step, int):
            value = value[step] if isinstance(value, list) and step < len(value) else None
        else:
            value = value.get(step) if isinstance(value, Mapping) else None
    return value


def several(value: Any, *path: str | int) -> list[Any]:
    """A list at the end of a path; an empty one where there is none."""
    found = at(value, *path)
    return found if isinstance(found, list) else []


def named(value: Any, *path: str | int) -> Mapping[str, Any]:
    """An object at the end of a path; an empty one where there is none."""
    found = at(value, *path)
    return found if isinstance(found, Mapping) else {}


def proxy_of(config_map: Object | None, daemon_set: Object | None) -> KubeProxy:
    """How kube-proxy runs: its configuration, and arguments, which overrule it."""
    found, mode, masquerade = "", "", False
    text = "\n".join(str(one) for one in named(config_map, "data").values())
    if text:
        found = "ConfigMap kube-proxy"
        mode = next(iter(_MODE.findall(text)), "")
        masquerade = bool(_MASQUERADE.search(text))
    arguments = arguments_of(at(daemon_set, "spec", "template", "spec"))
    if daemon_set is not None:
        found = found or "DaemonSet kube-proxy"
        mode = option(arguments, "--proxy-mode") or mode
        given = option(arguments, "--masquerade-all")
        masquerade = given != "false" if given else masquerade
    return KubeProxy(mode, masquerade, found)


def arguments_of(pod: Any) -> list[str]:
    """All words of all containers of a pod's spec."""
    return [
        str(word)
        for container in several(pod, "containers")
        for key in ("command", "args")
        for word in several(container, key)
    ]


def option(arguments: Sequence[str], name: str) -> str:
    """The value of an option, "true" where it stands alone; empty where it is not there."""
    for place, word in enumerate(arguments):
        if word == name:
            after = arguments[place + 1 : place + 2]
            return "true" if not after or after[0].startswith("-") else after[0]
        if word.startswith(f"{name}="):
            return word.partition("=")[2]
    return ""


def service_ranges(
    cidrs: Object | None, kubeadm: Object | None, servers: Object | None
) -> tuple[Prefix, ...]:
    """By ServiceCIDRs, else by kubeadm's configuration, else by the API server's arguments."""
    texts = [str(text) for one in several(cidrs, "items") for text in several(one, "spec", "cidrs")]
    if not texts:
        subnets = _SUBNET.findall(str(at(kubeadm, "data", "ClusterConfiguration") or ""))
        texts = [text for one in subnets for text in one.split(",")]
    if not texts:
        for pod in several(servers, "items"):
            texts += option(arguments_of(at(pod, "spec")), _RANGE).split(",")
    return tuple(dict.fromkeys(_networks(texts)))


def _networks(texts: Iterable[str]) -> Iterable[Prefix]:
    for text in texts:
        try:
            yield parse_network(text.strip())
        except ValueError:
            continue


def node_addresses(nodes: Object | None) -> tuple[Prefix, ...]:
    """The addresses of the nodes that are addresses, not names."""
    found = []
    for node in several(nodes, "items"):
        for address in several(node, "status", "addresses"):
            try:
                found.append(Prefix.single(*parse_address(str(at(address, "address")))))
            except ValueError:
                continue
    return tuple(dict.fromkeys(found))


def istio_version(deployment: Object | None) -> str:
    """The version of istiod, by its label or its image's tag; empty where there is none."""
    labels = named(deployment, "metadata", "labels")
    told = labels.get("app.kubernetes.io/version") or labels.get("operator.istio.io/version")
    image = str(at(deployment, "spec", "template", "spec", "containers", 0, "image") or "")
    return str(told or image.partition("@")[0].rpartition("/")[2].partition(":")[2])


def denied(wanted: Iterable[Right], review: Object | None) -> tuple[str, ...]:
    """Those of the rights that a SelfSubjectRulesReview does not tell of."""
    rules = several(review, "status", "resourceRules")
    if not rules and at(review, "status", "incomplete"):
        return ()  # this server's authorizer can't tell
    lacking = (right for right in wanted if not any(_allows(rule, right) for rule in rules))
    return tuple(
        dict.fromkeys(
            f"{right.verb} {right.resource}{f'.{right.group}' if right.group else ''}"
            for right in lacking
        )
    )


def _allows(rule: Any, right: Right) -> bool:
    def has(key: str, value: str) -> bool:
        some = several(rule, key)
        return "*" in some or value in some

    names = several(rule, "resourceNames")
    parent = right.resource.partition("/")
    resource = has("resources", right.resource) or (
        bool(parent[1]) and f"*/{parent[2]}" in several(rule, "resources")
    )
    named = not names or right.name in names
    return has("verbs", right.verb) and has("apiGroups", right.group) and resource and named


def clock_difference(date: str | None, before: float, after: float) -> float | None:
    """Seconds that a server is ahead, by the Date of its answer; 0 as far as can be told.

    The Date has whole seconds: its moment lies in the second that begins there. `before` and
    `after` are when it was asked and when it answered, by our clock.
    """
    try:
        moment: datetime = parsedate_to_datetime(date or "")
    except (TypeError, ValueError):
        return None
    least, most = moment.timestamp() - after, moment.timestamp() + 1 - before
    if least <= 0 <= most:
        return 0.0
    return least if least > 0 else most
