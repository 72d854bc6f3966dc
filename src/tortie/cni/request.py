"""What a container runtime asks: environment and network configuration as one checked value."""

import re
from collections.abc import Mapping
from typing import Annotated, cast

import msgspec
from msgspec import Meta, Struct, field

from tortie.cni.errors import (
    DECODING_FAILURE,
    INCOMPATIBLE_VERSION,
    INVALID_CONFIG,
    INVALID_ENVIRONMENT,
    CniError,
)

SUPPORTED_VERSIONS = ("0.3.1", "0.4.0", "1.0.0", "1.1.0")
LATEST = "1.1.0"
DEFAULT_ADD_LIMIT = 30.0  # seconds until ADD gives up on policy and routes
LONGEST_ADD_LIMIT = 50.0

_COMMANDS = {
    "ADD": "0.3.1",
    "DEL": "0.3.1",
    "CHECK": "0.4.0",
    "STATUS": "1.1.0",
    "GC": "1.1.0",
}  # each with the version that brought it
_WITH_CONTAINER = ("ADD", "DEL", "CHECK")
_CONTAINER_ID = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]{0,252}")
_NETWORK_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]*")
_INTERFACE = re.compile(r"[^\s/:\0]{1,15}")


class Ipam(Struct, frozen=True):
    """Where addresses come from. Pools are named by CIDR or by name."""

    type: str = "calico-ipam"
    assign_ipv4: str = "true"
    assign_ipv6: str = "false"
    ipv4_pools: tuple[str, ...] = ()
    ipv6_pools: tuple[str, ...] = ()


class ContainerSettings(Struct, frozen=True):
    """Settings of the container's network namespace."""

    allow_ip_forwarding: bool = False


class AttachmentId(Struct, frozen=True, rename={"container_id": "containerID"}):
    """One interface of one container."""

    container_id: str
    ifname: str


class NetworkConfig(Struct, frozen=True, rename={"cni_version": "cniVersion"}):
    """The keys of the network configuration that are used here; others are ignored."""

    name: str
    cni_version: str = "0.1.0"  # what the specification says of a configuration without one
    mtu: Annotated[int, Meta(ge=0, le=65535)] = 0
    ipam: Ipam = Ipam()
    policy_setup_timeout_seconds: Annotated[float, Meta(ge=0)] = 0
    container_settings: ContainerSettings = ContainerSettings()
    valid_attachments: tuple[AttachmentId, ...] | None = field(
        default=None, name="cni.dev/valid-attachments"
    )

    @property
    def add_limit(self) -> float:
        """Seconds that ADD may wait for the agent."""
        return min(self.policy_setup_timeout_seconds or DEFAULT_ADD_LIMIT, LONGEST_ADD_LIMIT)


class CniRequest(Struct, frozen=True):
    """One call. `netns` is a path, empty in a DEL of a container that is gone already."""

    command: str
    container_id: str
    netns: str
    ifname: str
    arguments: Mapping[str, str]  # CNI_ARGS
    config: NetworkConfig

    @property
    def handle(self) -> str:
        """The IPAM handle under which the container's addresses are held."""
        return f"{self.config.name}.{self.container_id}"


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
    )
    if command in _WITH_CONTAINER:
        _check_container(request)
    return request


def parse_config(config: bytes) -> NetworkConfig:
    """The network configuration. Raises CniError."""
    try:
        raw = msgspec.json.decode(config)
    except (msgspec.DecodeError, RecursionError) as problem:
        raise CniError(
            DECODING_FAILURE, f"the network configuration is not JSON: {problem}"
        ) from None
    try:
        network = msgspec.convert(_plugins_own(raw), NetworkConfig)
    except msgspec.ValidationError as problem:
        raise CniError(INVALID_CONFIG, f"the network configuration is wrong: {problem}") from None
    if not _NETWORK_NAME.fullmatch(network.name):
        raise CniError(INVALID_CONFIG, f"{network.name!r} is not a network's name")
    if network.ipam.type not in ("calico-ipam", ""):
        raise CniError(
            INVALID_CONFIG, f"ipam.type is {network.ipam.type!r}: only calico-ipam can be used"
        )
    return network


def _plugins_own(raw: object) -> object:
    """The configuration with what runtimes write in several ways made one."""
    if not isinstance(raw, dict):
        return raw
    found = cast(dict[str, object], {key: value for key, value in raw.items() if value is not None})
    ipam = found.get("ipam")
    if isinstance(ipam, dict):
        found["ipam"] = {
            key: str(value).lower() if isinstance(value, bool) else value
            for key, value in ipam.items()
            if value is not None
        }
    return found


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
    if not _INTERFACE.fullmatch(request.ifname) or request.ifname in (".", ".."):
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
