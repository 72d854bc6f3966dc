"""Kubernetes' Pod: what networking needs of it is typed, the rest is kept as it came."""

from typing import Annotated, Literal

from msgspec import Meta, field

from tortie.api import checks
from tortie.api.fields import Fields, Port, Unset, Unused
from tortie.api.meta import Resource
from tortie.api.rules import inside, items, must, text, unique


class ContainerPort(Fields, frozen=True, kw_only=True):
    """A port that a container listens on."""

    container_port: Port
    """The port."""
    name: str = ""
    """The name that policies may use."""
    protocol: Literal["TCP", "UDP", "SCTP"] | Unset = ""
    """The protocol. Absent: TCP."""
    host_port: Annotated[int, Meta(ge=0, le=65535)] | None = None
    """The port of the node that leads to it."""
    host_ip: str = ""
    """The node's address for `host_port`."""


class Container(Fields, frozen=True, kw_only=True):
    """A container of a pod: its name and its ports."""

    name: str
    """The name, unique in the pod."""
    image: str = ""
    """What it runs."""
    ports: tuple[ContainerPort, ...] = ()
    """The ports it listens on."""

    args: Unused = None
    command: Unused = None
    env: Unused = None
    env_from: Unused = None
    image_pull_policy: Unused = None
    lifecycle: Unused = None
    liveness_probe: Unused = None
    readiness_probe: Unused = None
    resize_policy: Unused = None
    resources: Unused = None
    restart_policy: Unused = None
    restart_policy_rules: Unused = None
    security_context: Unused = None
    startup_probe: Unused = None
    stdin: Unused = None
    stdin_once: Unused = None
    target_container_name: Unused = None
    termination_message_path: Unused = None
    termination_message_policy: Unused = None
    tty: Unused = None
    volume_devices: Unused = None
    volume_mounts: Unused = None
    working_dir: Unused = None


class PodSpec(Fields, frozen=True, kw_only=True):
    """Where the pod runs, as whom, and its containers."""

    containers: tuple[Container, ...] = ()
    """The containers."""
    init_containers: tuple[Container, ...] = ()
    """Containers that run before the others."""
    node_name: str = ""
    """The node it runs on. Absent: not scheduled yet."""
    host_network: bool = False
    """It uses the node's own network, so it has no endpoint."""
    service_account_name: str = ""
    """The service account that it runs as. Absent: "default"."""

    active_deadline_seconds: Unused = None
    affinity: Unused = None
    automount_service_account_token: Unused = None
    dns_config: Unused = None
    dns_policy: Unused = None
    enable_service_links: Unused = None
    ephemeral_containers: Unused = None
    host_aliases: Unused = None
    host_ipc: Unused = None
    host_pid: Unused = None
    host_users: Unused = None
    hostname: Unused = None
    hostname_override: Unused = None
    image_pull_secrets: Unused = None
    node_selector: Unused = None
    os: Unused = None
    overhead: Unused = None
    preemption_policy: Unused = None
    priority: Unused = None
    priority_class_name: Unused = None
    readiness_gates: Unused = None
    resource_claims: Unused = None
    resources: Unused = None
    restart_policy: Unused = None
    runtime_class_name: Unused = None
    scheduler_name: Unused = None
    scheduling_gates: Unused = None
    security_context: Unused = None
    service_account: Unused = None
    set_hostname_as_fqdn: Unused = field(default=None, name="setHostnameAsFQDN")
    share_process_namespace: Unused = None
    subdomain: Unused = None
    termination_grace_period_seconds: Unused = None
    tolerations: Unused = None
    topology_spread_constraints: Unused = None
    volumes: Unused = None
    workload_ref: Unused = None


class PodIP(Fields, frozen=True, kw_only=True):
    """One address of a pod."""

    ip: str = ""
    """The address."""


class PodStatus(Fields, frozen=True, kw_only=True):
    """What became of the pod."""

    phase: Literal["Pending", "Running", "Succeeded", "Failed", "Unknown", "Completed"] | Unset = ""
    """Succeeded and Failed: it has ended and has no address any more."""
    pod_ip: str = ""
    """Its first address."""
    pod_ips: tuple[PodIP, ...] = ()
    """All its addresses, one a family."""

    conditions: Unused = None
    container_statuses: Unused = None
    ephemeral_container_statuses: Unused = None
    extended_resource_claim_status: Unused = None
    host_ip: Unused = None
    host_ips: Unused = None
    init_container_statuses: Unused = None
    message: Unused = None
    nominated_node_name: Unused = None
    observed_generation: Unused = None
    qos_class: Unused = None
    reason: Unused = None
    resize: Unused = None
    resource_claim_statuses: Unused = None
    start_time: Unused = None


class Pod(Resource, frozen=True, kw_only=True):
    """Containers that share one network namespace."""

    api_version = "v1"
    kind = "Pod"

    spec: PodSpec = PodSpec()
    status: PodStatus | None = None


CONTAINER_RULES = (
    text("name", checks.dns_label),
    items("ports", (text("name", checks.service_port_name), text("host_ip", checks.address))),
)

RULES = (
    inside(
        "spec",
        (
            items("containers", CONTAINER_RULES),
            items("init_containers", CONTAINER_RULES),
            unique("containers", key=lambda container: container.name),
            text("node_name", checks.dns_subdomain),
            text("service_account_name", checks.dns_subdomain),
            must("containers", "a pod needs at least one container", lambda s: s.containers),
        ),
    ),
    inside(
        "status",
        (text("pod_ip", checks.address), items("pod_ips", (text("ip", checks.address),))),
    ),
)
