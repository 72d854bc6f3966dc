"""The network configuration: every key that changes what is done, checked and typed. Pure.

docs/cni.md tells of all of Calico's keys, also of those that need nothing here, and why.
"""

import re
from collections.abc import Mapping
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct, field

from tortie.cni.errors import DECODING_FAILURE, INVALID_CONFIG, CniError

OWN_IPAM = "calico-ipam"
DEFAULT_ADD_LIMIT = 30.0  # seconds until ADD gives up on policy and routes
LONGEST_ADD_LIMIT = 50.0
MOST_QUEUES = 4096  # of the kernel, for a veth

# The second is what the specification called it for a while.
_VALID = ("cni.dev/valid-attachments", "cni.dev/attachments")
_NETWORK_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]*")
_PLUGIN_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]{0,63}")


class Ipam(Struct, frozen=True):
    """Where addresses come from. Pools are named by CIDR or by name.

    A `type` other than ours is a plugin of CNI_PATH, which reads the rest of it by itself.
    """

    type: str = OWN_IPAM
    assign_ipv4: str = "true"
    assign_ipv6: str = "false"
    ipv4_pools: tuple[str, ...] = ()
    ipv6_pools: tuple[str, ...] = ()
    routes: tuple[Mapping[str, Any], ...] = ()
    gateway: str = ""  # told to another plugin that makes the interface

    @property
    def is_own(self) -> bool:
        """Whether addresses come from the datastore's pools."""
        return self.type == OWN_IPAM


class ContainerSettings(Struct, frozen=True):
    """Settings of the container's network namespace."""

    allow_ip_forwarding: bool = False


class FeatureControl(Struct, frozen=True):
    """What pods may ask for by annotation."""

    ip_addrs_no_ipam: bool = False
    floating_ips: bool = False


class PolicyType(Struct, frozen=True):
    """Who gives containers that no Pod describes their profile: "": this plugin."""

    type: str = ""


class KubernetesSettings(Struct, frozen=True):
    """Of Kubernetes; the agent has a connection of its own."""

    node_name: str = ""


class RuntimeConfig(Struct, frozen=True):
    """What the runtime asks for by the conventions for capabilities."""

    ips: tuple[str, ...] = ()
    mac: str = ""


class AttachmentId(Struct, frozen=True, rename={"container_id": "containerID"}):
    """One interface of one container."""

    container_id: str
    ifname: str


class NetworkConfig(Struct, frozen=True, rename={"cni_version": "cniVersion"}):
    """The keys of the network configuration that are used here; others are ignored."""

    name: str
    type: str = ""  # the plugin that is to make the interface
    cni_version: str = "0.1.0"  # what the specification says of a configuration without one
    mtu: Annotated[int, Meta(ge=0, le=65535)] = 0
    num_queues: Annotated[int, Meta(ge=0, le=MOST_QUEUES)] = 0
    device_type: str = ""
    nodename: str = ""
    nodename_file: str = ""
    nodename_file_optional: bool = False
    datastore_type: str = ""
    kubernetes: KubernetesSettings = KubernetesSettings()
    policy: PolicyType = PolicyType()
    ipam: Ipam = Ipam()
    include_default_routes: bool = False
    feature_control: FeatureControl = FeatureControl()
    container_settings: ContainerSettings = ContainerSettings()
    dataplane_options: Mapping[str, Any] = {}
    readiness_gates: tuple[str, ...] = ()
    policy_setup_timeout_seconds: Annotated[float, Meta(ge=0)] = 0
    dns: Mapping[str, Any] = {}
    runtime: RuntimeConfig = field(default=RuntimeConfig(), name="runtimeConfig")
    policy_only: bool = False  # another plugin of the chain makes interfaces
    prev_result: Mapping[str, Any] | None = field(default=None, name="prevResult")
    valid_attachments: tuple[AttachmentId, ...] | None = field(default=None, name=_VALID[0])

    @property
    def add_limit(self) -> float:
        """Seconds that ADD may wait for the agent."""
        return min(self.policy_setup_timeout_seconds or DEFAULT_ADD_LIMIT, LONGEST_ADD_LIMIT)


def parse_config(config: bytes) -> NetworkConfig:
    """The network configuration. Raises CniError."""
    try:
        raw = msgspec.json.decode(config)
    except (msgspec.DecodeError, RecursionError) as problem:
        raise CniError(
            DECODING_FAILURE, f"the network configuration is not JSON: {problem}"
        ) from None
    try:
        network = msgspec.convert(_as_one(raw), NetworkConfig)
    except msgspec.ValidationError as problem:
        raise CniError(INVALID_CONFIG, f"the network configuration is wrong: {problem}") from None
    if not _NETWORK_NAME.fullmatch(network.name):
        raise CniError(INVALID_CONFIG, f"{network.name!r} is not a network's name")
    if not _PLUGIN_NAME.fullmatch(network.ipam.type):
        found = f"ipam.type is {network.ipam.type!r}"
        raise CniError(INVALID_CONFIG, f"{found}: use calico-ipam, or a plugin's name")
    return network


def _as_one(raw: object) -> object:
    """The configuration with what is written in several ways made one: absent keys, booleans."""
    if not isinstance(raw, dict):
        return raw
    found = _without_none(raw)
    for name in reversed(_VALID):
        if name in raw:  # null is what programs in Go make of a list without members
            found[_VALID[0]] = raw[name] or []
    for name in ("kubernetes", "policy", "feature_control", "container_settings", "runtimeConfig"):
        if isinstance(part := found.get(name), dict):
            found[name] = _without_none(part)
    if isinstance(ipam := found.get("ipam"), dict):
        found["ipam"] = {
            key: str(value).lower() if isinstance(value, bool) else value
            for key, value in _without_none(ipam).items()
            if (key, value) != ("type", "")
        }
    return found


def _without_none(found: dict[str, object]) -> dict[str, object]:
    return {key: value for key, value in found.items() if value is not None}
