"""The DaemonSet: what runs on every node, with no more rights than each part needs."""

from tortie.install.manifests.choices import Choices, Networking
from tortie.install.manifests.config import agents_settings, config_name, nodes_settings
from tortie.install.manifests.environment import (
    NODE_CERTIFICATES,
    datastore,
    datastore_mounts,
    datastore_volumes,
    follower,
    tls_mounts,
    tls_volumes,
)
from tortie.install.manifests.flannel import flannel_container, flannel_mounts, flannel_volumes
from tortie.install.manifests.objects import (
    LINUX,
    Object,
    dropped,
    field_of,
    host_path,
    mount,
    of_namespace,
    run_by,
    selected,
    tolerating_all,
    value_of,
    values,
)

_PLUGINS, _NETWORKS = "/host/opt/cni/bin", "/host/etc/cni/net.d"
_RUN = mount("run-tortie", "/run/tortie")
_STATE = mount("var-lib-calico", "/var/lib/calico")
_NAMES = mount("var-run-calico", "/var/run/calico")
_LOCK = mount("xtables-lock", "/run/xtables.lock")
_MODULES = mount("lib-modules", "/lib/modules", readOnly=True)
_NAMESPACES = mount("run-netns", "/run/netns", mountPropagation="HostToContainer")
_BGP_RIGHTS = ["NET_ADMIN", "NET_BIND_SERVICE", "NET_RAW"]


def daemon_set(made: Choices) -> Object:
    """Calico's DaemonSet, with our containers."""
    name = "canal" if made.networking is Networking.FLANNEL else "calico-node"
    spec = {
        "selector": selected(name),
        "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 1}},
        "template": {"metadata": {"labels": {"k8s-app": name}}, "spec": _pod(made)},
    }
    head = of_namespace("DaemonSet", name, "apps/v1", k8s_app=name)
    return {**head, "spec": spec}


def _pod(made: Choices) -> Object:
    return {
        "nodeSelector": LINUX,
        "hostNetwork": True,
        "tolerations": tolerating_all(),
        "serviceAccountName": "calico-node",
        "terminationGracePeriodSeconds": 30,
        "priorityClassName": "system-node-critical",
        "initContainers": [*_installing(made), _starting(made)],
        "containers": [_agent(made), *_bgp(made), *_watching(made), *flannel_container(made)],
        "volumes": _volumes(made),
    }


def _container(made: Choices, name: str, command: str, **more: object) -> Object:
    head = {"name": name, "image": made.image, "imagePullPolicy": "IfNotPresent"}
    return {**head, "command": command.split(), **more}


def _agent(made: Choices) -> Object:
    """Privileged, and alone so: it enters namespaces and writes /proc/sys (row N7)."""
    mtu = ("FELIX_IPINIPMTU", "FELIX_VXLANMTU", "FELIX_WIREGUARDMTU")
    name = config_name(made)
    return _container(
        made,
        "calico-node",
        "tortie agent",
        env=[
            *_node_variables(made),
            *(value_of(variable, name, "veth_mtu") for variable in mtu),
            *values(agents_settings(made)),
            *follower(made),
        ],
        securityContext={"privileged": True},
        resources={"requests": {"cpu": "150m", "memory": "96Mi"}},
        lifecycle={"preStop": {"exec": {"command": ["tortie", "node", "shutdown"]}}},
        livenessProbe=run_by(
            "tortie node health --felix-live",
            10,
            periodSeconds=10,
            initialDelaySeconds=10,
            failureThreshold=6,
        ),
        readinessProbe=run_by("tortie node health --felix-ready", 10, periodSeconds=10),
        volumeMounts=[
            *(_RUN, _STATE, _NAMES, _LOCK, _MODULES, _NAMESPACES),
            *flannel_mounts(made),
            *datastore_mounts(made),
            *tls_mounts(made),
        ],
    )


def _bgp(made: Choices) -> list[Object]:
    if not made.bgp:
        return []
    rights = {"drop": ["ALL"], "add": _BGP_RIGHTS}
    container = _container(
        made,
        "calico-bgp",
        "tortie bgp",
        env=[*_node_variables(made), *follower(made)],
        securityContext={"allowPrivilegeEscalation": False, "capabilities": rights},
        resources={"requests": {"cpu": "50m", "memory": "80Mi"}},
        livenessProbe=run_by(
            "tortie node health --bird-live",
            10,
            periodSeconds=10,
            initialDelaySeconds=10,
            failureThreshold=6,
        ),
        readinessProbe=run_by("tortie node health --bird-ready", 10, periodSeconds=10),
        volumeMounts=[_RUN, _NAMES, *datastore_mounts(made), *tls_mounts(made)],
    )
    return [container]


def _starting(made: Choices) -> Object:
    """The node's own resource, the cluster's first pools and settings."""
    return _container(
        made,
        "node-start",
        "tortie node start",
        env=[*_node_variables(made), *values(nodes_settings(made))],
        securityContext=dropped(),
        volumeMounts=[_RUN, _STATE, _NAMES, *datastore_mounts(made)],
    )


def _installing(made: Choices) -> list[Object]:
    """The plugin where the container runtime looks for it; not where another plugin is used."""
    return [_installer(made, "install-cni", "tortie cni install")] if _has_plugin(made) else []


def _watching(made: Choices) -> list[Object]:
    """It keeps what was installed as it is, and its token fresh."""
    return (
        [_installer(made, "cni-watch", "tortie cni install --watch")] if _has_plugin(made) else []
    )


def _installer(made: Choices, name: str, command: str) -> Object:
    config = config_name(made)
    canal = made.networking is Networking.FLANNEL
    return _container(
        made,
        name,
        command,
        env=[
            field_of("KUBERNETES_NODE_NAME", "spec.nodeName"),
            *values({"CNI_CONF_NAME": "10-canal.conflist" if canal else "10-calico.conflist"}),
            *values({"CNI_BIN_DIR": made.plugin_folder, "CNI_NET_DIR": made.network_folder}),
            value_of("CNI_NETWORK_CONFIG", config, "cni_network_config"),
            value_of("CNI_MTU", config, "veth_mtu"),
        ],
        securityContext=dropped(),
        volumeMounts=[mount("cni-bin-dir", _PLUGINS), mount("cni-net-dir", _NETWORKS)],
    )


def _has_plugin(made: Choices) -> bool:
    return made.networking is not Networking.POLICY_ONLY


def _node_variables(made: Choices) -> list[Object]:
    found = [*datastore(made), field_of("NODENAME", "spec.nodeName")]
    found.append(field_of("CALICO_K8S_NODE_REF", "spec.nodeName"))
    return [*found, value_of("CALICO_NETWORKING_BACKEND", config_name(made), "calico_backend")]


def _volumes(made: Choices) -> list[Object]:
    plugin = (
        host_path("cni-bin-dir", made.plugin_folder, "DirectoryOrCreate"),
        host_path("cni-net-dir", made.network_folder, "DirectoryOrCreate"),
    )
    return [
        host_path("run-tortie", "/run/tortie", "DirectoryOrCreate"),
        host_path("var-lib-calico", "/var/lib/calico", "DirectoryOrCreate"),
        host_path("var-run-calico", "/var/run/calico", "DirectoryOrCreate"),
        host_path("xtables-lock", "/run/xtables.lock", "FileOrCreate"),
        host_path("lib-modules", "/lib/modules"),
        host_path("run-netns", "/run/netns", "DirectoryOrCreate"),
        *(plugin if _has_plugin(made) else ()),
        *datastore_volumes(made),
        *tls_volumes(made, NODE_CERTIFICATES),
        *flannel_volumes(made),
    ]
