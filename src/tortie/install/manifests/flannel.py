"""flannel in the same pod, where nobody else runs it: Canal."""

from tortie.install.manifests.choices import Choices, Networking
from tortie.install.manifests.config import config_name
from tortie.install.manifests.objects import Object, field_of, host_path, mount

_CONFIG = "/etc/kube-flannel"
_RUN, _FOLDER = "run-flannel", "/run/flannel"


def flannel_container(made: Choices) -> list[Object]:
    """The container, with the rights that flannel's own manifest gives it."""
    if not made.flannel_image:
        return []
    rights = {"privileged": False, "capabilities": {"add": ["NET_ADMIN", "NET_RAW"]}}
    return [
        {
            "name": "kube-flannel",
            "image": made.flannel_image,
            "imagePullPolicy": "IfNotPresent",
            "command": ["/opt/bin/flanneld", "--ip-masq", "--kube-subnet-mgr"],
            "securityContext": rights,
            "env": [
                field_of("POD_NAME", "metadata.name"),
                field_of("POD_NAMESPACE", "metadata.namespace"),
            ],
            "volumeMounts": [
                mount("xtables-lock", "/run/xtables.lock"),
                mount("flannel-cfg", f"{_CONFIG}/"),
                mount(_RUN, _FOLDER),
            ],
        }
    ]


def flannel_mounts(made: Choices) -> list[Object]:
    """What our agent reads: the MTU that flannel leaves to pods."""
    if made.networking is not Networking.FLANNEL:
        return []
    return [mount(_RUN, _FOLDER, readOnly=True)]


def flannel_volumes(made: Choices) -> list[Object]:
    """What both read and flannel writes."""
    if made.networking is not Networking.FLANNEL:
        return []
    found = [host_path(_RUN, _FOLDER, "DirectoryOrCreate")]
    if not made.flannel_image:
        return found
    items = [{"key": "net-conf.json", "path": "net-conf.json"}]
    return [
        *found,
        {"name": "flannel-cfg", "configMap": {"name": config_name(made), "items": items}},
    ]
