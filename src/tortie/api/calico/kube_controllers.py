"""KubeControllersConfiguration: settings of the cluster's controllers. The object is "default"."""

from typing import Annotated, Literal

from msgspec import Meta, field

from tortie.api import checks
from tortie.api.calico import API_VERSION
from tortie.api.fields import Fields, NameText, Switch, TextSet, Unset
from tortie.api.meta import Resource
from tortie.api.rules import each, inside, items, pairs, text


class Reconciler(Fields, frozen=True, kw_only=True):
    """A controller that compares everything from time to time."""

    reconciler_period: str = ""
    """Time between comparisons, a duration; 0: never. Absent: 5m."""


class LoadBalancerController(Fields, frozen=True, kw_only=True):
    """Addresses for Services of type LoadBalancer."""

    assign_ips: Literal["AllServices", "RequestedServicesOnly"] = field(
        default="AllServices", name="assignIPs"
    )
    """Services that get an address: all, or those that ask by annotation."""


class MigrationController(Fields, frozen=True, kw_only=True):
    """Objects of older versions."""

    policy_name_migrator: Literal["Disabled", "Enabled"] = "Enabled"
    """Whether policies lose the tier that older versions put before their name."""


class HostEndpointTemplate(Fields, frozen=True, kw_only=True):
    """What host endpoints are made like."""

    generate_name: NameText = ""
    """The end of their names, after the node's."""
    interface_cidrs: TextSet = field(default=(), name="interfaceCIDRs")
    """Interfaces with an address in these CIDRs."""
    interface_pattern: str = ""
    """Interfaces whose names match this regular expression."""
    node_selector: str = ""
    """Nodes with these labels."""
    labels: dict[str, str] = field(default_factory=dict)
    """Labels of the host endpoints."""
    annotations: dict[str, str] = field(default_factory=dict)
    """Their annotations."""


class AutoHostEndpoints(Fields, frozen=True, kw_only=True):
    """Host endpoints for every node."""

    auto_create: Switch = ""
    """Whether they are made."""
    create_default_host_endpoint: str = ""
    """Enabled: also one of all interfaces."""
    templates: tuple[HostEndpointTemplate, ...] = ()
    """What else is made."""


class NodeController(Reconciler, frozen=True, kw_only=True):
    """Nodes that come and go, and what they leave behind."""

    sync_labels: Switch = ""
    """Whether labels of Kubernetes' nodes go to Calico's."""
    host_endpoint: AutoHostEndpoints | None = None
    """Host endpoints for every node."""
    leak_grace_period: str = ""
    """Time for which an address may be in use by nobody before it is released, a duration.
    Absent: 15m. 0: nothing is collected but what gone nodes left."""


class Controllers(Fields, frozen=True, kw_only=True):
    """The controllers that run; an absent one does not."""

    node: NodeController | None = None
    """Nodes that come and go, and what they leave behind."""
    policy: Reconciler | None = None
    """Policies of Kubernetes go to the datastore (only where that is etcd)."""
    workload_endpoint: Reconciler | None = None
    """Labels of pods go to their endpoints (only where the datastore is etcd)."""
    namespace: Reconciler | None = None
    """Namespaces go to the datastore as profiles (only where that is etcd)."""
    service_account: Reconciler | None = None
    """Service accounts go to the datastore as profiles (only where that is etcd)."""
    load_balancer: LoadBalancerController | None = None
    """Addresses for Services of type LoadBalancer."""
    migration: MigrationController | None = None
    """Objects that older versions wrote."""


class KubeControllersConfigurationSpec(Fields, frozen=True, kw_only=True):
    """The controllers and what is around them."""

    controllers: Controllers
    """The controllers that run."""
    log_severity_screen: (
        Literal["None", "Debug", "Info", "Warning", "Error", "Fatal", "Panic"] | Unset
    ) = ""
    """The least severity that is logged. Absent: Info."""
    health_checks: Literal["Enabled", "Disabled"] = "Enabled"
    """Whether health is told."""
    prometheus_metrics_port: Annotated[int, Meta(ge=0, le=65535)] | None = None
    """The port of the metrics; 0: none. Absent: 9094."""
    debug_profile_port: (
        Annotated[int, Meta(ge=0, le=65535, extra_json_schema={"format": "int32"})] | None
    ) = None
    """The port of profiles; 0: none. Absent: none."""
    etcd_v3_compaction_period: str = field(default="", name="etcdV3CompactionPeriod")
    """Time between compactions of etcd, which forget old revisions, a duration; 0: never.
    Absent: 10m."""


class KubeControllersConfigurationStatus(Fields, frozen=True, kw_only=True):
    """What the controllers run with."""

    running_config: KubeControllersConfigurationSpec | None = None
    """The configuration in use."""
    environment_vars: dict[str, str] = field(default_factory=dict)
    """Environment variables that go before it."""


class KubeControllersConfiguration(Resource, frozen=True, kw_only=True):
    """Settings of the cluster's controllers."""

    api_version = API_VERSION
    kind = "KubeControllersConfiguration"

    spec: KubeControllersConfigurationSpec
    status: KubeControllersConfigurationStatus | None = None


RECONCILER_RULES = (text("reconciler_period", checks.duration),)

TEMPLATE_RULES = (
    each("interface_cidrs", checks.cidr),
    text("interface_pattern", checks.regular_expression),
    text("node_selector", checks.local_selector),
    pairs("labels", checks.qualified_name, checks.label_value),
    pairs("annotations", checks.annotation_key, str),
)

CONTROLLER_RULES = (
    inside("policy", RECONCILER_RULES),
    inside("workload_endpoint", RECONCILER_RULES),
    inside("namespace", RECONCILER_RULES),
    inside("service_account", RECONCILER_RULES),
    inside(
        "node",
        (
            *RECONCILER_RULES,
            text("leak_grace_period", checks.duration),
            inside("host_endpoint", (items("templates", TEMPLATE_RULES),)),
        ),
    ),
)

RULES = (
    inside(
        "spec",
        (
            inside("controllers", CONTROLLER_RULES),
            text("etcd_v3_compaction_period", checks.duration),
        ),
    ),
)
