"""What a container runtime asks: environment and network configuration as one checked value."""

import re
from collections.abc import Mapping
from hashlib import sha256

from msgspec import Struct
from msgspec.structs import replace

from tortie.cni.config import NetworkConfig, parse_config
from tortie.cni.errors import INCOMPATIBLE_VERSION, INVALID_ENVIRONMENT, CniError
from tortie.kubernetes.interfaces import is_interface
from tortie.kubernetes.names import ENDPOINT

SUPPORTED_VERSIONS = ("0.1.0", "0.2.0", "0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0")
LATEST = "1.1.0"

_COMMANDS = {
    "ADD": "0.1.0",
    "DEL": "0.1.0",
    "CHECK": "0.4.0",
    "STATUS": "1.1.0",
    "GC": "1.1.0",
}  # each with the version that brought it
_WITH_CONTAINER = ("ADD", "DEL", "CHECK")
_CONTAINER_ID = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]{0,252}")


class CniRequest(Struct, frozen=True):
    """One call. `netns` is a path, empty in a DEL of a container that is gone already.

    `path` are the folders of CNI_PATH, `text` is the configuration as it came: both are for
    plugins that addresses come from.
    """

    command: str
    container_id: str
    netns: str
    ifname: str
    arguments: Mapping[str, str]  # CNI_ARGS
    config: NetworkConfig
    path: tuple[str, ...] = ()
    text: bytes = b""

    @property
    def handle(self) -> str:
        """The IPAM handle under which the interface's addresses are held.

        A container's first interface has Calico's name; others have addresses of their own.
        """
        whole = f"{self.config.name}.{self.container_id}"
        if self.ifname not in ("", ENDPOINT):
            whole = f"{whole}.{self.ifname}"
        if "." in self.container_id:  # by its text alone it could be another's and its interface
            about = f"{self.container_id}/{self.ifname}"
            return f"{whole}-{sha256(about.encode()).hexdigest()[:8]}"
        return whole


def naming_pod(request: CniRequest, namespace: str, name: str) -> CniRequest:
    """The same call, of a pod's container."""
    arguments = {**request.arguments, "K8S_POD_NAMESPACE": namespace, "K8S_POD_NAME": name}
    return replace(request, arguments=arguments)


def parse_request(environ: Mapping[str, str], config: bytes) -> CniRequest:
    """The call as a value. Raises CniError with the specification's code."""
    command = environ.get("CNI_COMMAND", "")
    if command not in _COMMANDS:
        known = ", ".join(_COMMANDS)
        raise _bad_environment("CNI_COMMAND", command, f"use one of {known}, VERSION")
    network = parse_config(config)
    _check_version(command, network.cni_version)
    request = CniRequest(
        command=command,
        container_id=environ.get("CNI_CONTAINERID", ""),
        netns=environ.get("CNI_NETNS", ""),
        ifname=environ.get("CNI_IFNAME", ""),
        arguments=_arguments(environ.get("CNI_ARGS", "")),
        config=network,
        path=tuple(filter(None, environ.get("CNI_PATH", "").split(":"))),
        text=config,
    )
    if command in _WITH_CONTAINER:
        _check_container(request)
    return request


def _check_version(command: str, version: str) -> None:
    if version not in SUPPORTED_VERSIONS:
        known = ", ".join(SUPPORTED_VERSIONS)
        raise CniError(
            INCOMPATIBLE_VERSION, f"cniVersion {version!r} is not supported: use one of {known}"
        )
    if SUPPORTED_VERSIONS.index(version) < SUPPORTED_VERSIONS.index(_COMMANDS[command]):
        raise CniError(
            INCOMPATIBLE_VERSION,
            f"{command} came with cniVersion {_COMMANDS[command]}, the configuration is {version}",
        )


def _check_container(request: CniRequest) -> None:
    if not _CONTAINER_ID.fullmatch(request.container_id):
        raise _bad_environment("CNI_CONTAINERID", request.container_id, "use a container's id")
    if not is_interface(request.ifname):
        raise _bad_environment("CNI_IFNAME", request.ifname, "use an interface's name")
    if request.command != "DEL" and not request.netns.startswith("/"):
        raise _bad_environment("CNI_NETNS", request.netns, "use a namespace's absolute path")


def _arguments(text: str) -> dict[str, str]:
    """CNI_ARGS: "K8S_POD_NAME=web;K8S_POD_NAMESPACE=shop"."""
    found = {}
    for item in filter(None, text.split(";")):
        name, equals, value = item.partition("=")
        if not equals:
            raise _bad_environment("CNI_ARGS", text, "use NAME=VALUE;NAME=VALUE")
        found[name] = value
    return found


def _bad_environment(name: str, value: str, allowed: str) -> CniError:
    return CniError(INVALID_ENVIRONMENT, f"{name} is {value!r}: {allowed}")
