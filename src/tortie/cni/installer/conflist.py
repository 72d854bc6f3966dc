"""The network configuration that runtimes read: from a template, or made from settings. Pure."""

import json
import re
from collections.abc import Iterable, Mapping
from typing import cast

from tortie.cni.installer.errors import InstallError
from tortie.cni.request import SUPPORTED_VERSIONS

VERSION = "1.0.0"  # what containerd 1.6 and CRI-O of its time speak
_PLACEHOLDER = re.compile(r"__[A-Z][A-Z0-9_]*?__")
_TYPE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,100}")
_ENDINGS = (".conf", ".conflist", ".json")
_NUMBERS = ("CNI_MTU", "LOG_FILE_MAX_SIZE", "LOG_FILE_MAX_AGE", "LOG_FILE_MAX_COUNT")


def filled(template: str, values: Mapping[str, str]) -> bytes:
    """A template with values in place of its __PLACEHOLDERS__. Raises InstallError.

    A value can only become text: whatever it holds, it does not end the string that it stands in.
    """

    def value(match: re.Match[str]) -> str:
        name = match.group()[2:-2]
        if name not in values:
            known = ", ".join(f"__{one}__" for one in sorted(values))
            raise InstallError(
                f"CNI_NETWORK_CONFIG has the placeholder __{name}__, which stands for nothing:"
                f" there are {known}"
            )
        if name in _NUMBERS and not re.fullmatch("[0-9]{1,9}", values[name]):
            raise InstallError(f"{name} is {values[name][:60]!r}: use a whole number")
        return json.dumps(values[name])[1:-1]

    text = _PLACEHOLDER.sub(value, template)
    check(text)
    return text.encode() if text.endswith("\n") else f"{text}\n".encode()


def check(text: str) -> None:
    """Raises InstallError for what no runtime could use."""
    try:
        found = json.loads(text)
    except (json.JSONDecodeError, RecursionError) as problem:
        raise InstallError(f"CNI_NETWORK_CONFIG is not JSON once it is filled: {problem}") from None
    if not isinstance(found, dict) or not isinstance(found.get("name"), str) or not found["name"]:
        raise InstallError("CNI_NETWORK_CONFIG has no name: a network's configuration needs one")
    listed = found.get("plugins", [found])
    if not isinstance(listed, list) or not listed:
        raise InstallError("CNI_NETWORK_CONFIG: plugins has to be a list with at least one plugin")
    for plugin in listed:
        kind = plugin.get("type") if isinstance(plugin, dict) else None
        if not isinstance(kind, str) or not _TYPE.fullmatch(kind):
            raise InstallError(
                "CNI_NETWORK_CONFIG: each plugin needs a type, the name of its program"
            )
        _check_ipam(kind, plugin.get("ipam"))
    version = found.get("cniVersion", VERSION)
    if version not in SUPPORTED_VERSIONS:
        known = ", ".join(SUPPORTED_VERSIONS)
        raise InstallError(f"CNI_NETWORK_CONFIG: cniVersion is {version!r}: use one of {known}")


def _check_ipam(kind: str, ipam: object) -> None:
    """It is an object; where it has a type, that is a program's name."""
    own = ipam.get("type", "") if isinstance(ipam, dict) else None
    if ipam is not None and not (isinstance(own, str) and (not own or _TYPE.fullmatch(own))):
        raise InstallError(
            f'CNI_NETWORK_CONFIG: ipam of {kind} has to be such as {{"type": "calico-ipam"}}'
        )


def made(
    kubeconfig: str, values: Mapping[str, str], mtu: int, agent_socket: str, chained: Iterable[str]
) -> bytes:
    """The configuration where there is no template; `chained` are standard plugins that are there.

    `kubeconfig` may be "", where there is no API server.
    """
    own: dict[str, object] = {
        "type": "calico",
        "log_level": values["LOG_LEVEL"],
        "datastore_type": values["DATASTORE_TYPE"],
        "ipam": {"type": "calico-ipam"},
        "policy": {"type": "k8s"},
    }
    if values["KUBERNETES_NODE_NAME"]:
        own["nodename"] = values["KUBERNETES_NODE_NAME"]
    if mtu:
        own["mtu"] = mtu
    if agent_socket:
        own["agent_socket"] = agent_socket
    if kubeconfig:
        own["kubernetes"] = {"kubeconfig": kubeconfig}
    behind = {
        "portmap": {"type": "portmap", "snat": True, "capabilities": {"portMappings": True}},
        "bandwidth": {"type": "bandwidth", "capabilities": {"bandwidth": True}},
    }
    plugins = [own, *(behind[name] for name in behind if name in set(chained))]
    found = {"name": "k8s-pod-network", "cniVersion": VERSION, "plugins": plugins}
    return (json.dumps(found, indent=2) + "\n").encode()


def programs(data: bytes) -> list[str]:
    """The programs that a configuration has a runtime start."""
    found = json.loads(data)
    plugins = found.get("plugins", [found])
    kinds = [plugin["type"] for plugin in plugins]
    ipam = [cast(dict[str, object], plugin.get("ipam") or {}).get("type") for plugin in plugins]
    own = [str(kind) for kind in ipam if kind and kind != "calico-ipam"]  # the agent does that one
    return sorted({*kinds, *own})


def before(name: str, present: Iterable[str]) -> list[str]:
    """The configurations that a runtime would take instead: it reads the first by name."""
    return sorted(one for one in present if one.endswith(_ENDINGS) and one < name)
